//! B.1: requests that one reader takes for one thing and another reader for another.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{MatchedPath, Path, Request};
use axum::routing::{any, get, get_service};
use spiffe_authz::axum::{Router, any_service, get as guarded_get, guard};
use spiffe_authz::guard::AuthzLayer;
use tonic::Code;
use tower::{Layer, ServiceExt as _};

use crate::common::Probe;
use crate::served::*;

const ALL: &str = r#"name: all, allow: ["* /**"], from: [web]"#;

#[tokio::test]
async fn threats_01_a_path_without_its_slash_is_never_routed() {
    let deny = r#"name: no, deny: ["grpc shop.v1.Orders/Create"], from: authenticated"#;
    let site = Site::of(Some(WEB), &[ALL, deny]).await;
    let rpc = RpcSite::of(Some(WEB), &[ALL, deny]).await;
    let send = async |address, path: &'static str| {
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "good.test"),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        raw_http2(address, &headers).await
    };
    for path in [
        "shop.v1.Orders/Create",
        "//shop.v1.Orders/Create",
        "/shop.v1.Orders//Create",
        "/shop.v1.Orders/./Create",
        "/shop.v1.Orders/Create",
        "/shop.v1.Orders/%43reate",
        "/shop.v1.Orders/Create/",
        "*",
        "",
        "shop.v1.Orders/List",
    ] {
        for address in [site.guarded.address, site.bound.address, rpc.address] {
            send(address, path).await;
        }
        let calls = (
            site.guarded.probe.calls(),
            site.bound.probe.calls(),
            rpc.orders.calls(),
        );
        assert_eq!(calls, (0, 0, 0), "{path:?} was served");
    }
    for address in [site.guarded.address, site.bound.address, rpc.address] {
        assert_eq!(send(address, "/shop.v1.Orders/List").await, 1);
    }
    let calls = (
        site.guarded.probe.calls(),
        site.bound.probe.calls(),
        rpc.orders.calls(),
    );
    assert_eq!(calls, (1, 1, 1), "the bytes are in order");

    rpc.kept_out("/shop.v1.Orders/Create", Code::PermissionDenied)
        .await;
    rpc.kept_out("/shop.v1.Orders/%43reate", Code::PermissionDenied)
        .await;
    rpc.passes("/shop.v1.Orders/List").await;
}

const NO_ADMIN: &str = r#"name: no-admin, deny: ["* /admin/**"], from: authenticated"#;

#[tokio::test]
async fn threats_02_slashes_in_disguise_pass_no_deny() {
    let site = Site::of(Some(WEB), &[ALL, NO_ADMIN]).await;
    for path in [
        "/admin",
        "/admin/x",
        "//admin",
        "///admin",
        "/admin//",
        "/admin/",
        "/%61dmin",
        "/%61%64%6d%69%6e/x",
        "/x%2fadmin",
        "/%2fadmin",
        "/%2Fadmin",
        "/x%5cadmin",
        "/%5Cadmin",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[400, 403])
            .await;
    }
    // A backslash is no beginning of a target, for hyper already.
    site.refused(&head("GET \\admin"), &[400]).await;
    site.passes(&head("GET /administrator")).await;
    site.passes(&head("GET /x/admin")).await;
}

#[tokio::test]
async fn threats_03_dots_pass_no_allow() {
    let rule = r#"name: public, allow: ["GET /public/**"], from: [web]"#;
    let site = Site::of(Some(WEB), &[rule]).await;
    for path in [
        "/private",
        "/public/../private",
        "/public/./../private",
        "/public/.././private",
        "/public/%2E%2E/private",
        "/public/%2e%2e/private",
        "/public/%2E/%2E%2E/private",
        "/public/%2E%2E/%2E/private",
        "/public/..%2fprivate",
        "/public/..%2Fprivate",
        "/public/.%2e/private",
        "/public/%2e./private",
        "/public/%252e%252e/private",
        "/public/%25252e%25252e/private",
        "/public/..",
        "/public/.",
        "/./public",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[400, 403])
            .await;
    }
    for path in [
        "/public",
        "/public/a",
        "/public/a..b",
        "/public/..a",
        "/public/...",
    ] {
        site.passes(&head(&format!("GET {path}"))).await;
    }
}

#[tokio::test]
async fn threats_04_fragments_and_queries_are_no_part_of_a_path() {
    let rule = r#"name: profile, allow: ["GET /user/profile"], from: [web]"#;
    let site = Site::of(Some(WEB), &[rule]).await;
    for path in [
        "/user/profile%23x",
        "/user/profile%3fx",
        "/user/profile%3Fx=1",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[400, 403])
            .await;
    }
    for path in [
        "/user/profile",
        "/user/profile?x",
        "/user/profile?x=/../admin;y",
    ] {
        site.passes(&head(&format!("GET {path}"))).await;
    }

    // The other way round: no end of a path hides it from a rule that denies.
    let deny = r#"name: no-profile, deny: ["* /user/profile"], from: authenticated"#;
    let site = Site::of(Some(WEB), &[ALL, deny]).await;
    for path in ["/user/profile", "/user/profile?x", "/user/profile?"] {
        site.kept_out(&head(&format!("GET {path}")), &[403]).await;
    }
    site.refused(&head("GET /user/profile#x"), &[400, 403])
        .await;
    site.passes(&head("GET /user/profiles")).await;
}

#[tokio::test]
async fn threats_05_matrix_parameters_are_refused() {
    let site = Site::of(Some(WEB), &[ALL]).await;
    for path in [
        "/orders;a=b",
        "/orders;",
        "/x/..;/orders",
        "/..;/orders",
        "/orders%3bx",
        "/orders%3Bx",
        "/orders%253bx",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[400]).await;
    }
    site.passes(&head("GET /orders")).await;
    site.passes(&head("GET /orders?a;b")).await;
}

#[tokio::test]
async fn threats_06_two_slashes_begin_no_authority() {
    let rules = [ALL, NO_ADMIN];
    let site = Site::of(Some(WEB), &rules).await;
    for path in ["//admin/x", "//x/admin", "//good.test/admin"] {
        site.kept_out(&head(&format!("GET {path}")), &[400]).await;
    }
    site.passes(&head("GET /x/admin")).await;

    // The policy's own reader of targets, as the command line uses it.
    let (policy, headers) = (policy(&rules), http::HeaderMap::new());
    let ask = |target| {
        let peer = spiffe_peer::parse::workload_id(WEB).unwrap();
        let query = spiffe_authz::policy::Query::new(&http::Method::GET, target, &headers);
        policy.decide(&query.peer(&peer)).status()
    };
    assert_eq!(ask("//admin/x"), 400);
    assert_eq!(ask("/admin/x"), 403);
    assert_eq!(ask("/x/admin"), 200);
}

#[tokio::test]
async fn threats_07_a_query_is_cut_off_not_encoded() {
    let rules = [ALL, r#"name: no, deny: ["* /p"], from: authenticated"#];
    let site = Site::of(Some(WEB), &rules).await;
    site.kept_out(&head("GET /p?q=1"), &[403]).await;
    // `?` that is written as `%3F` is a letter of another path.
    site.passes(&head("GET /p%3Fq=1")).await;

    let (policy, headers) = (policy(&rules), http::HeaderMap::new());
    let peer = spiffe_peer::parse::workload_id(WEB).unwrap();
    for (target, status) in [
        ("/p?q=1", 403),
        ("/p?", 403),
        ("/p%3Fq=1", 200),
        ("/q?/p", 200),
    ] {
        let query = spiffe_authz::policy::Query::new(&http::Method::GET, target, &headers);
        assert_eq!(
            policy.decide(&query.peer(&peer)).status(),
            status,
            "{target}"
        );
    }
}

#[tokio::test]
async fn threats_08_an_allow_list_holds_for_the_normal_form_alone() {
    let rule = r#"name: api, allow: ["GET /api/v1/orders"], from: [web]"#;
    let site = Site::of(Some(WEB), &[rule]).await;
    for path in [
        "/api/v1/orders/",
        "/api//v1/orders",
        "/api/v1/../v1/orders",
        "/api/v1/%2e/orders",
        "/api/v1%2forders",
        "/api/v1/orders/../../admin",
        "/api/v1/orders%00",
        "/api/v1/orders%ff",
        "/API/v1/orders",
        "/admin",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[400, 403])
            .await;
    }
    site.passes(&head("GET /api/v1/orders")).await;
}

/// The same routes at the root, nested below two prefixes, and mounted as a service.
fn nested(probe: &Probe) -> axum::Router {
    let inner = || {
        axum::Router::new().route(
            "/orders/{id}",
            any({
                let probe = probe.clone();
                move |request: Request| probe.oneshot(request)
            }),
        )
    };
    axum::Router::new()
        .merge(inner())
        .nest("/api", inner())
        .nest("/{v}/deep", inner())
        .nest_service("/svc", inner())
}

#[tokio::test]
async fn threats_09_a_mount_changes_no_path_for_a_rule() {
    let narrow = [r#"name: root, allow: ["GET /orders/{id}"], from: [web]"#];
    let wide = [
        ALL,
        r#"name: no, deny: ["* /api/orders/**", "* /v1/deep/orders/7", "* /svc/**"], from: authenticated"#,
    ];
    let paths = [
        "/orders/7",
        "/api/orders/7",
        "/v1/deep/orders/7",
        "/svc/orders/7",
    ];
    let expected = [200, 403, 403, 403];
    for rules in [&narrow[..], &wide[..]] {
        let layer = || AuthzLayer::new(policy(rules)).unwrap();
        let probe = Probe::default();
        let inner = |layer: AuthzLayer, probe: &Probe| {
            let probe = probe.clone();
            axum::Router::new()
                .route(
                    "/orders/{id}",
                    any(move |request: Request| probe.oneshot(request)),
                )
                .layer(layer)
        };
        // Outside everything; on the outer router; inside each router that is nested.
        let outside = serve(Some(&peer(WEB)), layer().layer(nested(&probe))).await;
        let outer = serve(Some(&peer(WEB)), nested(&probe).layer(layer())).await;
        let inside = axum::Router::new()
            .merge(inner(layer(), &probe))
            .nest("/api", inner(layer(), &probe))
            .nest("/{v}/deep", inner(layer(), &probe))
            .nest_service("/svc", inner(layer(), &probe));
        let inside = serve(Some(&peer(WEB)), inside).await;
        for (place, address) in [("outside", outside), ("outer", outer), ("inside", inside)] {
            for (path, expected) in paths.into_iter().zip(expected) {
                let before = probe.calls();
                let status = status(address, &head(&format!("GET {path}"))).await;
                assert_eq!(status, expected, "{place}: {path} by {rules:?}");
                assert_eq!(
                    probe.calls() - before,
                    usize::from(expected == 200),
                    "{path}"
                );
            }
        }
    }

    // The guarded router: a mounted service sees a shorter path, and the policy the whole one.
    let bound = |rules: &[&str]| {
        let (mounted, nested) = (Probe::default(), Probe::default());
        let app = Router::new()
            .service("/svc", any_service(mounted.clone()).policy())
            .nest(
                "/api",
                Router::new().route("/orders/{id}", any_service(nested.clone()).policy()),
            )
            .bind(policy(rules))
            .unwrap();
        (app, mounted, nested)
    };
    let (app, mounted, nested) = bound(&[
        r#"name: svc, allow: ["GET /svc/**"], from: [web]"#,
        r#"name: api, allow: ["GET /api/orders/{id}"], from: [web]"#,
        r#"name: no, deny: ["* /svc/orders/8"], from: authenticated"#,
    ]);
    let address = serve(Some(&peer(WEB)), app).await;
    for (path, expected, calls) in [
        ("/svc/orders/7", 200, (1, 0)),
        ("/svc/orders/8", 403, (1, 0)),
        ("/orders/7", 403, (1, 0)),
        ("/api/orders/7", 200, (1, 1)),
    ] {
        assert_eq!(
            status(address, &head(&format!("GET {path}"))).await,
            expected,
            "{path}"
        );
        assert_eq!((mounted.calls(), nested.calls()), calls, "{path}");
    }
    // A rule of the inner path alone opens nothing, and is found dead at the start.
    let error = Router::<()>::new()
        .service("/svc", any_service(Probe::default()).policy())
        .bind(policy(&[
            r#"name: inner, allow: ["GET /orders/{id}"], from: [web]"#,
        ]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`inner` meets no route"), "{error}");
}

#[tokio::test]
async fn threats_10_a_new_line_hides_nothing() {
    let rules = [
        ALL,
        NO_ADMIN,
        r#"name: no-drafts, deny: ["* /docs/{name}"], from: authenticated, when: 'path.name.startsWith("draft")'"#,
        r#"name: no-evil, deny: ["* /any/**"], from: authenticated, when: '!request.path.matches("^/any/[a-z]+$")'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    for path in [
        "/admin/%0a",
        "/admin/%0d%0a",
        "/docs/draft%0a",
        "/docs/draft-1",
        "/any/good%0aevil",
        "/any/good%0a",
        "/any/%0agood",
    ] {
        site.kept_out(&head(&format!("GET {path}")), &[403]).await;
    }
    site.passes(&head("GET /docs/final")).await;
    site.passes(&head("GET /any/good")).await;
}

#[tokio::test]
async fn threats_10_a_dot_meets_a_new_line() {
    let rules = [
        ALL,
        r#"name: no-drafts, deny: ["* /docs/{name}"], from: authenticated, when: 'path.name.matches("^draft.*$")'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    site.kept_out(&head("GET /docs/draft-1"), &[403]).await;
    site.kept_out(&head("GET /docs/draft%0a"), &[403]).await;
    site.kept_out(&head("GET /docs/draft%0ax"), &[403]).await;
    site.passes(&head("GET /docs/final")).await;
}

#[tokio::test]
async fn threats_11_a_wildcard_is_a_whole_segment() {
    for pattern in [
        "GET /admin*",
        "GET /allow*/x",
        "GET /*.png",
        "GET /a**",
        "GET /**/x",
        "GET /x{id}",
        "GET /{id}.json",
    ] {
        let error = invalid(&[&format!(r#"name: a, allow: ["{pattern}"], from: [web]"#)]);
        assert!(
            error.contains("segment") || error.contains("wildcard") || error.contains("end"),
            "{pattern}: {error}"
        );
    }
    for pattern in [
        "spiffe://example.org/svc/pay*",
        "spiffe://example.org*",
        "spiffe://example.org*/x",
        "spiffe://*.example.org/x",
        "spiffe://*/x",
        "spiffe://example.org/**/x",
        "spiffe://example.org/*-svc",
    ] {
        invalid(&[&format!(
            r#"name: a, allow: ["GET /a"], from: ["{pattern}"]"#
        )]);
    }

    let exact =
        r#"name: pay, allow: ["GET /pay"], from: ["spiffe://example.org/svc/payment-processor"]"#;
    let below = r#"name: all, allow: ["GET /below"], from: ["spiffe://example.org/svc/pay/**"]"#;
    for (id, exactly, under) in [
        ("spiffe://example.org/svc/payment-processor", 200, 403),
        ("spiffe://example.org/svc/payment-processor-2", 403, 403),
        ("spiffe://example.org/svc/payment-processor/x", 403, 403),
        ("spiffe://example.org/svc/payment", 403, 403),
        ("spiffe://example.org.evil/svc/payment-processor", 403, 403),
        ("spiffe://example.org/svc/payroll", 403, 403),
        ("spiffe://example.org/svc/pay", 403, 200),
        ("spiffe://example.org/svc/pay/x/y", 403, 200),
        ("spiffe://example.org.evil/svc/pay/x", 403, 403),
        ("spiffe://evil.example.org/svc/pay/x", 403, 403),
    ] {
        let site = Site::of(Some(id), &[exact, below]).await;
        for (path, expected) in [("/pay", exactly), ("/below", under)] {
            let head = head(&format!("GET {path}"));
            if expected == 200 {
                site.passes(&head).await;
            } else {
                site.kept_out(&head, &[expected]).await;
            }
        }
    }
    let site = Site::of(
        Some(WEB),
        &[r#"name: a, allow: ["GET /admin/**"], from: [web]"#],
    )
    .await;
    site.kept_out(&head("GET /administrator"), &[403]).await;
    site.passes(&head("GET /admin/strator")).await;
}

#[tokio::test]
async fn threats_12_a_dot_is_a_dot() {
    let named = |effect: &str| {
        format!(
            r#"name: {effect}-it, {effect}: ["GET /files/a.b+c(d)"], from: ["spiffe://example.org/sa/cert-manager.io_x"]"#
        )
    };
    let id = "spiffe://example.org/sa/cert-manager.io_x";
    let other = "spiffe://example.org/sa/cert-managerXio_x";
    let (path, others) = (
        "GET /files/a.b+c(d)",
        [
            "GET /files/aXb+c(d)",
            "GET /files/a.bbc(d)",
            "GET /files/a.b+cd",
        ],
    );

    let allow = named("allow");
    let site = Site::of(Some(id), &[&allow]).await;
    site.passes(&head(path)).await;
    for path in others {
        site.kept_out(&head(path), &[403]).await;
    }
    Site::of(Some(other), &[&allow])
        .await
        .kept_out(&head(path), &[403])
        .await;

    let deny = named("deny");
    let all = r#"name: all, allow: ["* /**"], from: authenticated, because: test"#;
    let site = Site::of(Some(id), &[all, &deny]).await;
    site.kept_out(&head(path), &[403]).await;
    for path in others {
        site.passes(&head(path)).await;
    }
    Site::of(Some(other), &[all, &deny])
        .await
        .passes(&head(path))
        .await;
}

#[tokio::test]
async fn threats_13_junk_around_a_regular_expression() {
    let allow = r#"name: role, allow: ["GET /a"], from: [web], when: 'request.headers["x-role"].all(v, v.matches("^admin$"))'"#;
    let deny = r#"name: no, deny: ["GET /a"], from: [web], when: 'request.headers["x-role"].exists(v, v.matches("^never-admin$"))'"#;
    let site = Site::of(Some(WEB), &[allow, deny]).await;
    let with = |role: &str| format!("{}\r\nx-role: {role}", head("GET /a"));
    for role in [
        "never-admin",
        "adminx",
        "xadmin",
        "admin,admin",
        "ADMIN",
        "never-match-admin",
    ] {
        site.kept_out(&with(role), &[403]).await;
    }
    site.kept_out(&format!("{}\r\nx-role: never-admin", with("admin")), &[403])
        .await;
    site.passes(&with("admin")).await;
    site.passes(&format!("{}\r\nx-role: admin", with("admin")))
        .await;
}

#[tokio::test]
async fn threats_14_a_trailing_slash_is_another_path_unless_all_agree() {
    let rules = [
        r#"name: orders, allow: ["GET /orders"], from: [web]"#,
        r#"name: no, deny: ["* /secret"], from: authenticated"#,
        r#"name: rest, allow: ["GET /rest/**"], from: [web]"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    site.kept_out(&head("GET /orders/"), &[400]).await;
    site.kept_out(&head("GET /secret/"), &[400]).await;
    site.kept_out(&head("GET /rest/a/"), &[400]).await;
    site.passes(&head("GET /orders")).await;

    let trim = tower::util::MapRequestLayer::new(|mut request: Request| {
        let path = request.uri().path();
        if path.len() > 1 && path.ends_with('/') {
            *request.uri_mut() = path.trim_end_matches('/').parse().unwrap();
        }
        request
    });
    let probe = Probe::default();
    let layer = || AuthzLayer::new(policy(&rules)).unwrap();
    let calls = async |address, path: &str, expected: u16| {
        let before = probe.calls();
        let status = status(address, &head(&format!("GET {path}"))).await;
        assert_eq!(status, expected, "{path}");
        assert_eq!(
            probe.calls() - before,
            usize::from(expected == 200),
            "{path}"
        );
    };
    // A layer that trims belongs outside: the guard inside it sees what the router sees.
    let right = serve(
        Some(&peer(WEB)),
        trim.clone().layer(layer().layer(everything(&probe))),
    )
    .await;
    // The other way round, what only the trimmer could read is refused.
    let wrong = serve(
        Some(&peer(WEB)),
        layer().layer(trim.layer(everything(&probe))),
    )
    .await;
    for (path, inside, outside) in [
        ("/orders", 200, 200),
        ("/orders/", 200, 400),
        ("/secret", 403, 403),
        ("/secret/", 403, 400),
        ("/secret//", 403, 400),
    ] {
        calls(right, path, inside).await;
        calls(wrong, path, outside).await;
    }

    // A guard that is told that everything behind it does the same.
    let told = layer().accept_trailing_slash().layer(everything(&probe));
    let told = serve(Some(&peer(WEB)), told).await;
    for (path, expected) in [
        ("/orders", 200),
        ("/orders/", 200),
        ("/orders//", 400),
        ("/secret/", 403),
        ("/rest/a/", 200),
        ("//", 400),
        ("/orders/%2f", 400),
        ("/orders/./", 400),
    ] {
        calls(told, path, expected).await;
    }
}

#[tokio::test]
async fn threats_15_a_host_has_no_case_and_a_path_has() {
    let rules = [
        r#"name: good, allow: ["* /**"], from: [web], when: 'request.host == "good.test"'"#,
        r#"name: no, deny: ["GET /orders"], from: authenticated"#,
        r#"name: no-old, deny: ["GET /old"], from: authenticated, when: 'request.host == "good.test"'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    let to = |path: &str, host: &str| format!("GET {path} HTTP/1.1\r\nhost: {host}");
    for host in ["good.test", "GOOD.test", "Good.Test:443", "good.test:8080"] {
        site.passes(&to("/new", host)).await;
        site.kept_out(&to("/old", host), &[403]).await;
    }
    for host in ["good.test.evil", "evil.test", "good.testx"] {
        site.kept_out(&to("/new", host), &[403]).await;
    }
    site.kept_out(&head("GET /orders"), &[403]).await;
    site.passes(&head("GET /ORDERS")).await;

    let narrow = Site::of(
        Some(WEB),
        &[r#"name: a, allow: ["GET /orders"], from: [web]"#],
    )
    .await;
    narrow.kept_out(&head("GET /ORDERS"), &[403]).await;
    narrow.kept_out(&head("get /orders"), &[403]).await;
    narrow.passes(&head("GET /orders")).await;
}

#[tokio::test]
async fn threats_16_a_condition_and_a_handler_see_the_same_capture() {
    let rules = [
        r#"name: one, allow: ["GET /o/{id}"], from: [web], when: 'path.id == "a b%"'"#,
        r#"name: rest, allow: ["GET /files/**"], from: [web], when: 'request.path != "/files/secret/ä"'"#,
    ];
    let router = || {
        axum::Router::new()
            .route("/o/{id}", get(async |Path(id): Path<String>| id))
            .route("/files/{*rest}", get(async |Path(rest): Path<String>| rest))
    };
    let guarded = serve(Some(&peer(WEB)), guard(router(), policy(&rules)).unwrap()).await;
    let bound = Router::new()
        .route(
            "/o/{id}",
            guarded_get(async |Path(id): Path<String>| id).policy(),
        )
        .route(
            "/files/{*rest}",
            guarded_get(async |Path(rest): Path<String>| rest).policy(),
        )
        .bind(policy(&rules))
        .unwrap();
    let bound = serve(Some(&peer(WEB)), bound).await;
    let open = serve(None, router()).await;

    for address in [guarded, bound] {
        for (path, seen) in [
            ("/o/a%20b%25", "a b%"),
            ("/files/a%20b/c", "a b/c"),
            ("/files/secret/%C3%B6", "secret/ö"),
        ] {
            assert_eq!(body(address, &format!("GET {path}")).await, seen);
        }
        for path in ["/o/a%20b", "/o/a+b%25", "/o/x", "/files/secret/%C3%A4"] {
            assert_eq!(
                status(address, &head(&format!("GET {path}"))).await,
                403,
                "{path}"
            );
        }
        for path in [
            "/o/4%2f2",
            "/o/4%5c2",
            "/o/..",
            "/o/%2e%2e",
            "/o/..%2fx",
            "/o/a%00b",
            "/o/%252f",
            "/o/a%252fb",
            "/o/%ff",
            "/files/a/../b",
            "/files//etc",
            "/files/a%00b",
            "/files/a%252fb",
            "/files/%ff",
        ] {
            assert_eq!(
                status(address, &head(&format!("GET {path}"))).await,
                400,
                "{path}"
            );
        }
    }
    // The control: axum alone hands these to the handler.
    assert_eq!(body(open, "GET /o/..%2fx").await, "../x");
    assert_eq!(body(open, "GET /files/a/../b").await, "a/../b");
}

#[tokio::test]
async fn threats_17_a_mounted_service_is_no_way_around() {
    let probe = Probe::default();
    let mounted = || axum::Router::new().nest_service("/svc", get_service(probe.clone()));
    let strict = [r#"name: other, allow: ["GET /other/{x}"], from: [web]"#];
    let open = [r#"name: svc, allow: ["GET /svc/**"], from: [web]"#];

    let outside = serve(Some(&peer(WEB)), guard(mounted(), policy(&strict)).unwrap()).await;
    let on_router = mounted().layer(AuthzLayer::new(policy(&strict)).unwrap());
    let on_router = serve(Some(&peer(WEB)), on_router).await;
    for address in [outside, on_router] {
        for path in ["/svc/x/1", "/svc", "/svc/x"] {
            assert_eq!(
                status(address, &head(&format!("GET {path}"))).await,
                403,
                "{path}"
            );
        }
    }
    assert_eq!(probe.calls(), 0);
    let address = serve(Some(&peer(WEB)), guard(mounted(), policy(&open)).unwrap()).await;
    assert_eq!(status(address, &head("GET /svc/x/1")).await, 200);
    assert_eq!(probe.calls(), 1);

    let error = Router::<()>::new()
        .service("/svc", any_service(probe.clone()).policy())
        .bind(policy(&strict))
        .unwrap_err()
        .to_string();
    assert!(error.contains("* /svc"), "{error}");
}

#[tokio::test]
async fn threats_18_a_late_route_is_guarded_too() {
    let probe = Probe::default();
    let handler = || {
        let probe = probe.clone();
        get(move |request: Request| probe.oneshot(request))
    };
    let rules = [r#"name: early, allow: ["GET /early"], from: [web]"#];
    let layered = axum::Router::new()
        .route("/early", handler())
        .layer(AuthzLayer::new(policy(&rules)).unwrap())
        .route("/late", handler());
    // What a layer cannot see.
    let address = serve(Some(&peer(BATCH)), layered.clone()).await;
    assert_eq!(status(address, &head("GET /early")).await, 403);
    assert_eq!(
        status(address, &head("GET /late")).await,
        200,
        "axum has changed"
    );
    assert_eq!(probe.calls(), 1);

    // `guard` gives back no router, and covers what was there.
    let app = guard(layered, policy(&rules)).unwrap();
    for (id, early) in [(WEB, 200), (BATCH, 403)] {
        let address = serve(Some(&peer(id)), app.clone()).await;
        assert_eq!(status(address, &head("GET /early")).await, early);
        assert_eq!(status(address, &head("GET /late")).await, 403);
    }
    assert_eq!(probe.calls(), 2);

    // In the guarded router no route is late; without a rule in the policy it does not start.
    let error = Router::<()>::new()
        .route("/early", any_service(probe.clone()).policy())
        .route("/late", any_service(probe.clone()).policy())
        .bind(policy(&rules))
        .unwrap_err()
        .to_string();
    assert!(error.contains("* /late"), "{error}");
}

#[tokio::test]
async fn threats_19_a_fallback_and_a_strange_method_need_a_rule() {
    let rules = [
        r#"name: get, allow: ["GET /any"], from: [web]"#,
        r#"name: every, allow: ["* /every"], from: [web]"#,
        r#"name: post, allow: ["POST /orders"], from: [web]"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    for request in [
        "BREW /any",
        "POST /any",
        "DELETE /orders",
        "BREW /orders",
        "GET /nowhere",
        "get /any",
    ] {
        site.kept_out(&head(request), &[403]).await;
    }
    for request in ["GET /any", "BREW /every", "X-Y!Z /every"] {
        site.passes(&head(request)).await;
    }

    // In code: `any` has a rule of its own, and so has the fallback.
    let (route, fallback) = (Probe::default(), Probe::default());
    let app = Router::new()
        .route("/any", any_service(route.clone()).allow(WEB))
        .route("/get", guarded_get(async || "got").allow(BATCH))
        .fallback(any_service(fallback.clone()).allow(BATCH))
        .build()
        .unwrap();
    let web = serve(Some(&peer(WEB)), app.clone()).await;
    let batch = serve(Some(&peer(BATCH)), app).await;
    for (address, request, expected) in [
        (web, "BREW /any", 200),
        (batch, "BREW /any", 403),
        (web, "GET /nowhere", 403),
        (batch, "BREW /nowhere", 200),
        (batch, "BREW /get", 403),
        (web, "DELETE /get", 403),
    ] {
        assert_eq!(status(address, &head(request)).await, expected, "{request}");
    }
    assert_eq!((route.calls(), fallback.calls()), (1, 1));
}

#[tokio::test]
async fn threats_20_head_goes_where_get_goes_and_never_the_reverse() {
    let rules = [
        r#"name: get, allow: ["GET /get"], from: [web]"#,
        r#"name: head, allow: ["HEAD /head"], from: [web]"#,
        r#"name: all, allow: ["* /denied/**"], from: [web]"#,
        r#"name: no, deny: ["GET /denied/get", "HEAD /denied/head"], from: authenticated"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    for request in [
        "GET /get",
        "HEAD /get",
        "HEAD /head",
        "GET /denied/head",
        "POST /denied/get",
    ] {
        site.passes(&head(request)).await;
    }
    for request in [
        "GET /head",
        "GET /denied/get",
        "HEAD /denied/get",
        "HEAD /denied/head",
        "POST /get",
    ] {
        site.kept_out(&head(request), &[403]).await;
    }
}

#[tokio::test]
async fn threats_21_targets_that_are_no_paths() {
    let records = Records::default();
    let probe = Probe::default();
    let layer = || {
        AuthzLayer::new(policy(&[ALL]))
            .unwrap()
            .audit_to(records.clone())
    };
    let guarded = serve(Some(&peer(WEB)), layer().layer(everything(&probe))).await;
    let bound = serve(Some(&peer(WEB)), everything_bound(&probe, layer())).await;
    let open = Server::open().await;
    for head in [
        "OPTIONS * HTTP/1.1\r\nhost: good.test",
        "CONNECT good.test:443 HTTP/1.1\r\nhost: good.test:443",
    ] {
        status(open.address, head).await;
        for (name, address) in [("guard", guarded), ("bind", bound)] {
            assert_eq!(status(address, head).await, 400, "{name}: {head}");
            let kept = records.take();
            assert_eq!(kept.len(), 1, "{name}: one record of {head}");
            assert_eq!(kept[0]["authorizationDecision"], "deny");
            assert_eq!(kept[0]["reason"], "bad_request");
            assert_eq!(kept[0]["spiffeId"], WEB);
            assert_eq!(kept[0]["action"], head.split(' ').next().unwrap());
        }
    }
    assert_eq!(
        open.probe.calls(),
        2,
        "both reach a handler that nobody guards"
    );
    assert_eq!(probe.calls(), 0);
    for address in [guarded, bound] {
        assert_eq!(status(address, &head("OPTIONS /x")).await, 200);
    }
    assert_eq!(probe.calls(), 2);
}

#[tokio::test]
async fn threats_21b_a_merged_method_is_no_way_around() {
    let probe = Probe::default();
    let handler = || {
        let probe = probe.clone();
        move |request: Request| probe.clone().oneshot(request)
    };
    let rules = [r#"name: get, allow: ["GET /merged"], from: [web]"#];
    let layered = axum::Router::new()
        .route("/merged", get(handler()))
        .layer(AuthzLayer::new(policy(&rules)).unwrap())
        .merge(axum::Router::new().route("/merged", axum::routing::post(handler())));
    let address = serve(Some(&peer(BATCH)), layered.clone()).await;
    assert_eq!(status(address, &head("GET /merged")).await, 403);
    assert_eq!(
        status(address, &head("POST /merged")).await,
        200,
        "axum has changed"
    );
    assert_eq!(probe.calls(), 1);

    let app = serve(Some(&peer(WEB)), guard(layered, policy(&rules)).unwrap()).await;
    assert_eq!(status(app, &head("POST /merged")).await, 403);
    assert_eq!(status(app, &head("GET /merged")).await, 200);
    assert_eq!(probe.calls(), 2);

    let error = Router::new()
        .route("/merged", guarded_get(handler()).policy())
        .merge(Router::<()>::new().route("/merged", spiffe_authz::axum::post(handler()).policy()))
        .bind(policy(&rules))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("POST /merged") && !error.contains("GET /merged"),
        "{error}"
    );
}

#[tokio::test]
async fn threats_22_templates_are_whole_at_every_depth() {
    type Seen = Arc<Mutex<Vec<Option<String>>>>;
    let seen = Seen::default();
    let watch = |seen: &Seen| {
        let seen = seen.clone();
        tower::util::MapRequestLayer::new(move |request: Request| {
            let matched = request.extensions().get::<MatchedPath>();
            seen.lock()
                .unwrap()
                .push(matched.map(|matched| matched.as_str().to_owned()));
            request
        })
    };
    let rules = [r#"name: deep, allow: ["GET /a/*/b/c/{id}"], from: [web]"#];
    let authz = || AuthzLayer::new(policy(&rules)).unwrap();
    let third = axum::Router::new()
        .route("/{id}", get(async || "deep"))
        .layer(watch(&seen))
        .layer(authz());
    let second = axum::Router::new()
        .nest("/c", third)
        .layer(watch(&seen))
        .layer(authz());
    let first = axum::Router::new()
        .nest("/{x}/b", second)
        .layer(watch(&seen))
        .layer(authz());
    let app = axum::Router::new()
        .nest("/a", first)
        .layer(watch(&seen))
        .layer(authz());
    let address = serve(Some(&peer(WEB)), app.clone()).await;
    assert_eq!(body(address, "GET /a/1/b/c/2").await, "deep");
    assert_eq!(
        *seen.lock().unwrap(),
        vec![Some("/a/{x}/b/c/{id}".to_owned()); 4]
    );
    let batch = serve(Some(&peer(BATCH)), app).await;
    assert_eq!(status(batch, &head("GET /a/1/b/c/2")).await, 403);
    assert_eq!(
        seen.lock().unwrap().len(),
        4,
        "the outermost guard has refused it"
    );
}

/// What is mounted below the guarded router by an author of today.
#[tokio::test]
async fn threats_09_and_22_a_guarded_router_inside_a_router_of_axum() {
    let rules = [
        r#"name: read, allow: ["GET /api/orders/{id}"], from: [web]"#,
        r#"name: no, deny: ["* /api/orders/8"], from: authenticated"#,
    ];
    // Its own routes are relative; what a policy says is about the whole path.
    let app = |layer: AuthzLayer| layer.layer(everything(&Probe::default()));
    let outer =
        axum::Router::new().nest_service("/api", app(AuthzLayer::new(policy(&rules)).unwrap()));
    let address = serve(Some(&peer(WEB)), outer).await;
    for (path, expected) in [
        ("/api/orders/7", 200),
        ("/api/orders/8", 403),
        ("/api/x", 403),
    ] {
        assert_eq!(
            status(address, &head(&format!("GET {path}"))).await,
            expected,
            "{path}"
        );
    }
    let request = Request::get("/api/orders/7").body(Body::empty()).unwrap();
    let inner = peer(WEB).layer(app(AuthzLayer::new(policy(&rules)).unwrap()));
    assert_eq!(inner.oneshot(request).await.unwrap().status(), 200);
}
