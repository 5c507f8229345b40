use tower_layer::Layer;

use crate::guard::{Authz, AuthzLayer, InvalidGuard};
use crate::policy::PolicySource;

/// Puts a policy around a whole router of axum's own. What comes back is no router: no route can be
/// added behind the policy's back.
///
/// ```
/// use axum::{Router, ServiceExt, body::Body, extract::Request, routing::get};
/// use spiffe_authz::Policy;
/// use spiffe_authz::axum::guard;
/// use spiffe_authz::mock::MockPeer;
/// use tower::{Layer, ServiceExt as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::from_yaml(r#"
/// version: 1
/// name: orders
/// trust_domains: { example.org: {} }
/// rules:
///   - { name: read, allow: ["GET /orders/{id}"], from: ["spiffe://example.org/ns/shop/**"] }
/// "#)?;
/// let router = Router::new().route("/orders/{id}", get(async || "an order"));
/// let app = guard(router, policy)?;
///
/// let shop = MockPeer::id("spiffe://example.org/ns/shop/sa/web")?.layer(app.clone());
/// assert_eq!(shop.oneshot(Request::get("/orders/7").body(Body::empty())?).await?.status(), 200);
///
/// let make = ServiceExt::<Request>::into_make_service(app); // for `axum::serve`
/// # let _ = make;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`InvalidGuard`] where the policy is in shadow: everything would pass.
pub fn guard(
    router: ::axum::Router,
    policy: impl Into<PolicySource>,
) -> Result<Authz<::axum::Router>, InvalidGuard> {
    Ok(AuthzLayer::new(policy)?.layer(router))
}
