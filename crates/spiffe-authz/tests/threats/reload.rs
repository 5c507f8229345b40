//! B.4: files that change, and what that does to requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use spiffe_authz::Refusal;
use spiffe_authz::axum::{Router, get as guarded_get, guard};
use spiffe_authz::guard::AuthzLayer;
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::{LivePolicy, Policy, PolicyStatus, Query};
use tempfile::TempDir;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::common::Probe;
use crate::served::*;

/// A policy file in a directory of its own.
pub(crate) fn written(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// Replaces the file by rename, and waits until that has been noticed, for good or ill.
pub(crate) async fn replaced(live: &LivePolicy, directory: &TempDir, text: &str) -> PolicyStatus {
    let seen = live.status();
    let new = directory.path().join("policy.yaml.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, directory.path().join("policy.yaml")).unwrap();
    noticed(live, &seen).await
}

async fn noticed(live: &LivePolicy, seen: &PolicyStatus) -> PolicyStatus {
    tokio::time::timeout(LONG, live.changed(seen))
        .await
        .unwrap()
}

const A: &str = r#"name: a, allow: ["GET /a"], from: [web]"#;
const B: &str = r#"name: b, allow: ["GET /b"], from: [web]"#;

#[tokio::test]
async fn threats_54_a_bad_file_stays_visible_until_it_is_mended() {
    let named = |text: String| text.replace("name: test", "name: stays-visible");
    #[cfg(feature = "metrics")]
    gauge::install();
    let (directory, path) = written(&named(text(&[A])));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let generation = live.current().generation();
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), AuthzLayer::new(live.clone()).unwrap()).await;

    let refused = replaced(&live, &directory, "version: 1\nname: broken\nrules: [").await;
    let message = refused.refused().unwrap().to_string();
    assert!(message.contains("policy.yaml:"), "{message}");
    assert_eq!(refused.policy().generation(), generation);
    #[cfg(feature = "metrics")]
    assert_eq!(gauge::stale("stays-visible"), Some(1.0));

    // Looking again does not make it good: a second bad file is refused from the same last good one.
    let still = replaced(
        &live,
        &directory,
        &text(&[A]).replace("from: [web]", "from: []"),
    )
    .await;
    assert!(still.refused().is_some());
    assert_ne!(still.refused().unwrap().to_string(), message);
    assert_eq!(live.status().policy().generation(), generation);
    assert_eq!(status(server.address, &head("GET /a")).await, 200);

    // A file that is gone, and one that cannot be a policy, are such files too.
    let seen = live.status();
    std::fs::remove_file(&path).unwrap();
    assert!(
        noticed(&live, &seen)
            .await
            .refused()
            .unwrap()
            .to_string()
            .contains("cannot read")
    );
    let seen = live.status();
    std::fs::create_dir(&path).unwrap();
    assert!(
        noticed(&live, &seen)
            .await
            .refused()
            .unwrap()
            .to_string()
            .contains("no regular file")
    );
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(status(server.address, &head("GET /a")).await, 200);

    let mended = loop {
        let status = replaced(&live, &directory, &named(text(&[A, B]))).await;
        if status.refused().is_none() {
            break status;
        }
    };
    assert!(mended.policy().generation() > generation);
    assert_eq!(status(server.address, &head("GET /b")).await, 200);
    #[cfg(feature = "metrics")]
    {
        assert_eq!(gauge::stale("stays-visible"), Some(0.0));

        // The alarm ends with a policy of another name too. Looking resets what it looks at.
        let refused = replaced(&live, &directory, "no policy").await;
        assert!(refused.refused().is_some());
        let renamed = text(&[A]).replace("name: test", "name: renamed");
        let renamed = replaced(&live, &directory, &renamed).await;
        assert!(renamed.refused().is_none());
        assert_eq!(gauge::stale("stays-visible"), Some(0.0));
    }

    // At the start there is no last good one.
    assert!(LivePolicy::follow(Policy::loader(), directory.path().join("absent")).is_err());
    assert!(LivePolicy::follow(Policy::loader(), directory.path()).is_err());
}

#[cfg(feature = "metrics")]
mod gauge {
    use std::sync::OnceLock;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    fn snapshotter() -> &'static Snapshotter {
        static INSTALLED: OnceLock<Snapshotter> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let recorder = DebuggingRecorder::new();
            let snapshotter = recorder.snapshotter();
            recorder.install().unwrap();
            snapshotter
        })
    }

    /// What the gauge says of a policy. Looking installs the recorder, so look before it matters.
    pub(super) fn stale(policy: &str) -> Option<f64> {
        let values = snapshotter().snapshot().into_vec();
        values.into_iter().find_map(|(key, _, _, value)| {
            let key = key.key();
            let ours = key.name() == "spiffe_authz_policy_stale"
                && key.labels().any(|label| label.value() == policy);
            match value {
                DebugValue::Gauge(value) if ours => Some(value.into_inner()),
                _ => None,
            }
        })
    }

    pub(super) fn install() {
        snapshotter();
    }
}

#[tokio::test]
async fn threats_55_no_file_brings_the_follower_down() {
    let (directory, path) = written(&text(&[A]));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), AuthzLayer::new(live.clone()).unwrap()).await;
    let deep = "[".repeat(100_000);
    let condition = format!(
        r#"name: a, allow: ["GET /a"], from: [web], when: '{}true'"#,
        "!".repeat(10_000)
    );
    for (index, bad) in [
        String::new(),
        "\0".to_owned(),
        "%".repeat(1000),
        deep,
        "- ".repeat(10_000),
        "&a [*a, *a]".to_owned(),
        text(&[&condition]),
        text(&[r#"name: a, allow: ["GET /{"], from: [web]"#]),
        text(&[r#"name: a, allow: ["GET /a"], from: ["spiffe://"]"#]),
        "{ version: 1, name: a, trust_domains: { \"\": {} }, rules: [] }".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let seen = replaced(&live, &directory, &bad).await;
        assert!(seen.refused().is_some(), "file {index}");
        assert_eq!(
            status(server.address, &head("GET /a")).await,
            200,
            "file {index}"
        );
        assert_eq!(
            status(server.address, &head("GET /b")).await,
            403,
            "file {index}"
        );
    }
    replaced(&live, &directory, &text(&[B])).await;
    assert_eq!(status(server.address, &head("GET /a")).await, 403);
    assert_eq!(status(server.address, &head("GET /b")).await, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn threats_56_torn_files_and_volumes_that_are_exchanged() {
    use std::os::unix::fs::symlink;

    // As Kubernetes mounts a volume: the file is a link to `..data/`, which is a link to a directory.
    let directory = tempfile::tempdir().unwrap();
    let volume = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("policy.yaml"), text).unwrap();
    };
    let exchange = |name: &str| {
        let new = directory.path().join("..data_tmp");
        symlink(name, &new).unwrap();
        std::fs::rename(&new, directory.path().join("..data")).unwrap();
    };
    volume("..2026_01", &text(&[A]));
    exchange("..2026_01");
    let path = directory.path().join("policy.yaml");
    symlink("..data/policy.yaml", &path).unwrap();
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), AuthzLayer::new(live.clone()).unwrap()).await;
    let ask = async || {
        (
            status(server.address, &head("GET /a")).await,
            status(server.address, &head("GET /b")).await,
        )
    };
    assert_eq!(ask().await, (200, 403));
    let seen = live.status();
    volume("..2026_02", &text(&[B]));
    exchange("..2026_02");
    std::fs::remove_dir_all(directory.path().join("..2026_01")).unwrap();
    assert!(noticed(&live, &seen).await.refused().is_none());
    assert_eq!(ask().await, (403, 200));

    // Written in place, and cut off in the middle of a rule.
    let whole = text(&[A, B]);
    let inside = directory.path().join("..2026_02/policy.yaml");
    let seen = live.status();
    std::fs::write(&inside, &whole).unwrap();
    let seen = noticed(&live, &seen).await;
    assert!(seen.refused().is_none());
    assert_eq!(ask().await, (200, 200));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&inside)
        .unwrap();
    file.set_len(u64::try_from(whole.len() - 10).unwrap())
        .unwrap();
    let seen = noticed(&live, &seen).await;
    assert!(seen.refused().is_some());
    assert_eq!(ask().await, (200, 200));
    file.set_len(0).unwrap();
    let seen = noticed(&live, &seen).await;
    assert!(seen.refused().is_some());
    assert_eq!(ask().await, (200, 200));
    std::fs::write(&inside, text(&[A])).unwrap();
    noticed(&live, &seen).await;
    assert_eq!(ask().await, (200, 403));

    // Cut at every byte, a file is refused, or a policy that denies wherever the whole one denies.
    let headers = http::HeaderMap::new();
    let id = spiffe_peer::parse::workload_id(WEB).unwrap();
    let allowed = |policy: &Policy, path: &str| {
        policy
            .decide(&Query::new(&http::Method::GET, path, &headers).peer(&id))
            .is_allowed()
    };
    let whole = text(&[
        r#"name: no, deny: ["GET /b/*"], from: [web]"#,
        A,
        r#"name: b, allow: ["GET /b/**"], from: [web]"#,
    ]);
    let mut shorter = 0;
    for cut in 0..whole.len() {
        let Ok(policy) = Policy::from_yaml(&whole[..cut]) else {
            continue;
        };
        shorter += 1;
        assert!(
            !allowed(&policy, "/b/x") && !allowed(&policy, "/c"),
            "cut at {cut}"
        );
    }
    assert!(shorter > 0, "a cut between two rules leaves a policy");
    let policy = Policy::from_yaml(&whole).unwrap();
    assert!(allowed(&policy, "/a") && allowed(&policy, "/b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn threats_57_a_request_is_decided_by_one_generation() {
    // Every generation has a name of its own, and its only rule the same; each swap shifts the paths.
    let generation = |n: usize| {
        let open = if n.is_multiple_of(2) { "/a" } else { "/b" };
        text(&[&format!(r#"name: rule-{n}, allow: ["GET {open}"], from: [web], when: 'request.path == "{open}" && resource.n >= 0'"#)])
            .replace("name: test", &format!("name: policy-{n}"))
    };
    struct Yielding;
    impl spiffe_authz::guard::ResourceProvider for Yielding {
        type Error = std::convert::Infallible;
        async fn resource(
            &self,
            _: &http::request::Parts,
        ) -> Result<Option<serde_json::Value>, Self::Error> {
            tokio::task::yield_now().await;
            Ok(Some(serde_json::json!({ "n": 1 })))
        }
    }
    let (directory, path) = written(&generation(0));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let records = Records::default();
    let layer = AuthzLayer::new(live.clone())
        .unwrap()
        .resources(Yielding)
        .audit_to(records.clone());
    let web = peer(WEB);
    let server = Server::guarded(Some(&web), layer).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..4 {
        let (stop, address) = (stop.clone(), server.address);
        clients.spawn(async move {
            let path = if client % 2 == 0 { "/a" } else { "/b" };
            let mut asked = 0;
            while !stop.load(Ordering::SeqCst) {
                assert!(matches!(
                    http2_status(address, "GET", path).await,
                    200 | 403
                ));
                asked += 1;
            }
            asked
        });
    }
    let mut names = std::collections::HashMap::new();
    names.insert(live.current().generation(), "policy-0".to_owned());
    for n in 1..=4 {
        let status = replaced(&live, &directory, &generation(n)).await;
        assert!(status.refused().is_none());
        names.insert(status.policy().generation(), format!("policy-{n}"));
    }
    stop.store(true, Ordering::SeqCst);
    let asked: usize = clients.join_all().await.into_iter().sum();
    let records = records.take();
    assert_eq!(records.len(), asked);
    for record in &records {
        let policy = record["policy"].as_str().unwrap();
        assert_eq!(
            names[&record["generation"].as_u64().unwrap()],
            policy,
            "{record}"
        );
        let n: usize = policy.strip_prefix("policy-").unwrap().parse().unwrap();
        let open = if n.is_multiple_of(2) { "/a" } else { "/b" };
        let allowed = record["resource"] == open;
        assert_eq!(
            record["authorizationDecision"] == "allow",
            allowed,
            "{record}"
        );
        assert_eq!(record["rule"] == format!("rule-{n}"), allowed, "{record}");
    }
    let allowed = records
        .iter()
        .filter(|record| record["authorizationDecision"] == "allow");
    assert_eq!(allowed.count(), server.probe.calls());
    let seen: std::collections::HashSet<_> =
        records.iter().map(|record| &record["policy"]).collect();
    assert!(seen.len() > 1, "requests met several generations");
}

#[tokio::test]
async fn threats_57_what_one_policy_has_found_out_of_a_peer_is_nothing_to_another() {
    let let_in = |id: &str| {
        let rule = format!(r#"name: a, allow: ["GET /a"], from: ["{id}"]"#);
        AuthzLayer::new(policy(&[&rule])).unwrap()
    };
    let (web, probe) = (peer(WEB), Probe::default());
    let [web_only, batch_only] = [WEB, BATCH].map(|id| web.layer(let_in(id).layer(probe.clone())));
    // By turns, as one connection meets two policies: both are alike but for whom they let in.
    for _ in 0..3 {
        for (app, expected) in [(&web_only, 200), (&batch_only, 403)] {
            let request = Request::get("/a").body(Body::empty()).unwrap();
            assert_eq!(
                app.clone().oneshot(request).await.unwrap().status(),
                expected
            );
        }
    }
    assert_eq!(probe.calls(), 3);
}

#[tokio::test]
async fn threats_58_fifty_thousand_rules_and_no_dear_expression() {
    const MANY: usize = 50_000;
    let rules: Vec<String> = (0..MANY)
        .map(|n| format!(r#"name: r{n}, allow: ["GET /s{n}/{{id}}"], from: ["spiffe://example.org/ns/n{n}/sa/web"]"#))
        .chain([r#"name: last, allow: ["GET /last"], from: [web]"#.to_owned()])
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let id = "spiffe://example.org/ns/n49999/sa/web";
    let server = Server::guarded(Some(&peer(id)), AuthzLayer::new(policy(&rules)).unwrap()).await;
    for (path, expected) in [
        ("/s49999/7", 200),
        ("/s49998/7", 403),
        ("/last", 403),
        ("/s50000/7", 403),
    ] {
        assert_eq!(
            status(server.address, &head(&format!("GET {path}"))).await,
            expected,
            "{path}"
        );
    }
    assert_eq!(server.probe.calls(), 1);

    // What takes a backtracking matcher until the end of days.
    let rules = [
        r#"name: a, allow: ["GET /a"], from: [web], when: '!request.headers["x"].all(v, v.matches("^(([a-z])+.)+[A-Z]([a-z])+$"))'"#,
        r#"name: b, deny: ["GET /a"], from: [web], when: 'request.headers["x"].exists(v, v.matches("^(a+)+$"))'"#,
    ];
    let site = Site::of(Some(WEB), &rules).await;
    let with = |value: &str| format!("{}\r\nx: {value}", head("GET /a"));
    site.passes(&with(&format!("{}!", "a".repeat(4000)))).await;
    site.kept_out(&with(&"a".repeat(4000)), &[403]).await;
    // And one that takes too much memory is no condition.
    invalid(&[
        r#"name: a, allow: ["GET /a"], from: [web], when: 'request.path.matches("^(\\w{1,100}){1,100}$")'"#,
    ]);
}

/// tonic's own server, whose answers are watched.
async fn watched_rpc(live: &LivePolicy, orders: &Orders) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authz = AuthzLayer::new(live.clone()).unwrap();
    let layers = ServiceBuilder::new()
        .layer(peer(WEB))
        .layer(authz.streams())
        .layer(authz)
        .into_inner();
    let server = tonic::transport::Server::builder()
        .layer(layers)
        .add_service(orders.clone())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

#[tokio::test]
async fn threats_59_a_stream_ends_when_its_permission_does() {
    let rules = [
        r#"name: rpcs, allow: ["grpc shop.v1.Orders/*"], from: [web]"#,
        r#"name: http, allow: ["GET /endless", "GET /slow"], from: [web]"#,
    ];
    let (directory, path) = written(&text(&rules));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let orders = Orders::default();
    let address = watched_rpc(&live, &orders).await;

    let watch = async || {
        let request = tonic::Request::new("first".to_owned());
        let path = http::uri::PathAndQuery::from_static("/shop.v1.Orders/Watch");
        let response = channel(address)
            .await
            .server_streaming(request, path, Texts)
            .await;
        let mut stream = response.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap(), "first");
        stream
    };
    let mut one = watch().await;
    let mut other = watch().await;

    // The same for plain HTTP: one answer that has begun, one that has not.
    let layer = AuthzLayer::new(live.clone()).unwrap();
    let entered = Arc::new(tokio::sync::Notify::new());
    let router = axum::Router::new()
        .route(
            "/endless",
            axum::routing::get(async || {
                let first = tokio_stream::once(Ok::<_, std::convert::Infallible>("first"));
                Body::from_stream(tokio_stream::StreamExt::chain(
                    first,
                    tokio_stream::pending(),
                ))
            }),
        )
        .route(
            "/slow",
            axum::routing::get({
                let entered = entered.clone();
                move || async move {
                    entered.notify_one();
                    std::future::pending::<String>().await
                }
            }),
        );
    let app = layer.streams().layer(layer.layer(router));
    let app = tower::util::MapResponseLayer::new(|response: Response<_>| response.map(Body::new))
        .layer(app);
    let http = serve(Some(&peer(WEB)), app).await;
    let get = |path: &str| {
        http::Request::get(format!("http://good.test{path}"))
            .body(())
            .unwrap()
    };
    let stream = tokio::net::TcpStream::connect(http).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (endless, _) = client.send_request(get("/endless"), true).unwrap();
    let mut endless = endless.await.unwrap().into_body();
    assert_eq!(endless.data().await.unwrap().unwrap(), "first");
    // Trailers of HTTP would be none to a client of gRPC-Web, and an end without them a good one.
    let mut web = get("/endless");
    web.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/grpc-web+proto"),
    );
    let (web, _) = client.send_request(web, true).unwrap();
    let mut web = web.await.unwrap().into_body();
    assert_eq!(web.data().await.unwrap().unwrap(), "first");
    let (slow, _) = client.send_request(get("/slow"), true).unwrap();
    let slow = tokio::spawn(slow);
    entered.notified().await;

    // A new policy that changes nothing for them leaves them alone.
    let more = r#"name: more, allow: ["GET /b"], from: [web]"#;
    replaced(&live, &directory, &text(&[rules[0], rules[1], more])).await;
    assert!(futures_pending(one.message()).await);
    assert!(futures_pending(endless.data()).await);
    assert!(!slow.is_finished());

    replaced(&live, &directory, &text(&[more])).await;
    for stream in [&mut one, &mut other] {
        let ended = tokio::time::timeout(LONG, stream.message()).await.unwrap();
        assert_eq!(ended.unwrap_err().code(), Code::PermissionDenied);
    }
    for stream in [&mut endless, &mut web] {
        let cut = tokio::time::timeout(LONG, stream.data()).await.unwrap();
        assert!(cut.unwrap().is_err(), "the stream is reset");
    }
    let slow = tokio::time::timeout(LONG, slow)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(slow.status(), 403);
    assert_eq!(orders.calls(), 2);
}

/// Whether nothing comes for a while in which something would.
async fn futures_pending<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(300), future)
        .await
        .is_err()
}

/// The end of an identity ends what it was allowed, with a policy that never changes too.
#[tokio::test]
async fn threats_59_a_stream_ends_with_the_identity_of_its_caller() {
    let rules = [r#"name: http, allow: ["GET /endless"], from: [web]"#];
    let authz = AuthzLayer::new(Policy::from_yaml(&text(&rules)).unwrap()).unwrap();
    let endless = axum::Router::new().route(
        "/endless",
        axum::routing::get(async || {
            Body::from_stream(tokio_stream::pending::<Result<String, std::io::Error>>())
        }),
    );
    let app = authz.streams().layer(authz.layer(endless));
    let soon = SystemTime::now() + Duration::from_millis(300);
    let (expires, withdrawn, goes_on) = (peer(WEB).valid_until(soon), peer(WEB), peer(WEB));
    let answer = async |peer: &MockPeer| {
        let request = http::Request::get("/endless").body(Body::empty()).unwrap();
        let response = peer.layer(app.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    };
    let mut going_on = answer(&goes_on).await;
    let (mut expiring, mut withdrawing) = (answer(&expires).await, answer(&withdrawn).await);
    let cut = tokio::time::timeout(LONG, expiring.frame()).await.unwrap();
    assert!(cut.unwrap().is_err());
    withdrawn.connection().withdraw();
    let cut = tokio::time::timeout(LONG, withdrawing.frame())
        .await
        .unwrap();
    assert!(cut.unwrap().is_err());
    assert!(futures_pending(going_on.frame()).await);
}

/// A route with a rule in code goes on while that rule lets it, and the policy does not keep it out.
#[tokio::test]
async fn threats_59_a_stream_of_a_guarded_route_obeys_its_own_rule() {
    let policy_route = r#"name: other, allow: ["GET /other"], from: [web]"#;
    let more = r#"name: more, allow: ["GET /other"], from: [batch]"#;
    let keeps_out = r#"name: no, deny: ["GET /endless"], from: [web]"#;
    let (directory, path) = written(&text(&[policy_route]));
    let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
    let layer = AuthzLayer::new(live.clone()).unwrap();
    let streams = layer.streams();
    let app = Router::new()
        .route("/endless", guarded_get(endless).allow(WEB))
        .route("/other", guarded_get(endless).policy())
        .bind_with(layer)
        .unwrap();
    let app = peer(WEB).layer(streams.layer(app));
    let (mut code, mut file) = (open(&app, "/endless").await, open(&app, "/other").await);
    replaced(&live, &directory, &text(&[more])).await;
    let cut = tokio::time::timeout(LONG, file.frame()).await.unwrap();
    assert!(cut.unwrap().is_err(), "the policy decides there");
    assert!(
        futures_pending(code.frame()).await,
        "the rule in code decides there"
    );
    replaced(&live, &directory, &text(&[more, keeps_out])).await;
    let cut = tokio::time::timeout(LONG, code.frame()).await.unwrap();
    assert!(cut.unwrap().is_err(), "the policy keeps out");
}

async fn endless() -> Body {
    let first = tokio_stream::once(Ok::<_, std::convert::Infallible>("first"));
    Body::from_stream(tokio_stream::StreamExt::chain(
        first,
        tokio_stream::pending(),
    ))
}

/// The answer to a request, of which the first piece has come.
async fn open<S, B>(app: &S, path: &str) -> B
where
    S: Service<Request, Response = http::Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = axum::body::Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let request = Request::get(path).body(Body::empty()).unwrap();
    let mut body = app.clone().oneshot(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().ok().unwrap(), "first");
    body
}

/// A rule in code answers for the policy that its router is bound to, and for no policy further out.
#[tokio::test]
async fn threats_59_a_stream_behind_two_guards_obeys_both() {
    let allowed = r#"name: in, allow: ["GET /endless"], from: [web]"#;
    let other = r#"name: other, allow: ["GET /other"], from: [web]"#;
    let more = r#"name: more, allow: ["GET /other"], from: [batch]"#;
    let keeps_out = r#"name: no, deny: ["GET /endless"], from: [web]"#;
    let followed = |rules: &[&str]| {
        let (directory, path) = written(&text(rules));
        let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
        (AuthzLayer::new(live.clone()).unwrap(), live, directory)
    };
    let coded = |layer: &AuthzLayer| {
        Router::new()
            .route("/endless", guarded_get(endless).allow(WEB))
            .route("/other", guarded_get(endless).policy())
            .bind_with(layer.clone())
            .unwrap()
    };

    for watched_by_both in [false, true] {
        let (outer, outer_live, outer_file) = followed(&[allowed]);
        let (inner, inner_live, inner_file) = followed(&[other]);
        let app = outer.layer(coded(&inner));
        let mut body: Box<dyn http_body::Body<Data = _, Error = _> + Send + Unpin> =
            if watched_by_both {
                let app = peer(WEB).layer(inner.streams().layer(outer.streams().layer(app)));
                let mut loose = open(&app, "/endless").await;
                replaced(&inner_live, &inner_file, &text(&[more])).await;
                assert!(
                    futures_pending(loose.frame()).await,
                    "the inner policy does not keep it out"
                );
                replaced(&inner_live, &inner_file, &text(&[other, keeps_out])).await;
                let cut = tokio::time::timeout(LONG, loose.frame()).await.unwrap();
                assert!(cut.unwrap().is_err(), "the inner policy keeps out");
                replaced(&inner_live, &inner_file, &text(&[other])).await;
                Box::new(open(&app, "/endless").await)
            } else {
                let app = peer(WEB).layer(outer.streams().layer(app));
                Box::new(open(&app, "/endless").await)
            };
        replaced(&outer_live, &outer_file, &text(&[other])).await;
        let cut = tokio::time::timeout(LONG, body.frame()).await.unwrap();
        assert!(cut.unwrap().is_err(), "the outer policy no longer allows");
    }

    // The same layer in both places.
    let (layer, live, file) = followed(&[allowed, other]);
    let app = peer(WEB).layer(layer.streams().layer(layer.layer(coded(&layer))));
    let mut body = open(&app, "/endless").await;
    replaced(&live, &file, &text(&[other])).await;
    let cut = tokio::time::timeout(LONG, body.frame()).await.unwrap();
    assert!(cut.unwrap().is_err(), "the layer no longer allows");
}

#[tokio::test]
async fn threats_60_a_refusal_says_nothing_but_its_status() {
    let rules = [
        r#"name: hidden-rule-name, deny: ["GET /denied"], from: authenticated"#,
        r#"name: erring, deny: ["GET /erring"], from: authenticated, when: 'request.headers["x-hidden"] == ["a"]'"#,
        r#"name: other-rule, allow: ["GET /other", "POST /shop.v1.Orders/Other"], from: [batch]"#,
        r#"name: fine, allow: ["GET /fine", "POST /shop.v1.Orders/List"], from: [web]"#,
    ];
    let plain = |answer: String| -> String {
        answer
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with("date:"))
            .collect()
    };
    let web = Site::of(Some(WEB), &rules).await;
    let nobody = Site::of(None, &rules).await;
    for (site, line, requests) in [
        (
            &web,
            "HTTP/1.1 403 Forbidden",
            &[
                "GET /denied",
                "GET /erring",
                "GET /other",
                "GET /nowhere",
                "BREW /fine",
            ][..],
        ),
        (
            &web,
            "HTTP/1.1 400 Bad Request",
            &["GET //a", "GET /a/../b", "GET /a%2fb", "OPTIONS *"],
        ),
        (
            &nobody,
            "HTTP/1.1 401 Unauthorized",
            &[
                "GET /denied",
                "GET /erring",
                "GET /other",
                "GET /fine",
                "GET /nowhere",
            ],
        ),
    ] {
        for server in [&site.guarded, &site.bound] {
            for request in requests {
                let answer = plain(exchange(server.address, &head(request)).await);
                let expected = format!("{line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                assert_eq!(answer, expected, "{request}");
            }
            assert_eq!(server.probe.calls(), 0);
        }
    }
    web.passes(&head("GET /fine")).await;

    // gRPC: a status of its own, in the headers, and one message for each code.
    let web = RpcSite::of(Some(WEB), &rules).await;
    let nobody = RpcSite::of(None, &rules).await;
    for (site, path, code, message) in [
        (
            &web,
            "/shop.v1.Orders/Other",
            Code::PermissionDenied,
            "permission denied",
        ),
        (
            &web,
            "/no.Such/Thing",
            Code::PermissionDenied,
            "permission denied",
        ),
        (
            &web,
            "//shop.v1.Orders/List",
            Code::InvalidArgument,
            "invalid argument",
        ),
        (
            &nobody,
            "/shop.v1.Orders/List",
            Code::Unauthenticated,
            "unauthenticated",
        ),
        (
            &nobody,
            "/shop.v1.Orders/Other",
            Code::Unauthenticated,
            "unauthenticated",
        ),
    ] {
        let status = unary(site.address, path).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message), "{path}");
        assert!(status.details().is_empty());
        let mut names: Vec<_> = status
            .metadata()
            .clone()
            .into_headers()
            .keys()
            .map(ToString::to_string)
            .collect();
        names.retain(|name| !matches!(name.as_str(), "content-type" | "date" | "content-length"));
        assert_eq!(names, Vec::<String>::new(), "{path}");
    }
    web.passes("/shop.v1.Orders/List").await;

    // Inside the process the reason is there to read.
    let probe = Probe::default();
    let app = peer(WEB).layer(guard(everything(&probe), policy(&rules)).unwrap());
    let request = Request::get("/denied").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let refusal = response.extensions().get::<Refusal>().unwrap();
    assert_eq!(
        (refusal.rule(), refusal.reason()),
        (Some("hidden-rule-name"), "rule")
    );
}
