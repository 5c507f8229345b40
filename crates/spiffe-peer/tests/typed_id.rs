//! Structs that are read from a SPIFFE ID, by themselves and as arguments of handlers.
#![cfg(feature = "macros")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use spiffe_peer::{IdPattern, PathMismatch, SpiffePath, parse, pattern};

#[derive(Debug, PartialEq, Eq, SpiffePath)]
#[spiffe("/ns/{namespace}/sa/{service_account}")]
struct Workload {
    service_account: String,
    namespace: String,
}

#[derive(Debug, PartialEq, Eq, SpiffePath)]
#[spiffe("spiffe://example.org/tenant/{number}/{type}")]
struct Tenant {
    number: u32,
    r#type: char,
}

#[derive(Debug, PartialEq, Eq, SpiffePath)]
#[spiffe("/gateway")]
struct Gateway {}

/// Fields whose names the generated code uses as well.
#[derive(Debug, PartialEq, Eq, SpiffePath)]
#[spiffe("/{segments}/x/{p}")]
struct SameNames {
    segments: String,
    p: String,
}

fn read<T: SpiffePath>(id: &str) -> Result<T, PathMismatch> {
    T::from_id(&parse::workload_id(id).unwrap())
}

#[test]
fn a_name_is_the_whole_segment_at_its_place() {
    let workload: Workload = read("spiffe://td/ns/shop/sa/orders").unwrap();
    assert_eq!(workload.namespace, "shop");
    assert_eq!(workload.service_account, "orders");
    let tenant: Tenant = read("spiffe://example.org/tenant/7/a").unwrap();
    assert_eq!((tenant.number, tenant.r#type), (7, 'a'));
    assert_eq!(read("spiffe://td/gateway"), Ok(Gateway {}));
    let same: SameNames = read("spiffe://td/a/x/b").unwrap();
    assert_eq!((same.segments.as_str(), same.p.as_str()), ("a", "b"));
}

#[test]
fn an_id_of_another_shape_is_refused() {
    for id in [
        "spiffe://td/ns/shop/sa",
        "spiffe://td/ns/shop/sa/orders/x",
        "spiffe://td/x/ns/shop/sa/orders",
        "spiffe://td/NS/shop/sa/orders",
        "spiffe://td/nsx/shop/sa/orders",
        "spiffe://td/gateway",
    ] {
        assert!(read::<Workload>(id).is_err(), "{id}");
    }
    assert!(read::<Gateway>("spiffe://td/gateway/x").is_err());
}

#[test]
fn a_segment_that_its_field_cannot_be_and_another_trust_domain_are_refused() {
    for id in [
        "spiffe://example.org/tenant/x/a",
        "spiffe://example.org/tenant/-1/a",
        "spiffe://example.org/tenant/99999999999/a",
        "spiffe://example.org/tenant/7/ab",
        "spiffe://example.com/tenant/7/a",
        "spiffe://example.org.evil/tenant/7/a",
    ] {
        assert!(read::<Tenant>(id).is_err(), "{id}");
    }
    assert_eq!(Tenant::TRUST_DOMAIN, Some("example.org"));
    assert_eq!(Workload::TRUST_DOMAIN, None);
}

#[test]
fn the_error_names_both_and_is_bounded() {
    let error = read::<Workload>("spiffe://td/gateway")
        .unwrap_err()
        .to_string();
    assert!(error.contains("spiffe://td/gateway"), "{error}");
    assert!(error.contains(Workload::TEMPLATE), "{error}");
    let long = format!("spiffe://td/{}", "a".repeat(2000));
    assert!(read::<Workload>(&long).unwrap_err().to_string().len() < 300);
}

#[test]
fn a_checked_pattern_is_the_parsed_one() {
    let parsed: IdPattern = "spiffe://example.org/ns/*/sa/{name}".parse().unwrap();
    assert_eq!(pattern!("spiffe://example.org/ns/*/sa/{name}"), parsed);
    assert!(pattern!("spiffe://td/**").matches(&parse::workload_id("spiffe://td/a/b").unwrap()));
}

#[cfg(feature = "axum")]
mod handlers {
    use std::time::{Duration, SystemTime};

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer};
    use tower::ServiceExt;

    use super::*;

    fn peer(id: &str, left: Duration) -> PeerIdentity {
        let peer = VerifiedPeer {
            spiffe_id: parse::workload_id(id).unwrap(),
            not_after: SystemTime::now() + left,
            fingerprint: Fingerprint::from_sha256([7; 32]),
            method: AuthMethod::MtlsX509Svid,
        };
        PeerIdentity::assume_verified(peer, Connection::new())
    }

    async fn answer(peer: Option<PeerIdentity>) -> (StatusCode, String) {
        async fn hello(workload: Workload) -> String {
            format!("{} of {}", workload.service_account, workload.namespace)
        }
        let app: Router = Router::new().route("/", get(hello));
        let mut request = Request::new(Body::empty());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let response = app.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_handler_takes_the_typed_id_of_its_peer() {
        let orders = peer("spiffe://td/ns/shop/sa/orders", HOUR);
        assert_eq!(
            answer(Some(orders)).await,
            (StatusCode::OK, "orders of shop".into())
        );
    }

    #[tokio::test]
    async fn an_id_of_another_shape_is_403_and_the_body_says_nothing_of_it() {
        let gateway = peer("spiffe://td/gateway", HOUR);
        assert_eq!(
            answer(Some(gateway)).await,
            (StatusCode::FORBIDDEN, "forbidden\n".into())
        );
    }

    #[tokio::test]
    async fn nobody_and_an_identity_that_has_ended_are_401() {
        let refusal = (StatusCode::UNAUTHORIZED, "unauthenticated\n".to_owned());
        assert_eq!(answer(None).await, refusal);
        let ended = peer("spiffe://td/ns/shop/sa/orders", Duration::ZERO);
        assert_eq!(answer(Some(ended)).await, refusal);
    }
}
