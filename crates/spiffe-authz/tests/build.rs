//! What cannot be built: told all at once, never by a panic.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not every test uses every part of `common`"
)]

mod common;

use common::{PAYMENTS, Probe, STOCK};
use spiffe_authz::Policy;
use spiffe_authz::axum::{Router, any, any_service, get, post};

#[test]
fn every_mistake_comes_out_at_once() {
    let nested = Router::new()
        .route("/x", get(async || "").allow("spiffe://*/x"))
        .fallback(any(async || "").anyone("x"));
    let error = Router::<()>::new()
        .route(
            "/bad-id",
            get(async || "")
                .allow(["example.org/a", PAYMENTS])
                .allow("spiffe://example.org/b*"),
        )
        .route(
            "/blank",
            get(async || "")
                .authenticated(" ")
                .post(async || "")
                .anyone(""),
        )
        .route("/empty", get(async || "").allow(Vec::<String>::new()))
        .route("/mixed", get(async || "").anyone("x").allow(PAYMENTS))
        .route("/twice", get(async || "").allow(PAYMENTS))
        .route("/twice", get(async || "").allow(STOCK))
        .route("/slash/", get(async || "").allow(PAYMENTS))
        .route("no-slash", get(async || "").allow(PAYMENTS))
        .route("/o/{id}", get(async || "").allow(PAYMENTS))
        .route("/o/{name}", post(async || "").allow(PAYMENTS))
        .service("/", any_service(Probe::default()).allow(PAYMENTS))
        .service("/m", any_service(Probe::default()).allow(PAYMENTS))
        .route("/m/{*rest}", get(async || "").allow(PAYMENTS))
        .nest("/n/", nested)
        .fallback(any(async || "").allow("x"))
        .fallback(any(async || "").allow("y"))
        .build()
        .unwrap_err();
    let text = error.to_string();
    for expected in [
        "GET /bad-id: `example.org/a` is no ID pattern",
        "`spiffe://example.org/b*` is no ID pattern",
        "GET /blank:",
        "POST /blank:",
        "GET /empty: the rule names nobody",
        "GET /mixed: a rule either names IDs",
        "GET /twice: there are two handlers",
        "\"/slash/\" is no path for a route",
        "\"no-slash\" is no path for a route: a path begins with `/`",
        "\"/o/{name}\" is no path for a route",
        "\"/\" is no path for a route",
        "\"/m/{*rest}\" is no path for a route",
        "nesting at \"/n/\"",
        "a nested router has no fallback",
        "`spiffe://*/x` is no ID pattern",
        "there are two fallbacks",
        "any fallback: `y` is no ID pattern",
    ] {
        assert!(text.contains(expected), "{expected}\nis missing in\n{text}");
    }
    assert!(!text.contains(PAYMENTS), "what is right is not told of");
}

/// The trial that keeps axum from panicking is worth something only with the matcher that axum uses.
#[test]
fn a_rule_that_only_a_more_special_route_can_meet_covers_no_other() {
    let bound = |action: &str| {
        let policy = Policy::from_yaml(&format!(
            "version: 1\nname: orders\ntrust_domains: {{ example.org: {{}} }}\nrules:\n  - {{ name: some, allow: [\"{action}\"], from: [\"{STOCK}\"] }}\n"
        ));
        Router::<()>::new()
            .route("/orders/special", get(async || "").policy())
            .route("/orders/{id}", get(async || "").policy())
            .route("/orders/{id}/lines", get(async || "").policy())
            .route("/{*rest}", get(async || "").policy())
            .bind(policy.unwrap())
            .map(drop)
            .map_err(|invalid| invalid.problems().map(str::to_owned).collect::<Vec<_>>())
    };
    let uncovered = |action: &str| -> Vec<String> {
        let problems = bound(action).unwrap_err();
        problems
            .iter()
            .filter_map(|problem| problem.split_once(" allows anybody GET "))
            .filter_map(|(_, route)| Some(route.split_once(':')?.0.to_owned()))
            .collect()
    };
    assert_eq!(
        uncovered("GET /orders/special"),
        ["/orders/{id}", "/orders/{id}/lines", "/{*rest}"]
    );
    assert_eq!(
        uncovered("GET /orders/{id}"),
        ["/orders/{id}/lines", "/{*rest}"]
    );
    assert_eq!(
        uncovered("GET /orders/{id}/lines"),
        ["/orders/special", "/orders/{id}", "/{*rest}"]
    );
    assert_eq!(
        uncovered("GET /orders/special/{any}"),
        ["/orders/special", "/orders/{id}"]
    );
    assert_eq!(bound("GET /**"), Ok(()));
}

#[test]
fn axum_and_this_crate_share_one_version_of_matchit() {
    let lock =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    assert_eq!(lock.matches("name = \"matchit\"").count(), 1);
}

#[test]
fn whatever_the_paths_are_building_does_not_panic() {
    let paths = [
        "",
        "/",
        "//",
        "/a",
        "/a/",
        "/{a}",
        "/{b}",
        "/{*a}",
        "/{*b}",
        "/a/{b}",
        "/a/{*b}",
        "/{a}/b",
        "/{a}/{b}",
        "/a{b}",
        "/{a}b",
        "/{a",
        "/a}",
        "/{}",
        "/{*}",
        "/:a",
        "/*a",
        "/{{a}}",
        "/{a}/{a}",
        "/{*a}/b",
        "/%",
        "/%41",
        "/é",
        "a",
        "*",
        "{a}",
        "/a/b/c",
        "/{a}/b/{c}",
        "/a/{b}/{*c}",
    ];
    for one in paths {
        for other in paths {
            let _ = Router::<()>::new()
                .route(one, get(async || "").allow(PAYMENTS))
                .route(other, post(async || "").allow(PAYMENTS))
                .build();
            let _ = Router::<()>::new()
                .service(one, any_service(Probe::default()).allow(PAYMENTS))
                .route(other, get(async || "").allow(PAYMENTS))
                .build();
            let nested = Router::<()>::new()
                .route(other, get(async || "").allow(PAYMENTS))
                .service(one, any_service(Probe::default()).allow(PAYMENTS));
            let _ = Router::new().nest(one, nested).build();
        }
    }
}
