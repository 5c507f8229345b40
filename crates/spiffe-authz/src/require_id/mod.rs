//! A Tower layer that lets in the peers of one rule.
//!
//! **Passes:** a request whose [`PeerIdentity`](spiffe_peer::PeerIdentity) is current and which the
//! [`Rule`](crate::Rule) lets in. **Denied:** everything else, with the answers that
//! [`Refusal`](crate::Refusal) lists. The decision is made before the inner service is called. An
//! identity that has ended is refused whatever the rule says, and its connection is asked to close.
//! Headers play no part: the identity comes from the request's extensions, where the acceptor put it.
//!
//! **Where it may be mounted:** around a whole service, on one axum `MethodRouter`, on an axum
//! `Router`, on a tonic `Server`, on any Tower service. A layer covers what it wraps: one that is
//! put on an axum `Router` does not cover routes that are added later, and one on a `MethodRouter`
//! does not cover methods that are merged into it later. The guarded router of
//! [`spiffe_authz::axum`](crate::axum) has no such gap.
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use http::Request;
//! use spiffe_authz::{RequireIdLayer, mock::MockPeer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rule = RequireIdLayer::exact("spiffe://example.org/service/payment-processor")?;
//! let app: Router = Router::new().route("/orders", get(async || "none").layer(rule));
//!
//! for (id, expected) in [("payment-processor", 200), ("payment-processor-2", 403)] {
//!     let caller = MockPeer::id(&format!("spiffe://example.org/service/{id}"))?;
//!     let response = app.clone().layer(caller).oneshot(Request::get("/orders").body(Body::empty())?).await?;
//!     assert_eq!(response.status(), expected);
//! }
//! let nobody = app.oneshot(Request::get("/orders").body(Body::empty())?).await?;
//! assert_eq!(nobody.status(), 401);
//! # Ok(())
//! # }
//! ```

pub(crate) mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::RequireIdLayer;
pub use service::RequireId;
