//! Rules beside the RPCs that they speak of.
//!
//! [`authorize`](crate::authorize) stands above the `impl` of a tonic service, and a rule above each of
//! its methods; a method without one does not compile. The rules are data as well ([`ServiceRules`]): the
//! guarded router decides by them before a message is decoded, a policy is bound to them, and the
//! inventory shows them. `spiffe-authz-build` makes the same table from options in a `.proto` file.
//!
//! ```
//! use spiffe_authz::axum::{Router, Rpcs};
//! use spiffe_authz::grpc::peer;
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
//!     async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
//!         let operator = peer(&request)?;
//!         println!("{operator} asks for {}", request.get_ref().service);
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
//! let app = Router::<()>::new().authorized(Own, HealthServer::new).build()?;
//! let routes: Vec<_> = app.inventory().routes().map(ToString::to_string).collect();
//! assert_eq!(routes, ["POST /grpc.health.v1.Health/Check", "POST /grpc.health.v1.Health/Watch"]);
//!
//! // tonic's own server, whose settings all hold; the peer comes from the acceptor.
//! let server = tonic::transport::Server::builder().add_routes(app.into());
//! # let _ = server;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Several services on one server
//!
//! Each is mounted with rules of its own: an annotated one by
//! [`authorized`](crate::axum::Router::authorized), every other (health, reflection) by
//! [`grpc`](crate::axum::Router::grpc). What no rule names is denied, whatever tonic would have answered.
//!
//! # With a policy
//!
//! `#[permit(policy)]` and `#[permit(principal = "…")]` need one: [`bind`](crate::axum::Router::bind) fails
//! where it allows nobody such an RPC, or has no principal of that name, and so does a reload. Elsewhere
//! the rule decides alone who may call, and the policy's rules that deny keep out as everywhere.
//!
//! A principal is looked up in the policy that is in force when the rule is judged, so that whom a reload
//! takes from it is denied at once.
//!
//! # Streams
//!
//! A stream is decided on once, when it begins. To cut one when a reload, a withdrawal or an expiry ends its
//! permission, put [`AuthzLayer::streams`](crate::AuthzLayer::streams) around the routes, from the layer that
//! the router is [bound with](crate::axum::Router::bind_with), or
//! [`StreamsLayer::without_policy`](crate::guard::StreamsLayer::without_policy) where there is none.
//!
//! # What the compiler cannot see
//!
//! The annotations hold where the service is mounted by [`Router::authorized`](crate::axum::Router::authorized),
//! or by [`Router::grpc`](crate::axum::Router::grpc) with its table. The server type that tonic generates
//! knows nothing of them: `Server::builder().add_service(OrdersServer::new(orders))` lets everybody call
//! everything, and so does `add_service` after `add_routes(app.into())` with what it adds.
//!
//! An RPC is named after its method, in camel case. Where that is not its name (`GetURL`) the rule speaks
//! of an RPC that does not exist, and the one that does is denied: write `#[rpc("GetURL")]`. The event of the
//! denial (`reason="no_rule"`) says in `rpc.method` what was asked for.

mod peer;
mod rules;

pub use peer::peer;
#[doc(hidden)]
pub use rules::authorize_names_the_server_of_this_service;
pub use rules::{Authorized, Permit, RpcRule, ServiceRules};
