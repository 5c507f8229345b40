//! Rules for Tower, axum and tonic services that are keyed on SPIFFE identities.
//!
//! The acceptor puts the verified [`PeerIdentity`](spiffe_peer::PeerIdentity) of a connection into
//! every request; this crate decides what that peer may do. A [guarded router](axum) for axum has no
//! way to hold a route without a rule. [`RequireIdLayer`] puts one rule around any Tower service.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use ::axum::body::Body;
//! use http::Request;
//! use spiffe_authz::axum::{Router, get, post};
//! use spiffe_authz::mock::MockPeer;
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new()
//!     .route("/orders", post(async || "created").allow("spiffe://example.org/service/payment-processor"))
//!     .route("/version", get(async || "1.0").authenticated("any workload may ask"))
//!     .build()?;
//!
//! for (id, expected) in [
//!     ("spiffe://example.org/service/payment-processor", 200),
//!     ("spiffe://example.org/service/payment-processor-2", 403),
//!     ("spiffe://example.org.evil/service/payment-processor", 403),
//! ] {
//!     let request = Request::post("/orders").body(Body::empty())?;
//!     let response = MockPeer::id(id)?.layer(app.clone()).oneshot(request).await?;
//!     assert_eq!(response.status(), expected, "{id}");
//! }
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # What it guarantees
//!
//! - A decision is made before the inner service is called, once, without allocation where it is an allow.
//! - The identity comes from the request's extensions alone. No header becomes identity.
//! - No rule, no identity, or an identity that has ended: denied. Empty never means any, and a rule
//!   that asks for no particular ID says why.
//! - The peer learns a status and nothing else. The reason is in an event of `tracing` (level `INFO`,
//!   target `spiffe_authz`) and, as a [`Refusal`], in the extensions of the answer.
//! - Behind the guarded router, a request that can be read in two ways meets no rule and no handler.
//!
//! # What it does not
//!
//! - A layer covers what it wraps. On axum's own router, a route that is added after
//!   [`RequireIdLayer`] is not guarded by it; the guarded router has no such gap.
//! - Rules are written at routes, in code. They know the peer, the route and the method, not the
//!   headers, the body or the end user.
//! - A stream that was allowed goes on until its connection ends. Ending the connection of a peer whose identity has ended
//!   is the work of the acceptor: this crate asks for it, and denies what comes until then.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `axum` (default) | the guarded router, module `axum` |
//! | `tonic` (default) | rules for the RPCs of tonic services on the guarded router |
//! | `mock` | `MockPeer`, a peer without TLS for tests of handlers |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
#[cfg(feature = "axum")]
pub mod axum;
pub mod canonical;
mod decision;
pub mod guard;
mod inventory;
mod log_identity;
#[cfg(feature = "mock")]
pub mod mock;
mod observe;
mod patterns;
pub mod policy;
mod refusal;
pub mod require_id;
mod rule;

pub use guard::AuthzLayer;
pub use inventory::{Inventory, Route};
pub use log_identity::{LogIdentity, LogIdentityLayer};
pub use patterns::IdPatterns;
pub use policy::Policy;
pub use refusal::Refusal;
pub use require_id::{RequireId, RequireIdLayer};
pub use rule::{InvalidRule, Rule};
