use std::time::{Duration, SystemTime};

use super::*;
use crate::identity::test_peer;

fn peer(id: &str) -> PeerIdentity {
    test_peer(id, SystemTime::now() + Duration::from_secs(3600)).0
}

#[test]
fn an_id_is_itself_alone() {
    let payment = peer("spiffe://example.org/service/payment-processor");
    assert_eq!(
        payment.is("spiffe://example.org/service/payment-processor"),
        Ok(true)
    );
    for other in [
        "spiffe://example.org/service/payment-processor-2",
        "spiffe://example.org/service/payment-processo",
        "spiffe://example.org/service/Payment-Processor",
        "spiffe://example.org/service/payment-processor/x",
        "spiffe://example.org.evil/service/payment-processor",
        "spiffe://evil.example.org/service/payment-processor",
    ] {
        assert_eq!(payment.is(other), Ok(false), "{other}");
    }
    for no_id in [
        "",
        "/service/payment-processor",
        "spiffe://example.org",
        "spiffe://Example.org/service/payment-processor",
        "spiffe://example.org/service/payment-processor/",
        "spiffe://example.org//service/payment-processor",
        "spiffe://example.org/service/*",
        "spiffe://example.org/service/payment-processor ",
    ] {
        assert!(payment.is(no_id).is_err(), "{no_id:?} was taken for an ID");
    }
}

#[test]
fn a_trust_domain_has_no_members_but_its_own() {
    let orders = peer("spiffe://example.org/service/orders");
    assert_eq!(orders.is_in_trust_domain("example.org"), Ok(true));
    for other in ["example.org.evil", "sub.example.org", "xample.org", "org"] {
        assert_eq!(orders.is_in_trust_domain(other), Ok(false), "{other}");
        assert!(!orders.is_member_of(&TrustDomain::new(other).unwrap()));
    }
    for no_name in [
        "",
        "*",
        "*.org",
        "Example.org",
        "spiffe://example.org",
        "example.org/",
    ] {
        assert!(orders.is_in_trust_domain(no_name).is_err(), "{no_name:?}");
    }
}

#[test]
fn a_prefix_is_whole_segments() {
    let has = |path: &str, prefix| peer(&format!("spiffe://td{path}")).has_path_prefix(prefix);
    assert_eq!(has("/service", "/service"), Ok(true));
    assert_eq!(has("/service/api", "/service"), Ok(true));
    assert_eq!(has("/service/api", "/service/"), Ok(true));
    assert_eq!(has("/service/api", "/service/api"), Ok(true));
    assert_eq!(has("/service", "/service/"), Ok(false));
    assert_eq!(has("/services", "/service"), Ok(false));
    assert_eq!(has("/services/api", "/service"), Ok(false));
    assert_eq!(has("/services", "/service/"), Ok(false));
    assert_eq!(has("/service-2/api", "/service"), Ok(false));
    assert_eq!(has("/x/service", "/service"), Ok(false));
    assert_eq!(has("/service", "/service/api"), Ok(false));
    assert_eq!(has("/service", "/Service"), Ok(false));
}

#[test]
fn a_suffix_is_whole_segments() {
    let has = |path: &str, suffix| peer(&format!("spiffe://td{path}")).has_path_suffix(suffix);
    assert_eq!(has("/admin", "/admin"), Ok(true));
    assert_eq!(has("/service/admin", "/admin"), Ok(true));
    assert_eq!(has("/service/admin", "/service/admin"), Ok(true));
    assert_eq!(has("/service/noadmin", "/admin"), Ok(false));
    assert_eq!(has("/service/admin-2", "/admin"), Ok(false));
    assert_eq!(has("/admin/x", "/admin"), Ok(false));
    assert_eq!(has("/admin", "/service/admin"), Ok(false));
    assert_eq!(has("/no-service/admin", "/service/admin"), Ok(false));
}

#[test]
fn what_no_path_or_every_path_has_is_refused() {
    let orders = peer("spiffe://td/service/orders");
    let long = format!("/{}", "a".repeat(parse::MAX_ID_BYTES));
    for bad in [
        "",
        "/",
        "//",
        "service",
        "service/",
        "/service//",
        "//service",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/*",
        "/{ns}",
        "/a%2fb",
        "/a b",
        "/\u{e4}",
        "/a?b",
        "/a#b",
        "/a\0",
        &long,
    ] {
        assert!(orders.has_path_prefix(bad).is_err(), "prefix {bad:?}");
        assert!(orders.has_path_suffix(bad).is_err(), "suffix {bad:?}");
    }
    assert!(orders.has_path_suffix("/orders/").is_err());
    let shown = orders.has_path_prefix(&long).unwrap_err().to_string();
    assert!(shown.len() < 400, "{} bytes", shown.len());
}

#[test]
fn segments_are_counted_and_named() {
    let orders = peer("spiffe://td/ns/shop/sa/orders");
    let by_number: Vec<_> = (0..6).map(|index| orders.segment(index)).collect();
    let expected = [
        Some("ns"),
        Some("shop"),
        Some("sa"),
        Some("orders"),
        None,
        None,
    ];
    assert_eq!(by_number, expected);
    assert_eq!(orders.segment(usize::MAX), None);
    assert_eq!(orders.segment_after("ns"), Some("shop"));
    assert_eq!(orders.segment_after("orders"), None);
    for absent in ["", "/", "n", "NS", "ns/shop"] {
        assert_eq!(orders.segment_after(absent), None, "{absent:?}");
    }
}

#[test]
fn of_two_segments_of_a_name_the_first_counts() {
    let orders = peer("spiffe://td/tenant/a/region/b/tenant/c");
    assert_eq!(orders.segment_after("tenant"), Some("a"));
    assert_eq!(
        peer("spiffe://td/ns/sa/sa/orders").segment_after("sa"),
        Some("sa")
    );
}

#[test]
fn a_namespace_cannot_pass_for_a_service_account() {
    let sly = peer("spiffe://td/ns/sa/sa/ns");
    assert_eq!(sly.namespace(), Some("sa"));
    assert_eq!(sly.service_account(), Some("ns"));
    for other in [
        "spiffe://td/ns/shop",
        "spiffe://td/ns/shop/sa",
        "spiffe://td/ns/shop/sa/orders/x",
        "spiffe://td/x/ns/shop/sa/orders",
        "spiffe://td/NS/shop/sa/orders",
        "spiffe://td/sa/orders/ns/shop",
        "spiffe://td/ns/shop/service/orders",
    ] {
        let other = peer(other);
        assert_eq!(other.namespace(), None, "{other}");
        assert_eq!(other.service_account(), None, "{other}");
    }
}
