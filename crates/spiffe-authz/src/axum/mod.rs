//! A router for axum that cannot hold a route without a rule.
//!
//! [`get`], [`post`] and their like take a handler as axum's own do. What they return can be mounted
//! only once a rule says who may call: [`allow`](Unguarded::allow),
//! [`authenticated`](Unguarded::authenticated) or [`anyone`](Unguarded::anyone).
//! [`build`](Router::build) checks all of it at once and returns a [`GuardedService`], to which
//! nothing can be added any more.
//!
//! # What passes
//!
//! A request that can be read in one way only ([`canonical`](crate::canonical)), whose path meets a
//! route, whose method has a rule on that route, and whose peer that rule lets in. `HEAD` is covered
//! by the rule of `GET`, never the reverse. A rule speaks of its route alone, as the router chooses
//! it: the most specific wins.
//!
//! # What is denied
//!
//! Everything else, before a handler or a mounted service is called: 400 for a request that is not
//! canonical, 401 without an identity or with one that has ended, 403 with one. That holds for a path
//! that meets no route and for a method that has no rule too: there is no 404 and no 405 to learn
//! from. A [`fallback`](Router::fallback) has rules of its own.
//!
//! # Where it may be mounted
//!
//! Anywhere that takes a Tower service: hyper, `axum::serve`, an acceptor's `serve`. The identity has
//! to be in the request's extensions by then. It decides on the path that it is given: a layer in
//! front that rewrites paths is a reader of its own, and has no place there.
//!
//! ```
//! use axum::{body::Body, extract::{Path, State}};
//! use http::{Request, StatusCode};
//! use spiffe_authz::axum::{Router, get, post};
//! use spiffe_authz::mock::MockPeer;
//! use spiffe_peer::PeerIdentity;
//! use tower::{Layer, ServiceExt};
//!
//! async fn create_order(peer: PeerIdentity, State(shop): State<&'static str>) -> String {
//!     format!("{peer} ordered at {shop}")
//! }
//!
//! async fn show_order(Path(id): Path<u32>) -> String {
//!     format!("order {id}")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = "spiffe://example.org/service/payment-processor";
//! let app = Router::new()
//!     .route("/orders", post(create_order).allow(payments))
//!     .route("/orders/{id}", get(show_order).allow([payments, "spiffe://example.org/ns/audit/**"]))
//!     .route("/healthz", get(async || "ok").anyone("probes carry no identity"))
//!     .with_state("the corner shop")
//!     .build()?;
//!
//! let call = async |request: Request<Body>| -> Result<StatusCode, Box<dyn std::error::Error>> {
//!     let caller = MockPeer::id("spiffe://example.org/service/payment-processor")?;
//!     Ok(caller.layer(app.clone()).oneshot(request).await?.status())
//! };
//! assert_eq!(call(Request::post("/orders").body(Body::empty())?).await?, 200);
//! assert_eq!(call(Request::get("/orders/7").body(Body::empty())?).await?, 200);
//! assert_eq!(call(Request::delete("/orders/7").body(Body::empty())?).await?, 403);
//! assert_eq!(call(Request::get("/no/such/route").body(Body::empty())?).await?, 403);
//! assert_eq!(call(Request::get("/orders/7/").body(Body::empty())?).await?, 400);
//!
//! let nobody = app.clone().oneshot(Request::get("/orders/7").body(Body::empty())?).await?;
//! assert_eq!(nobody.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! A route without a rule is no program:
//!
//! ```compile_fail,E0277
//! use spiffe_authz::axum::{Router, get};
//!
//! let app = Router::<()>::new().route("/orders", get(async || "all of them"));
//! ```
//!
//! nor is one of whose methods a single one has no rule:
//!
//! ```compile_fail,E0277
//! use spiffe_authz::axum::{Router, get};
//!
//! let guarded = get(async || "all of them").allow("spiffe://example.org/service/payment-processor");
//! let app = Router::<()>::new().route("/orders", guarded.post(async || "created"));
//! ```

mod build;
mod draft;
mod guard;
mod guarded;
mod methods;
mod path;
mod router;
#[cfg(feature = "tonic")]
mod rpcs;
mod service;
mod spelling;

pub use build::InvalidRouter;
pub use guard::guard;
pub use methods::{
    GuardedMethods, HasRules, Unguarded, any, any_service, connect, delete, get, get_service, head,
    options, patch, post, put, trace,
};
pub use router::Router;
#[cfg(feature = "tonic")]
pub use rpcs::Rpcs;
pub use service::{GuardedService, ResponseFuture};
