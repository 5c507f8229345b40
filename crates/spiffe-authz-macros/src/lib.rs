//! The attribute of `spiffe-authz` that gives each RPC of a tonic service its rule. Use it from there;
//! its documentation is at `spiffe_authz::authorize`.

mod expand;
mod method;
mod permit;

use proc_macro::TokenStream;

/// Gives each RPC of a tonic service its rule, which stands beside the method. A method without one does
/// not compile.
///
/// The argument is the server type that `tonic` generates; it knows the service's full name. Above each
/// method stands one of
///
/// | rule | lets in |
/// |---|---|
/// | `#[permit("spiffe://example.org/service/payment-processor")]` | the workloads that this ID pattern describes, or one of several |
/// | `#[permit(principal = "payments")]` | the callers that the policy knows by that name; may be said again, and beside patterns |
/// | `#[permit(authenticated, because = "…")]` | every workload with a verified identity |
/// | `#[permit(anyone, because = "…")]` | everybody, with an identity or without |
/// | `#[permit(policy)]` | whom the policy lets in |
///
/// An RPC is called like its method in camel case; where that is not its name, `#[rpc("GetURL")]` says it:
/// tonic calls its method `get_url`, which reads as `GetUrl`. `permit` and `rpc` have a meaning here alone, and
/// cannot be imported; patterns and reasons are literals.
/// An RPC of the service that the `impl` does not have (tonic's default stubs) is denied.
///
/// It stands before `#[tonic::async_trait]` or after it. What it writes is an `impl` of
/// `spiffe_authz::grpc::Authorized`, which `spiffe_authz::axum::Router::authorized` takes. A service that is
/// given to tonic's server past that router is not guarded.
///
/// Where `Cargo.toml` gives the crate another name, `extern crate another_name as spiffe_authz;` at the root of
/// the program makes it known here.
///
/// In `spiffe_authz::grpc` is a whole program.
#[proc_macro_attribute]
pub fn authorize(server: TokenStream, service: TokenStream) -> TokenStream {
    expand::expand(server.into(), service.into()).into()
}
