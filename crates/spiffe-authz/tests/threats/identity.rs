//! B.3: who calls.
//!
//! That a certificate or a token gives one identity or none is shown where it is verified:
//!
//! | line | tests |
//! |---|---|
//! | 40, 41, 52 | `spiffe-verify`: `conformance_16_exactly_one_uri`, `conformance_18_and_31_the_uri_is_the_id_of_a_workload` |
//! | 42 | `spiffe-verify`: `conformance_13_and_30_a_bundle_speaks_for_its_own_trust_domain_only` |
//! | 49 | `spiffe-verify`: `conformance_43_trap_an_empty_list_is_no_audience`, `conformance_46_a_bundle_speaks_for_its_own_trust_domain` and the other tests of `jwt` |
//! | 53 | `tests/integration`, `lifetime` and `ends_of_trust` |

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::{Value, json};
use spiffe_authz::axum::{Router, any_service};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use spiffe_peer::{EndUser, parse};
use tonic::Code;
use tower::Layer;

use crate::common::Probe;
use crate::served::*;

const READ: &str = r#"name: read, allow: ["* /**"], from: [web]"#;

#[tokio::test]
async fn threats_40_a_name_is_no_identity() {
    // The ID that is allowed stands everywhere but in the identity.
    let site = Site::of(Some(BATCH), &[READ]).await;
    let nobody = Site::of(None, &[READ]).await;
    for header in [
        format!("host: {}", "web.shop.svc.cluster.local"),
        "host: example.org".to_owned(),
    ] {
        let head = format!("GET /a HTTP/1.1\r\n{header}");
        site.kept_out(&head, &[403]).await;
        nobody.kept_out(&head, &[401]).await;
    }
    for header in [
        format!("from: {WEB}"),
        format!("user-agent: {WEB}"),
        format!("authorization: Bearer {WEB}"),
        format!("x-client-cert-subject: CN={WEB}"),
        format!("x-client-cert-san: DNS:example.org,URI:{WEB}"),
    ] {
        let head = format!("{}\r\n{header}", head("GET /a"));
        site.kept_out(&head, &[403]).await;
        nobody.kept_out(&head, &[401]).await;
    }
    Site::of(Some(WEB), &[READ])
        .await
        .passes(&head("GET /a"))
        .await;
}

#[tokio::test]
async fn threats_41_two_names_are_nobody() {
    // What verification refuses comes here without an identity, if it comes at all.
    let site = Site::of(
        None,
        &[
            READ,
            r#"name: v, allow: ["GET /version"], from: authenticated, because: test"#,
        ],
    )
    .await;
    site.kept_out(&head("GET /a"), &[401]).await;
    site.kept_out(&head("GET /version"), &[401]).await;
    let rpc = RpcSite::of(None, &[READ]).await;
    rpc.kept_out("/shop.v1.Orders/List", Code::Unauthenticated)
        .await;
    // And no text with two names is an ID.
    for two in [
        format!("{WEB},{BATCH}"),
        format!("{WEB} {BATCH}"),
        format!("{WEB}\0{BATCH}"),
        format!("{WEB},https://example.org"),
    ] {
        assert!(MockPeer::id(&two).is_err(), "{two:?}");
    }
    RpcSite::of(Some(WEB), &[READ])
        .await
        .passes("/shop.v1.Orders/List")
        .await;
}

#[tokio::test]
async fn threats_42_the_same_path_in_another_trust_domain_is_another_workload() {
    let rules = [
        r#"name: web, allow: ["GET /web"], from: [web]"#,
        r#"name: all, allow: ["GET /all"], from: ["spiffe://example.org/**"]"#,
        r#"name: same, allow: ["GET /same"], from: ["spiffe://example.org/ns/{ns}/sa/{sa}"], when: 'peer.trust_domain == "example.org"'"#,
        r#"name: any, allow: ["GET /any"], from: authenticated, because: test"#,
    ];
    for (id, ours) in [
        (WEB, true),
        (PARTNER, false),
        ("spiffe://example.org.evil/ns/shop/sa/web", false),
        ("spiffe://xexample.org/ns/shop/sa/web", false),
        ("spiffe://example-org/ns/shop/sa/web", false),
    ] {
        let site = Site::of(Some(id), &rules).await;
        let rpc = RpcSite::of(
            Some(id),
            &[r#"name: rpc, allow: ["grpc **"], from: ["spiffe://example.org/**"]"#],
        )
        .await;
        for path in ["/web", "/all", "/same"] {
            let head = head(&format!("GET {path}"));
            if ours {
                site.passes(&head).await;
            } else {
                site.kept_out(&head, &[403]).await;
            }
        }
        if ours {
            rpc.passes("/shop.v1.Orders/List").await;
        } else {
            rpc.kept_out("/shop.v1.Orders/List", Code::PermissionDenied)
                .await;
        }
        site.passes(&head("GET /any")).await;
    }
}

#[tokio::test]
async fn threats_43_federation_alone_grants_nothing() {
    // `partner.example` is listed as federated in every policy of these tests.
    let ours = r#"name: ours, allow: ["GET /a"], from: ["spiffe://example.org/ns/*/sa/*"]"#;
    let theirs = r#"name: theirs, allow: ["GET /b"], from: [partner]"#;
    let site = Site::of(Some(PARTNER), &[ours, theirs]).await;
    site.kept_out(&head("GET /a"), &[403]).await;
    site.passes(&head("GET /b")).await;
    let site = Site::of(Some(WEB), &[ours, theirs]).await;
    site.passes(&head("GET /a")).await;
    site.kept_out(&head("GET /b"), &[403]).await;
    // A trust domain that is not listed cannot even be spoken of, nor can one have another name.
    assert!(
        invalid(&[r#"name: a, allow: ["GET /a"], from: ["spiffe://other.example/x"]"#])
            .contains("other.example")
    );
    for aliases in [
        "{ example.org: { aliases: [partner.example] } }",
        "{ example.org: partner.example }",
    ] {
        let text = format!("{{ version: 1, name: a, trust_domains: {aliases}, rules: [] }}");
        assert!(Policy::from_yaml(&text).is_err(), "{aliases}");
    }
}

#[tokio::test]
async fn threats_44_no_header_becomes_identity_or_a_decision() {
    let deny = r#"name: no, deny: ["GET /secret"], from: [batch]"#;
    let all = r#"name: batch, allow: ["GET /secret", "GET /mine"], from: [batch]"#;
    let batch = Site::of(Some(BATCH), &[READ, all, deny]).await;
    let nobody = Site::of(None, &[READ, all, deny]).await;
    let rpc = RpcSite::of(None, &[READ]).await;
    let claims = [
        format!("x-forwarded-client-cert: By=spiffe://example.org/me;URI={WEB}"),
        format!("X-Forwarded-Client-Cert: URI={WEB}"),
        format!("x-spiffe-id: {WEB}"),
        format!("X-Spiffe-Id: {WEB}"),
        format!("x_spiffe_id: {WEB}"),
        format!("spiffe-id: {WEB}"),
        "x-authz-decision: allow".to_owned(),
        "x-middleware-subrequest: middleware".to_owned(),
        "user_id: admin".to_owned(),
        "x-original-uri: /mine".to_owned(),
        "x-original-url: /mine".to_owned(),
        "x-rewrite-url: /mine".to_owned(),
        "x-http-method-override: POST".to_owned(),
        "x-forwarded-prefix: /mine".to_owned(),
    ];
    for claim in &claims {
        let asks = |path: &str| format!("{}\r\n{claim}", head(&format!("GET {path}")));
        batch.kept_out(&asks("/secret"), &[403]).await;
        batch.kept_out(&asks("/web"), &[403]).await;
        batch.passes(&asks("/mine")).await;
        nobody.kept_out(&asks("/mine"), &[401]).await;
    }
    // The same over gRPC, where they are metadata.
    for claim in claims {
        let (name, value) = claim.split_once(": ").unwrap();
        let mut request = tonic::Request::new("hello".to_owned());
        let name =
            tonic::metadata::AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes())
                .unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
        let path = http::uri::PathAndQuery::from_static("/shop.v1.Orders/List");
        let answer = channel(rpc.address).await.unary(request, path, Texts).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    }
    assert_eq!(rpc.orders.calls(), 0);
}

#[tokio::test]
async fn threats_45_a_header_that_a_proxy_was_told_to_drop_is_no_ground_for_an_allow() {
    let rules = [
        r#"name: tenant, allow: ["GET /a"], from: [web], when: 'request.headers["x-tenant"] == ["a"]'"#,
        r#"name: absent, allow: ["GET /b"], from: [web], when: '!("x-internal" in request.headers)'"#,
        r#"name: all, allow: ["GET /c", "GET /d"], from: [web]"#,
        r#"name: no, deny: ["GET /c"], from: [web], when: '"x-blocked" in request.headers && request.headers["x-blocked"] == ["yes"]'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    let with = |path: &str, more: &str| format!("{}{more}", head(&format!("GET {path}")));
    for (path, more) in [
        ("/a", "\r\nconnection: close, x-tenant\r\nx-tenant: a"),
        ("/a", "\r\nconnection: close, X-Tenant\r\nx-tenant: a"),
        (
            "/a",
            "\r\nconnection: close\r\nconnection: x-other ,x-tenant\r\nx-tenant: a",
        ),
        ("/b", "\r\nconnection: close, x-internal"),
        ("/c", "\r\nconnection: close, x-blocked"),
        ("/c", "\r\nconnection: close, x-blocked\r\nx-blocked: yes"),
        ("/c", "\r\nx-blocked: yes"),
    ] {
        site.kept_out(&with(path, more), &[403]).await;
    }
    for (path, more) in [
        ("/a", "\r\nx-tenant: a"),
        (
            "/a",
            "\r\nconnection: close, TE\r\nte: trailers\r\nx-tenant: a",
        ),
        ("/b", ""),
        ("/c", "\r\nx-blocked: no"),
        ("/d", "\r\nconnection: close, x-tenant\r\nx-tenant: a"),
    ] {
        site.passes(&with(path, more)).await;
    }
}

#[tokio::test]
async fn threats_46_every_value_of_a_header_counts() {
    let rules = [
        r#"name: users, allow: ["GET /one"], from: [web], when: 'request.headers["x-role"] == ["user"]'"#,
        r#"name: some, allow: ["GET /some"], from: [web], when: 'request.headers["x-role"].exists(v, v == "user")'"#,
        r#"name: all, allow: ["GET /deny"], from: [web]"#,
        r#"name: no, deny: ["GET /deny"], from: [web], when: '"x-role" in request.headers && request.headers["x-role"].exists(v, v == "admin")'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    let with = |path: &str, roles: &[&str]| {
        let mut head = head(&format!("GET {path}"));
        for role in roles {
            head.push_str(&format!("\r\nx-role: {role}"));
        }
        head
    };
    for roles in [
        &["user", "admin"][..],
        &["admin", "user"],
        &["user,admin"],
        &["user, admin"],
        &["user", "user"],
    ] {
        site.kept_out(&with("/one", roles), &[403]).await;
    }
    site.passes(&with("/one", &["user"])).await;
    for roles in [&["admin"][..], &["user", "admin"], &["admin", "user"]] {
        site.kept_out(&with("/deny", roles), &[403]).await;
    }
    site.passes(&with("/deny", &["user"])).await;
    site.passes(&with("/some", &["admin", "user"])).await;
    site.kept_out(&with("/some", &["admin"]), &[403]).await;
    site.kept_out(&with("/some", &["admin,user"]), &[403]).await;
}

#[tokio::test]
async fn threats_47_two_authorities_meet_no_rule() {
    let good =
        r#"name: good, allow: ["GET /orders"], from: [web], when: 'request.host == "good.test"'"#;
    let open = r#"name: open, allow: ["GET /open"], from: [web]"#;
    let site = Site::of(Some(WEB), &[good, open]).await;
    for path in ["/orders", "/open"] {
        for head in [
            format!("GET http://evil.test{path} HTTP/1.1\r\nhost: good.test"),
            format!("GET http://good.test{path} HTTP/1.1\r\nhost: evil.test"),
            format!("GET {path} HTTP/1.1\r\nhost: good.test\r\nhost: evil.test"),
            format!("GET {path} HTTP/1.1\r\nhost: good.test\r\nhost: good.test"),
            format!("GET {path} HTTP/1.1\r\nhost: good.test,evil.test"),
            format!("GET {path} HTTP/1.1\r\nhost: good.test@evil.test"),
            format!("GET {path} HTTP/1.1\r\nhost: good.test/evil.test"),
        ] {
            site.refused(&head, &[400]).await;
        }
        site.passes(&format!("GET {path} HTTP/1.1\r\nhost: good.test"))
            .await;
        site.passes(&format!(
            "GET http://good.test{path} HTTP/1.1\r\nhost: GOOD.test"
        ))
        .await;
    }
    site.kept_out("GET /orders HTTP/1.1\r\nhost: evil.test", &[403])
        .await;

    for server in [&site.guarded, &site.bound] {
        let before = server.probe.calls();
        let send = async |host: Option<&'static str>| {
            let mut headers = vec![
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "good.test"),
                (":path", "/orders"),
            ];
            headers.extend(host.map(|host| ("host", host)));
            raw_http2(server.address, &headers).await
        };
        send(Some("evil.test")).await;
        assert_eq!(server.probe.calls(), before);
        send(Some("good.test")).await;
        send(None).await;
        assert_eq!(server.probe.calls(), before + 2, "the bytes are in order");
    }
}

#[tokio::test]
async fn threats_48_a_forwarded_host_is_no_host() {
    let rules = [
        r#"name: good, allow: ["GET /a"], from: [web], when: 'request.host == "good.test"'"#,
        r#"name: all, allow: ["GET /b"], from: [web]"#,
        r#"name: no, deny: ["GET /b"], from: [web], when: 'request.host == "internal.test"'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    for header in [
        "x-forwarded-host: HOST",
        "X-Forwarded-Host: HOST",
        "forwarded: host=HOST",
        "x-host: HOST",
        "x-original-host: HOST",
    ] {
        let claim = |request: &str, host: &str, claimed: &str| {
            format!(
                "{request} HTTP/1.1\r\nhost: {host}\r\n{}",
                header.replace("HOST", claimed)
            )
        };
        site.kept_out(&claim("GET /a", "evil.test", "good.test"), &[403])
            .await;
        site.kept_out(&claim("GET /b", "internal.test", "good.test"), &[403])
            .await;
        site.passes(&claim("GET /a", "good.test", "evil.test"))
            .await;
        site.passes(&claim("GET /b", "good.test", "internal.test"))
            .await;
    }
}

#[tokio::test]
async fn threats_49_a_token_of_somebody_else_is_refused() {
    let rules = |binding: &str| {
        Policy::from_yaml(&format!(
            "version: 1\nname: a\ntrust_domains: {{ example.org: {{}} }}\n\
             users: {{ staff: {{ issuer: https://id.test, audiences: [orders], bound_to: {binding} }} }}\n\
             rules:\n  - {{ name: user, allow: [\"GET /user\"], from: [\"{WEB}\"], user: {{ issuer: staff, scopes: [read] }} }}\n\
             \x20 - {{ name: alone, allow: [\"GET /alone\"], from: [\"{WEB}\"], user: absent }}\n\
             \x20 - {{ name: any, allow: [\"GET /any\"], from: [\"{WEB}\"] }}\n"
        ))
        .unwrap()
    };
    let user = |issuer: &str, claims: Value| {
        let Value::Object(claims) = claims else {
            panic!("claims are an object");
        };
        EndUser::new(issuer, "jo")
            .with_scopes(["read"])
            .with_claims(claims)
    };
    let good = "https://id.test";
    let none = base64_of_zeros();
    for (binding, user, expected) in [
        ("none", user(good, json!({ "aud": "orders" })), 200),
        ("none", user(good, json!({ "aud": ["x", "orders"] })), 200),
        (
            "none",
            user("https://evil.test", json!({ "aud": "orders" })),
            401,
        ),
        (
            "none",
            user("https://id.test/", json!({ "aud": "orders" })),
            401,
        ),
        ("none", user(good, json!({ "aud": "stock" })), 401),
        ("none", user(good, json!({})), 401),
        (
            "actor",
            user(good, json!({ "aud": "orders", "act": { "sub": WEB } })),
            200,
        ),
        (
            "actor",
            user(good, json!({ "aud": "orders", "act": { "sub": BATCH } })),
            401,
        ),
        (
            "actor",
            user(good, json!({ "aud": "orders", "azp": WEB })),
            401,
        ),
        ("actor", user(good, json!({ "aud": "orders" })), 401),
        (
            "azp",
            user(good, json!({ "aud": "orders", "azp": WEB })),
            200,
        ),
        (
            "azp",
            user(good, json!({ "aud": "orders", "azp": BATCH })),
            401,
        ),
        (
            "azp",
            user(good, json!({ "aud": "orders", "azp": [WEB] })),
            401,
        ),
        (
            "cnf",
            user(
                good,
                json!({ "aud": "orders", "cnf": { "x5t#S256": none } }),
            ),
            200,
        ),
        (
            "cnf",
            user(
                good,
                json!({ "aud": "orders", "cnf": { "x5t#S256": "AAAA" } }),
            ),
            401,
        ),
        ("cnf", user(good, json!({ "aud": "orders" })), 401),
    ] {
        let (guarded, bound) = (Probe::default(), Probe::default());
        let with_user = tower::util::MapRequestLayer::new({
            let user = user.clone();
            move |mut request: axum::extract::Request| {
                request.extensions_mut().insert(user.clone());
                request
            }
        });
        let layer = || AuthzLayer::new(rules(binding)).unwrap();
        let app = with_user.layer(layer().layer(everything(&guarded)));
        let app = serve(Some(&peer(WEB)), app).await;
        let router = with_user.layer(everything_bound(&bound, layer()));
        let router = serve(Some(&peer(WEB)), router).await;
        for (address, probe) in [(app, guarded), (router, bound)] {
            let place = format!("{binding}: {user:?}");
            assert_eq!(
                status(address, &head("GET /user")).await,
                expected,
                "{place}"
            );
            // A token that is refused is no absent token, and stops what needs none.
            assert_eq!(
                status(address, &head("GET /any")).await,
                expected,
                "{place}"
            );
            let alone = if expected == 200 { 403 } else { 401 };
            assert_eq!(status(address, &head("GET /alone")).await, alone, "{place}");
            assert_eq!(
                probe.calls(),
                if expected == 200 { 2 } else { 0 },
                "{place}"
            );
        }
    }
    // An end user is nobody's identity.
    let site = Site::with(None, rules("none")).await;
    site.kept_out(&head("GET /user"), &[401]).await;
}

/// The thumbprint of the certificate of a `MockPeer`: 32 zeros in base64url.
fn base64_of_zeros() -> String {
    "A".repeat(43)
}

#[tokio::test]
async fn threats_50_authenticated_is_every_verified_peer_and_nobody_else() {
    let rule = r#"name: all, allow: ["* /**"], from: authenticated, because: test"#;
    for id in [WEB, BATCH, PARTNER, "spiffe://somewhere.else/x"] {
        Site::of(Some(id), &[rule])
            .await
            .passes(&head("GET /a"))
            .await;
        RpcSite::of(Some(id), &[rule])
            .await
            .passes("/shop.v1.Orders/List")
            .await;
    }
    Site::of(None, &[rule])
        .await
        .kept_out(&head("GET /a"), &[401])
        .await;
    RpcSite::of(None, &[rule])
        .await
        .kept_out("/shop.v1.Orders/List", Code::Unauthenticated)
        .await;
    // By ID alone, as the command line asks: the way in which it was proved plays no part.
    let (policy, headers) = (policy(&[rule]), HeaderMap::new());
    let id = parse::workload_id(PARTNER).unwrap();
    let query = spiffe_authz::policy::Query::new(&http::Method::GET, "/a", &headers);
    assert_eq!(policy.decide(&query.clone().peer(&id)).status(), 200);
    assert_eq!(policy.decide(&query).status(), 401);
}

/// Every server of these tests listens on the loopback address, and so do their clients.
#[tokio::test]
async fn threats_51_the_own_host_is_nobody() {
    let site = Site::of(None, &[READ]).await;
    assert!(site.guarded.address.ip().is_loopback());
    for host in ["localhost", "127.0.0.1", "[::1]", "good.test"] {
        site.kept_out(&format!("GET /a HTTP/1.1\r\nhost: {host}"), &[401])
            .await;
        site.kept_out(
            &format!("GET /a HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: 127.0.0.1"),
            &[401],
        )
        .await;
    }
    let app = Router::<()>::new()
        .route("/a", any_service(Probe::default()).allow(WEB))
        .build()
        .unwrap();
    let address = serve(None, app.clone()).await;
    assert_eq!(status(address, &head("GET /a")).await, 401);
    let address = serve(Some(&peer(WEB)), app).await;
    assert_eq!(status(address, &head("GET /a")).await, 200);
}

#[test]
fn threats_52_an_id_in_a_policy_is_read_as_strictly_as_one_on_the_wire() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048));
    for id in [
        "SPIFFE://example.org/a",
        "Spiffe://example.org/a",
        "spiffe://EXAMPLE.org/a",
        "spiffe://example.org/%61",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org/a/",
        "spiffe://example.org/",
        "spiffe://example.org",
        "spiffe://example.org//a",
        "spiffe://example.org/./a",
        "spiffe://example.org/../a",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe:///a",
        "spiffe:example.org/a",
        "https://example.org/a",
        "example.org/a",
        " spiffe://example.org/a",
        "spiffe://example.org/a ",
        "spiffe://example.org/\u{430}",
        "spiffe://ex\u{430}mple.org/a",
        "spiffe://example.org/a\u{202e}b",
        "spiffe://example.org/a\\b",
        &long,
    ] {
        assert!(MockPeer::id(id).is_err(), "{id:?} is an ID");
        let id = id.replace('\\', "\\\\");
        for effect in ["allow", "deny"] {
            invalid(&[&format!(r#"name: a, {effect}: ["GET /a"], from: ["{id}"]"#)]);
        }
        let text = format!(
            "{{ version: 1, name: a, trust_domains: {{ example.org: {{}} }}, principals: {{ p: \"{id}\" }}, rules: [] }}"
        );
        assert!(Policy::from_yaml(&text).is_err(), "{id:?} is a principal");
    }
    for id in [
        "spiffe://example.org/a",
        "spiffe://example.org/A.b_c-d",
        "spiffe://example_org/a",
    ] {
        assert!(MockPeer::id(id).is_ok(), "{id}");
    }
    policy(&[r#"name: a, allow: ["GET /a"], from: ["spiffe://example.org/A.b_c-d"]"#]);
}

#[tokio::test]
async fn threats_53_an_identity_that_has_ended_is_refused_on_an_open_connection() {
    let rules = [
        READ,
        r#"name: open, allow: ["GET /open"], from: anyone, because: test"#,
    ];
    let web = peer(WEB);
    let site = Site::with(Some(&web), policy(&rules)).await;
    let orders = Orders::default();
    let rpc = serve_tonic(
        Some(&web),
        Some(AuthzLayer::new(policy(&rules)).unwrap()),
        &orders,
    )
    .await;
    site.passes(&head("GET /a")).await;
    unary(rpc, "/shop.v1.Orders/List").await.unwrap();
    web.connection().withdraw();
    // Even what is for anyone: somebody whose identity has ended is not nobody.
    for path in ["GET /a", "GET /open"] {
        site.refused(&head(path), &[401]).await;
    }
    let status = unary(rpc, "/shop.v1.Orders/List").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(orders.calls(), 1);

    let past = || peer(WEB).valid_until(SystemTime::now() - Duration::from_secs(1));
    for ended in [past(), past()] {
        let closes = ended.connection().clone();
        let wish = closes.close_requested();
        let server = Server::guarded(Some(&ended), AuthzLayer::new(policy(&rules)).unwrap()).await;
        let early = tokio::time::timeout(Duration::from_millis(1), wish).await;
        assert!(early.is_err(), "nobody has asked yet");
        assert_eq!(
            crate::served::status(server.address, &head("GET /a")).await,
            401
        );
        // Its connection is asked to end.
        tokio::time::timeout(LONG, closes.close_requested())
            .await
            .unwrap();
        assert_eq!(server.probe.calls(), 0);
    }
    let soon = peer(WEB).valid_until(SystemTime::now() + Duration::from_secs(3600));
    let site = Site::with(Some(&soon), policy(&rules)).await;
    site.passes(&head("GET /a")).await;
}
