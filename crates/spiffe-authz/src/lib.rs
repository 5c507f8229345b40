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
//! # Which one to take
//!
//! | | takes | decides by | cannot see |
//! |---|---|---|---|
//! | [guarded router](axum), `build` | handlers, each with a rule in code | the route, as the router chooses it | anything but peer, route and method |
//! | [guarded router](axum), [`bind`](axum::Router::bind) | the same, and a [policy] | a rule in code at its route; elsewhere the policy | – |
//! | [`authorize`] | a tonic service, each RPC with a rule beside it | that rule; the same router | anything but peer and RPC |
//! | [`guard`](axum::guard) | a finished `axum::Router` | the policy, by the path as it arrived | which routes there are: no coverage is checked |
//! | [`AuthzLayer`] | any Tower service: tonic's server, hyper, a router | the policy, by the path as it arrived | which routes there are; what is added outside it |
//! | [`RequireIdLayer`] | any Tower service, mostly a `MethodRouter` | one rule, whatever the path | the path; routes that are added after it |
//!
//! Begin with the guarded router: a route without a rule does not compile, and a policy that leaves a
//! route open, or speaks of one that is not there, does not start. Take [`guard`](axum::guard) where the
//! router is somebody else's, and [`AuthzLayer`] where there is none. With axum's own router
//! `.layer(..)` covers the routes that are there already and **no route that is added later**; and a layer inside a
//! nested router does not run for what that router's parents answer.
//!
//! | asked for | written as |
//! |---|---|
//! | any verified identity | [`RequireIdLayer::authenticated`], `.authenticated(because)` |
//! | a trust domain | [`RequireIdLayer::trust_domain`], `"spiffe://example.org/**"` |
//! | the beginning of a path | [`RequireIdLayer::path_prefix`], `"spiffe://example.org/ns/payments/**"` |
//! | who called, in the log | [`LogIdentityLayer`] |
//!
//! Layers run from the outside in, and the last `.layer(..)` call is the outermost: the peer comes
//! first (an acceptor, or `MockPeer`), then whatever logs, then what decides, then the application.
//!
//! # Programs
//!
//! A policy beside rules in code, on the guarded router:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use spiffe_authz::Policy;
//! use spiffe_authz::axum::{Router, get, post};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::from_yaml(r#"
//! version: 1
//! name: orders
//! trust_domains: { example.org: {} }
//! rules:
//!   - name: show
//!     allow: ["GET /orders/{id}"]
//!     from: ["spiffe://example.org/ns/shop/**"]
//!   - name: staging-never
//!     deny: ["* /**"]
//!     from: ["spiffe://example.org/ns/staging/**"]
//! "#)?;
//! let app = Router::new()
//!     .route("/orders", post(async || "created").allow("spiffe://example.org/service/payment-processor"))
//!     .route("/orders/{id}", get(async || "an order").policy())
//!     .route("/version", get(async || "1.0").authenticated("any workload may ask"))
//!     .bind(policy)?;
//! # let _ = app;
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! axum's own router, with one rule at one route:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::post};
//! use spiffe_authz::RequireIdLayer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = RequireIdLayer::exact("spiffe://example.org/service/payment-processor")?;
//! let app: Router = Router::new().route("/orders", post(async || "created").layer(payments));
//! # let _ = app;
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! A tonic service whose RPCs have their rules beside them (a method without one does not compile), on
//! tonic's own server; [`grpc`] has more of it:
//!
//! ```
//! # #[cfg(feature = "tonic")] {
//! use spiffe_authz::axum::Router;
//! use tonic::{Request, Response, Status};
//! use tonic_health::pb::health_server::{Health, HealthServer};
//! use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
//!
//! struct Own;
//!
//! #[spiffe_authz::authorize(HealthServer)]
//! #[tonic::async_trait]
//! impl Health for Own {
//!     #[permit("spiffe://example.org/ns/ops/**")]
//!     async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
//!         Ok(Response::new(HealthCheckResponse { status: 1 }))
//!     }
//!
//!     type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;
//!
//!     #[permit(authenticated, because = "it says nothing but that the server runs")]
//!     async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
//!         Ok(Response::new(tokio_stream::empty()))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Router::new().authorized(Own, HealthServer::new).build()?;
//! let server = tonic::transport::Server::builder().add_routes(app.into());
//! # let _ = server;
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! A policy around a tonic server:
//!
//! ```
//! # #[cfg(feature = "tonic")] {
//! use spiffe_authz::{AuthzLayer, Policy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::from_yaml(r#"
//! version: 1
//! name: orders
//! trust_domains: { example.org: {} }
//! rules:
//!   - name: create
//!     allow: ["grpc shop.Orders/Create"]
//!     from: ["spiffe://example.org/service/payment-processor"]
//! "#)?;
//! let server = tonic::transport::Server::builder().layer(AuthzLayer::new(policy)?);
//! # let _ = server;
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! The first program of this page is the test of a handler, without SPIRE and without TLS.
//!
//! # What it guarantees
//!
//! - A decision is made before the inner service is called, once, by one generation of the policy, and without allocation
//!   where it is an allow without conditions.
//! - The identity comes from the request's extensions alone. No header becomes identity.
//! - No rule, no identity, or an identity that has ended: denied. Empty never means any, and a rule
//!   that asks for no particular ID says why. A rule that denies wins over every rule that allows.
//! - The peer learns a status and nothing else. The reason is in an event of `tracing` (target
//!   `spiffe_authz::audit`, or `spiffe_authz` where a rule in code decides without a policy), in the record
//!   for a [sink](audit::AuditSink) of the policy's guard and, as a [`Refusal`], in the extensions of the
//!   answer.
//! - A request that can be read in two ways meets no rule and no handler (but behind a bare [`RequireIdLayer`]).
//!
//! # What it does not
//!
//! - A stream that was allowed goes on until its connection ends, or until a new policy no longer allows it, where
//!   [`AuthzLayer::streams`] is mounted. Ending the connection of a peer whose identity has ended
//!   is the work of the acceptor: this crate asks for it, and denies what comes until then.
//! - It reads no bodies and no query strings.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `axum` (default) | the guarded router and `guard`, module `axum` |
//! | `tonic` (default) | rules for the RPCs of tonic services: annotations, tables, the guarded router; module `grpc` |
//! | `metrics` | counters and a gauge through the `metrics` facade |
//! | `mock` | `MockPeer`, a peer without TLS for tests of handlers |
//! | `confusables` | among the lints of [`policy::review`], names that look like others |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
#[cfg(feature = "axum")]
pub mod axum;
pub mod canonical;
mod decision;
#[cfg(feature = "tonic")]
pub mod grpc;
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
#[cfg(feature = "tonic")]
pub use spiffe_authz_macros::authorize;
