//! A peer for tests of handlers, without TLS.
//!
//! **Where it may be mounted:** around the service under test, outside every layer that decides. It
//! vouches for every request that passes it, so it belongs into tests alone.

use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::Request;
use spiffe_peer::parse::{self, InvalidId};
use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer};
use tower_layer::Layer;
use tower_service::Service;

/// Makes every request come from one peer: a layer that puts a [`PeerIdentity`] into its extensions.
///
/// The identity holds for a day, unless [`valid_until`](Self::valid_until) says otherwise.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::body::Body;
/// use http::Request;
/// use spiffe_authz::axum::{Router, get};
/// use spiffe_authz::mock::MockPeer;
/// use spiffe_peer::PeerIdentity;
/// use tower::{Layer, ServiceExt};
///
/// async fn whoami(peer: PeerIdentity) -> String {
///     peer.to_string()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/whoami", get(whoami).allow("spiffe://example.org/service/orders")).build()?;
///
/// let orders = MockPeer::id("spiffe://example.org/service/orders")?.layer(app.clone());
/// assert_eq!(orders.oneshot(Request::get("/whoami").body(Body::empty())?).await?.status(), 200);
///
/// let stock = MockPeer::id("spiffe://example.org/service/stock")?.layer(app);
/// assert_eq!(stock.oneshot(Request::get("/whoami").body(Body::empty())?).await?.status(), 403);
/// # Ok(())
/// # }
/// # main().unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct MockPeer {
    identity: PeerIdentity,
    connection: Connection,
}

impl MockPeer {
    /// A peer with this ID.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is no ID of a workload.
    pub fn id(id: &str) -> Result<Self, InvalidId> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let peer = VerifiedPeer {
            spiffe_id: parse::workload_id(id)?,
            not_after: SystemTime::now() + DAY,
            fingerprint: Fingerprint::from_sha256([0; 32]),
            method: AuthMethod::MtlsX509Svid,
        };
        Ok(Self::vouch(peer))
    }

    /// The same peer on a new connection, with an identity that ends at this time.
    pub fn valid_until(self, not_after: SystemTime) -> Self {
        Self::vouch(VerifiedPeer {
            spiffe_id: self.identity.spiffe_id().clone(),
            not_after,
            fingerprint: self.identity.fingerprint(),
            method: self.identity.method(),
        })
    }

    /// The peer's connection: a test withdraws the identity with it, or waits for the wish to close.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn vouch(peer: VerifiedPeer) -> Self {
        let connection = Connection::new();
        Self {
            identity: PeerIdentity::assume_verified(peer, connection.clone()),
            connection,
        }
    }
}

impl<S> Layer<S> for MockPeer {
    type Service = WithMockPeer<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithMockPeer {
            inner,
            identity: self.identity.clone(),
        }
    }
}

/// A service whose requests all come from one peer, made by [`MockPeer`].
///
/// ```
/// use spiffe_authz::mock::{MockPeer, WithMockPeer};
/// use tower::Layer;
///
/// let service: WithMockPeer<()> = MockPeer::id("spiffe://example.org/service/orders")?.layer(());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone)]
pub struct WithMockPeer<S> {
    inner: S,
    identity: PeerIdentity,
}

impl<S, B> Service<Request<B>> for WithMockPeer<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.identity.clone());
        self.inner.call(request)
    }
}
