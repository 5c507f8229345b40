//! A peer, and an end user, for tests of handlers, without TLS and without tokens.
//!
//! **Where it may be mounted:** around the service under test, outside every layer that decides. It
//! vouches for every request that passes it, so it belongs into tests alone.

use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::Request;
use spiffe_peer::parse::{self, InvalidId};
use spiffe_peer::{AuthMethod, Connection, EndUser, Fingerprint, PeerIdentity, VerifiedPeer};
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
    type Service = WithMock<S, PeerIdentity>;

    fn layer(&self, inner: S) -> Self::Service {
        WithMock {
            inner,
            value: self.identity.clone(),
        }
    }
}

/// Makes every request come on behalf of one end user: a layer that puts an [`EndUser`] into its extensions.
///
/// ```
/// use http::{Request, Response};
/// use spiffe_authz::mock::MockUser;
/// use spiffe_peer::EndUser;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let whoami = service_fn(async |request: Request<()>| {
///     let user = request.extensions().get::<EndUser>();
///     Ok::<_, std::convert::Infallible>(Response::new(user.map(|user| user.subject().to_owned())))
/// });
/// let ada = MockUser::new(EndUser::new("https://id.example.com", "ada")).layer(whoami);
/// assert_eq!(ada.oneshot(Request::new(())).await?.into_body().as_deref(), Some("ada"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct MockUser(EndUser);

impl MockUser {
    /// This user, as if its token had been verified.
    pub fn new(user: EndUser) -> Self {
        Self(user)
    }
}

impl<S> Layer<S> for MockUser {
    type Service = WithMock<S, EndUser>;

    fn layer(&self, inner: S) -> Self::Service {
        WithMock {
            inner,
            value: self.0.clone(),
        }
    }
}

/// A service whose requests all come from one peer, or for one user, made by [`MockPeer`] and [`MockUser`].
///
/// ```
/// use spiffe_authz::mock::{MockPeer, WithMock};
/// use spiffe_peer::PeerIdentity;
/// use tower::Layer;
///
/// let service: WithMock<(), PeerIdentity> = MockPeer::id("spiffe://example.org/service/orders")?.layer(());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone)]
pub struct WithMock<S, T> {
    inner: S,
    value: T,
}

impl<S, T, B> Service<Request<B>> for WithMock<S, T>
where
    S: Service<Request<B>>,
    T: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.value.clone());
        self.inner.call(request)
    }
}
