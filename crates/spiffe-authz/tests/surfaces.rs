//! What a layer sees in axum by where it is mounted, and what the guards decide there.
//!
//! The first half tests axum itself: a version of it that changes one of these lines changes what a guard
//! has to be told.

#![cfg(feature = "axum")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, OriginalUri, Request};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post};
use http::Method;
use spiffe_authz::axum::guard;
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use spiffe_authz::{Refusal, RequireIdLayer};
use tower::util::MapRequestLayer;
use tower::{Layer, Service, ServiceExt};

const WEB: &str = "spiffe://example.org/ns/shop/sa/web";

/// What a layer has seen of one request.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    method: Method,
    path: String,
    template: Option<String>,
    original: Option<String>,
}

#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<Seen>>>);

impl Watcher {
    fn layer(
        &self,
    ) -> MapRequestLayer<impl Fn(Request) -> Request + Clone + Send + Sync + 'static> {
        let seen = self.0.clone();
        MapRequestLayer::new(move |request: Request| {
            let of = request.extensions();
            seen.lock().unwrap().push(Seen {
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                template: of.get::<MatchedPath>().map(|path| path.as_str().to_owned()),
                original: of.get::<OriginalUri>().map(|uri| uri.0.path().to_owned()),
            });
            request
        })
    }

    /// Sends a request and tells the status and what was seen of it.
    async fn watch<S>(&self, app: &S, method: &str, path: &str) -> (u16, Option<Seen>)
    where
        S: Service<Request, Response = Response, Error = std::convert::Infallible> + Clone,
    {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let mut seen = self.0.lock().unwrap();
        assert!(seen.len() < 2, "one layer runs once");
        (response.status().as_u16(), seen.pop())
    }

    /// The path and the template that were seen, and that the status was this one.
    async fn sees<S>(
        &self,
        app: &S,
        request: (&str, &str),
        status: u16,
        expected: Option<(&str, Option<&str>)>,
    ) where
        S: Service<Request, Response = Response, Error = std::convert::Infallible> + Clone,
    {
        let (got, seen) = self.watch(app, request.0, request.1).await;
        assert_eq!(got, status, "{request:?}");
        let seen = seen.map(|seen| (seen.path, seen.template));
        let expected =
            expected.map(|(path, template)| (path.to_owned(), template.map(str::to_owned)));
        assert_eq!(seen, expected, "{request:?}");
    }
}

fn hello() -> MethodRouter {
    get(async || "hello")
}

fn plain() -> Router {
    Router::new().route("/plain/{x}", hello())
}

#[tokio::test]
async fn outside_the_router_a_layer_sees_every_request_and_no_template() {
    let watcher = Watcher::default();
    let routes = plain().nest("/api", Router::new().route("/b/{id}", hello()));
    let app = watcher.layer().layer(routes.route("/late", hello()));
    for (request, status) in [
        (("GET", "/plain/1"), 200),
        (("HEAD", "/plain/1"), 200),
        (("POST", "/plain/1"), 405),
        (("BREW", "/plain/1"), 405),
        (("GET", "/api/b/2"), 200),
        (("GET", "/late"), 200),
        (("GET", "/nowhere"), 404),
    ] {
        watcher
            .sees(&app, request, status, Some((request.1, None)))
            .await;
        let (_, seen) = watcher.watch(&app, request.0, request.1).await;
        assert_eq!(seen.unwrap().original, None);
    }
}

#[tokio::test]
async fn a_layer_of_the_router_sees_templates_and_no_late_route() {
    let watcher = Watcher::default();
    let app = plain()
        .nest("/api", Router::new().route("/b/{id}", hello()))
        .route_service("/wild/{*rest}", hello())
        .layer(watcher.layer())
        .route("/late", hello());
    for (request, status, template) in [
        (("GET", "/plain/1"), 200, Some("/plain/{x}")),
        (("HEAD", "/plain/1"), 200, Some("/plain/{x}")),
        (("GET", "/plain/a%2Fb"), 200, Some("/plain/{x}")),
        (("POST", "/plain/1"), 405, Some("/plain/{x}")),
        (("BREW", "/plain/1"), 405, Some("/plain/{x}")),
        (("GET", "/api/b/2"), 200, Some("/api/b/{id}")),
        (("GET", "/wild/a/b"), 200, Some("/wild/{*rest}")),
        (("GET", "/nowhere"), 404, None),
        (("GET", "//plain/1"), 404, None),
        (("GET", "/plain/1/"), 404, None),
        (("GET", "/Plain/1"), 404, None),
        (("GET", "/%70lain/1"), 404, None),
        (("GET", "/./plain/1"), 404, None),
    ] {
        watcher
            .sees(&app, request, status, Some((request.1, template)))
            .await;
        let (_, seen) = watcher.watch(&app, request.0, request.1).await;
        let seen = seen.unwrap();
        assert_eq!(seen.original.as_deref(), Some(request.1));
        assert_eq!(seen.method.as_str(), request.0);
    }
    watcher.sees(&app, ("GET", "/late"), 200, None).await;

    // A fallback is covered if it was there.
    let before = plain().fallback(async || "found").layer(watcher.layer());
    watcher
        .sees(&before, ("GET", "/x"), 200, Some(("/x", None)))
        .await;
    let after = plain().layer(watcher.layer()).fallback(async || "found");
    watcher.sees(&after, ("GET", "/x"), 200, None).await;
}

#[tokio::test]
async fn a_route_layer_runs_for_routes_alone() {
    let watcher = Watcher::default();
    let app = plain().route_layer(watcher.layer()).route("/late", hello());
    let template = Some("/plain/{x}");
    for (request, status, seen) in [
        (("GET", "/plain/1"), 200, Some(("/plain/1", template))),
        (("HEAD", "/plain/1"), 200, Some(("/plain/1", template))),
        (("POST", "/plain/1"), 405, Some(("/plain/1", template))),
        (("GET", "/nowhere"), 404, None),
        (("GET", "/late"), 200, None),
    ] {
        watcher.sees(&app, request, status, seen).await;
    }
    let panics =
        std::panic::catch_unwind(|| Router::<()>::new().route_layer(Watcher::default().layer()));
    assert!(panics.is_err(), "an empty router has a route layer");
}

#[tokio::test]
async fn a_layer_of_a_nested_router_sees_a_short_path_and_the_whole_template() {
    let watcher = Watcher::default();
    let inner = Router::new()
        .route("/b/{id}", hello())
        .layer(watcher.layer())
        .route("/late", hello());
    let app = plain().nest("/{v}/api", inner).fallback(async || "outer");
    let template = Some("/{v}/api/b/{id}");
    for (request, status, seen) in [
        (("GET", "/1/api/b/2"), 200, Some(("/b/2", template))),
        (("HEAD", "/1/api/b/2"), 200, Some(("/b/2", template))),
        (("POST", "/1/api/b/2"), 405, Some(("/b/2", template))),
        // The fallback of the outer router answers, and the inner layer does not run.
        (("GET", "/1/api/nowhere"), 200, None),
        (("GET", "/1/api/late"), 200, None),
        (("GET", "/plain/1"), 200, None),
    ] {
        watcher.sees(&app, request, status, seen).await;
    }
    let (_, seen) = watcher.watch(&app, "GET", "/1/api/b/2").await;
    assert_eq!(seen.unwrap().original.as_deref(), Some("/1/api/b/2"));
}

#[tokio::test]
async fn a_nested_service_hides_its_route_from_outside() {
    let outside = Watcher::default();
    let mounted = || Router::new().route("/x/{y}", hello()).route("/", hello());
    let app = Router::new()
        .nest_service("/svc", mounted())
        .layer(outside.layer());
    for (path, template) in [
        ("/svc/x/1", None),
        ("/svc", Some("/svc")),
        ("/svc/", Some("/svc/")),
    ] {
        outside
            .sees(&app, ("GET", path), 200, Some((path, template)))
            .await;
    }
    outside
        .sees(&app, ("GET", "/svc/no"), 404, Some(("/svc/no", None)))
        .await;

    let inside = Watcher::default();
    let app = Router::new().nest_service("/svc", mounted().layer(inside.layer()));
    inside
        .sees(
            &app,
            ("GET", "/svc/x/1"),
            200,
            Some(("/x/1", Some("/svc/x/{y}"))),
        )
        .await;
    inside
        .sees(
            &app,
            ("POST", "/svc/x/1"),
            405,
            Some(("/x/1", Some("/svc/x/{y}"))),
        )
        .await;
    inside
        .sees(&app, ("GET", "/svc/no"), 404, Some(("/no", None)))
        .await;
    let (_, seen) = inside.watch(&app, "GET", "/svc/x/1").await;
    assert_eq!(seen.unwrap().original.as_deref(), Some("/svc/x/1"));
}

#[tokio::test]
async fn a_layer_of_a_method_router_runs_on_405_and_a_route_layer_does_not() {
    let template = Some("/plain/{x}");
    let watcher = Watcher::default();
    let app = Router::new().route(
        "/plain/{x}",
        hello().layer(watcher.layer()).put(async || "late"),
    );
    for (method, status, runs) in [
        ("GET", 200, true),
        ("HEAD", 200, true),
        ("DELETE", 405, true),
        ("BREW", 405, true),
        ("PUT", 200, false),
    ] {
        let seen = runs.then_some(("/plain/1", template));
        watcher.sees(&app, (method, "/plain/1"), status, seen).await;
    }
    let watcher = Watcher::default();
    let app = Router::new().route("/plain/{x}", hello().route_layer(watcher.layer()));
    for (method, status, runs) in [
        ("GET", 200, true),
        ("HEAD", 200, true),
        ("DELETE", 405, false),
    ] {
        let seen = runs.then_some(("/plain/1", template));
        watcher.sees(&app, (method, "/plain/1"), status, seen).await;
    }
}

#[tokio::test]
async fn merged_routers_keep_their_own_layers_method_by_method() {
    let watcher = Watcher::default();
    let app = Router::new()
        .route("/merged", hello())
        .layer(watcher.layer())
        .merge(Router::new().route("/merged", post(async || "posted")));
    watcher
        .sees(
            &app,
            ("GET", "/merged"),
            200,
            Some(("/merged", Some("/merged"))),
        )
        .await;
    watcher.sees(&app, ("POST", "/merged"), 200, None).await;
    let panics = std::panic::catch_unwind(|| {
        plain().fallback(async || "one").merge(
            Router::new()
                .route("/m", any(async || ""))
                .fallback(async || "other"),
        )
    });
    assert!(panics.is_err(), "two fallbacks are merged");
}

/// The routes of the second half, with a layer at one place.
fn app(place: &str, layer: AuthzLayer) -> Router {
    let at = |here: &str, router: Router| {
        if place == here {
            router.layer(layer.clone())
        } else {
            router
        }
    };
    let methods = |here: &str| {
        if place == here {
            hello().layer(layer.clone())
        } else if place == "route_layer of a method router" && here == "layer of a method router" {
            hello().route_layer(layer.clone())
        } else {
            hello()
        }
    };
    let inner = at("nested router", Router::new().route("/b/{id}", hello()));
    let mounted = at("nested service", Router::new().route("/c/{id}", hello()));
    let routes = Router::new()
        .route("/plain/{x}", methods("layer of a method router"))
        .nest("/api", inner)
        .nest_service("/svc", mounted);
    let routes = match place {
        "route_layer" => routes.route_layer(layer.clone()),
        _ => at("layer", routes.fallback(async || "fallback")),
    };
    routes.route("/late", hello())
}

/// Wherever it runs, the layer decides by the whole path; where it does not run, everything passes.
#[tokio::test]
async fn an_authz_layer_decides_by_the_path_as_it_arrived_wherever_it_runs() {
    const REQUESTS: [(&str, &str); 10] = [
        ("GET", "/plain/1"),
        ("GET", "/plain/8"),
        ("DELETE", "/plain/1"),
        ("GET", "/api/b/2"),
        ("GET", "/api/b/8"),
        ("GET", "/svc/c/3"),
        ("GET", "/svc/c/8"),
        ("GET", "/svc/no"),
        ("GET", "/nowhere"),
        ("GET", "/late"),
    ];
    // `*/8` is denied, though the whole of each tree is allowed; everything else is not allowed. The
    // paths that a nested router sees (`/b/2`, `/c/3`) are allowed to nobody, and denied to everybody.
    let policy = Policy::from_yaml(&format!(
        "version: 1\nname: whole-paths\ntrust_domains: {{ example.org: {{}} }}\nrules:\n\
         \x20 - {{ name: trees, allow: [\"GET /plain/**\", \"GET /api/**\", \"GET /svc/c/**\"], from: [\"{WEB}\"] }}\n\
         \x20 - {{ name: eight, deny: [\"* /plain/8\", \"* /api/b/8\", \"* /svc/c/8\"], from: [\"{WEB}\"] }}\n\
         \x20 - {{ name: short, deny: [\"* /b/**\", \"* /c/**\"], from: anyone }}\n"
    ))
    .unwrap();
    let yes = true;
    let no = false;
    // Whether the layer runs for each of the requests.
    let table = [
        ("layer", [yes, yes, yes, yes, yes, yes, yes, yes, yes, no]),
        (
            "route_layer",
            [yes, yes, yes, yes, yes, yes, yes, yes, no, no],
        ),
        (
            "layer of a method router",
            [yes, yes, yes, no, no, no, no, no, no, no],
        ),
        (
            "route_layer of a method router",
            [yes, yes, no, no, no, no, no, no, no, no],
        ),
        ("nested router", [no, no, no, yes, yes, no, no, no, no, no]),
        (
            "nested service",
            [no, no, no, no, no, yes, yes, yes, no, no],
        ),
        ("outside", [yes; 10]),
    ];
    let web = MockPeer::id(WEB).unwrap();
    for (place, runs) in table {
        let layer = AuthzLayer::new(policy.clone()).unwrap();
        let routes = app(place, layer);
        for ((method, path), runs) in REQUESTS.into_iter().zip(runs) {
            let request = || {
                Request::builder()
                    .method(method)
                    .uri(path)
                    .body(Body::empty())
                    .unwrap()
            };
            let response = if place == "outside" {
                web.layer(guard(routes.clone(), policy.clone()).unwrap())
                    .oneshot(request())
                    .await
            } else {
                web.layer(routes.clone()).oneshot(request()).await
            }
            .unwrap();
            let allowed = matches!(
                (method, path),
                ("GET", "/plain/1" | "/api/b/2" | "/svc/c/3")
            );
            let refused = response.extensions().get::<Refusal>().is_some();
            assert_eq!(refused, runs && !allowed, "{place}: {method} {path}");
            assert_eq!(
                refused,
                response.status() == 403,
                "{place}: {method} {path}"
            );
        }
    }
}

/// A layer of one rule looks at no path: it denies wherever it runs.
#[tokio::test]
async fn a_require_id_layer_denies_wherever_it_runs() {
    let layer = || RequireIdLayer::exact("spiffe://example.org/ns/shop/sa/other").unwrap();
    let inner = Router::new().route("/b/{id}", hello()).layer(layer());
    let app = Router::new()
        .route("/plain/{x}", hello().layer(layer()).put(async || "late"))
        .nest("/api", inner);
    let web = MockPeer::id(WEB).unwrap().layer(app);
    for (method, path, status) in [
        ("GET", "/plain/1", 403),
        ("HEAD", "/plain/1", 403),
        ("BREW", "/plain/1", 403),
        ("PUT", "/plain/1", 200),
        ("GET", "/api/b/1", 403),
        ("GET", "/nowhere", 404),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = web.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
    }
}
