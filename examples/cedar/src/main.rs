//! Cedar as the decision point behind a policy of spiffe-authz.
//!
//! The policy in `policy.yaml` says which workload may call which route. What it allows is shown to
//! Cedar, whose policies in `orders.cedar` know more of the orders themselves; Cedar can only object.
//!
//!     cargo run --manifest-path examples/cedar/Cargo.toml

use std::error::Error;
use std::str::FromStr;

use axum::body::Body;
use axum::routing::get;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request,
};
use http::request::Parts;
use spiffe_authz::guard::{AuthzLayer, DecisionPoint, Verdict};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use spiffe_peer::PeerIdentity;
use tower::{Layer, ServiceExt};

type BoxError = Box<dyn Error + Send + Sync>;

/// Asks Cedar, in this process. A call to a server of yours would stand in its place just as well.
struct Cedar {
    policies: PolicySet,
    entities: Entities,
    authorizer: Authorizer,
}

impl Cedar {
    fn new(policies: &str) -> Result<Self, BoxError> {
        Ok(Self {
            policies: PolicySet::from_str(policies)?,
            entities: Entities::empty(),
            authorizer: Authorizer::new(),
        })
    }
}

impl DecisionPoint for Cedar {
    type Error = BoxError;

    async fn verdict(&self, request: &Parts) -> Result<Verdict, BoxError> {
        let peer = request
            .extensions
            .get::<PeerIdentity>()
            .ok_or("a request without a peer is none of Cedar's")?;
        let question = Request::new(
            entity("Workload", peer.as_str())?,
            entity("Action", request.method.as_str())?,
            entity("Path", request.uri.path())?,
            Context::empty(),
            None,
        )?;
        let answer = self
            .authorizer
            .is_authorized(&question, &self.policies, &self.entities);
        // Cedar skips a policy that fails; here what cannot be evaluated is an error, and an error denies.
        if let Some(error) = answer.diagnostics().errors().next() {
            return Err(error.to_string().into());
        }
        Ok(match answer.decision() {
            Decision::Allow => Verdict::NoObjection,
            Decision::Deny => {
                let reasons: Vec<_> = answer
                    .diagnostics()
                    .reason()
                    .map(ToString::to_string)
                    .collect();
                Verdict::deny(format!("Cedar forbids it: {reasons:?}"))
            }
        })
    }
}

fn entity(kind: &str, id: &str) -> Result<EntityUid, BoxError> {
    Ok(EntityUid::from_type_name_and_id(
        EntityTypeName::from_str(kind)?,
        EntityId::new(id),
    ))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let policy = Policy::from_yaml(include_str!("../policy.yaml"))?;
    let orders = axum::Router::new().route("/orders/{id}", get(async || "an order"));
    let app = AuthzLayer::new(policy)?
        .named("orders")
        .decision_point(Cedar::new(include_str!("../orders.cedar"))?)
        .layer(orders);

    for (service, path, expected) in [
        ("shop", "/orders/7", 200),
        ("shop", "/orders/frozen", 403), // the policy allows it, Cedar forbids it
        ("stock", "/orders/7", 403),     // Cedar is not even asked
    ] {
        let caller = MockPeer::id(&format!("spiffe://example.org/service/{service}"))?;
        let request = http::Request::get(path).body(Body::empty())?;
        let status = caller.layer(app.clone()).oneshot(request).await?.status();
        println!("{service} asks for {path}: {status}");
        if status != expected {
            return Err(format!("expected {expected}").into());
        }
    }
    Ok(())
}
