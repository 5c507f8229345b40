//! HTTP/1.1 and HTTP/2: each option, and what a server may do to its caller.

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use spiffe_acceptor::PeerIdentity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio_stream::StreamExt as _;

use crate::stage::{CLIENT, LEFT, SERVER, agent, call, run, serve, spiffectl};

const HUGE: usize = 128 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// Answers with what it was sent.
async fn echo(peer: PeerIdentity, request: Request) -> String {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {} {:?}\n", head.method, head.uri.path(), head.version);
    let _ = writeln!(text, "peer: {peer}");
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let _ = write!(text, "{} bytes: ", body.len());
    text + &String::from_utf8_lossy(&body[..body.len().min(100)])
}

async fn hostile() -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-c1", b"\x9b31mred".as_slice()),
        ("x-utf8-c1", b"\xc2\x9b31mred"),
        ("x-bidi", b"\xe2\x80\xaetxt.exe"),
        ("x-tab", b"a\tb"),
    ] {
        let value = HeaderValue::from_bytes(value).unwrap();
        headers.insert(HeaderName::from_static(name), value);
    }
    (headers, "body")
}

fn app(release: Arc<Notify>) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/hostile", get(hostile))
        .route("/gone", get(async || (StatusCode::GONE, "it was here")))
        .route("/denied", get(async || (StatusCode::FORBIDDEN, "not you")))
        .route(
            "/unknown",
            get(async || {
                let challenge = [("www-authenticate", "Bearer realm=\"shop\"")];
                (StatusCode::UNAUTHORIZED, challenge, "who are you")
            }),
        )
        .route(
            "/never",
            get(async || std::future::pending::<String>().await),
        )
        .route(
            "/stalls",
            get(async || {
                let begin = tokio_stream::once(Ok::<_, std::io::Error>("begin\n"));
                Body::from_stream(begin.chain(tokio_stream::pending()))
            }),
        )
        .route("/huge", get(huge))
        .with_state(release)
}

/// All but the last byte, and that one when it is released.
async fn huge(State(release): State<Arc<Notify>>) -> Body {
    let chunks = std::iter::repeat_n(vec![b'x'; CHUNK], HUGE / CHUNK);
    let begin = tokio_stream::iter(chunks).map(Ok::<_, std::io::Error>);
    let end = tokio_stream::once(release).then(async |release: Arc<Notify>| {
        release.notified().await;
        Ok(vec![b'.'])
    });
    Body::from_stream(begin.chain(Box::pin(end)))
}

#[tokio::test]
async fn a_request_is_what_its_options_say_over_both_protocols() {
    let agent = agent().await;
    let server = serve(&agent, app(Arc::default())).await;
    let url = format!("{server}/echo");

    for (options, protocol) in [
        (["-v"].as_slice(), "HTTP/2.0"),
        (&["-v", "--http2"], "HTTP/2.0"),
        (&["-v", "--http1"], "HTTP/1.1"),
    ] {
        let called = call(&agent, &url, options).await;
        assert_eq!(called.status, Some(0), "{called:?}");
        let first = format!("GET /echo {protocol}\npeer: {CLIENT}\n");
        assert!(called.out.starts_with(&first), "{called:?}");
        assert!(called.out.contains("accept: */*"), "{called:?}");
        for told in [CLIENT, SERVER, LEFT, protocol] {
            assert!(called.err.contains(told), "{told}: {called:?}");
        }

        let options = [
            options,
            &[
                "-X", "PUT", "-H", "X-One: 1", "--header", "x-one:2", "-d", "-data",
            ],
        ]
        .concat();
        let called = call(&agent, &url, &options).await;
        assert_eq!(called.status, Some(0), "{called:?}");
        let first = format!("PUT /echo {protocol}\n");
        assert!(called.out.starts_with(&first), "{called:?}");
        for sent in [
            "x-one: 1\nx-one: 2\n",
            "content-type: application/x-www-form-urlencoded\n",
            "content-length: 5\n",
            "5 bytes: -data",
        ] {
            assert!(called.out.contains(sent), "{sent}: {called:?}");
        }
    }

    let called = call(&agent, &url, &["-d", "a=b", "-H", "content-type: text/x"]).await;
    assert!(called.out.starts_with("POST "), "{called:?}");
    assert!(called.out.contains("content-type: text/x\n"), "{called:?}");
    assert!(!called.out.contains("form-urlencoded"), "{called:?}");
    assert_eq!(called.err, "", "nobody has asked");

    let pattern = [&url, "--expect", "spiffe://example.org/service/*"];
    let called = run(spiffectl(agent.endpoint("client"), &pattern)).await;
    assert_eq!(called.status, Some(0), "{called:?}");
    let mut socket = spiffectl(None, &[&url, "--expect", SERVER]);
    socket.args(["--socket", agent.endpoint("client").unwrap()]);
    assert_eq!(run(socket).await.status, Some(0));
}

#[tokio::test]
async fn data_comes_from_a_file_or_stdin_up_to_a_bound() {
    let agent = agent().await;
    let server = serve(&agent, app(Arc::default())).await;
    let url = format!("{server}/echo");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("data");
    let argument = format!("@{}", path.display());

    std::fs::write(&path, "a\r\nb\n").unwrap();
    let called = call(&agent, &url, &["--data", &argument]).await;
    assert!(called.out.ends_with("5 bytes: a\r\nb\n"), "{called:?}");

    let largest = 16 * 1024 * 1024;
    std::fs::write(&path, vec![b'a'; largest]).unwrap();
    let called = call(&agent, &url, &["--data", &argument]).await;
    assert!(called.out.contains("16777216 bytes: aaa"), "{called:?}");
    std::fs::write(&path, vec![b'a'; largest + 1]).unwrap();
    let called = call(&agent, &url, &["--data", &argument]).await;
    assert_eq!(called.status, Some(2), "{called:?}");
    assert!(called.err.contains("larger than 16777216"), "{called:?}");
    let called = call(&agent, &url, &["--data", "@/nonexistent"]).await;
    assert_eq!(called.status, Some(2), "{called:?}");

    let mut command = spiffectl(
        agent.endpoint("client"),
        &[&url, "--expect", SERVER, "-d", "@-"],
    );
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(b"from stdin").await.unwrap();
    drop(stdin);
    let output = process.wait_with_output().await.unwrap();
    assert!(output.stdout.ends_with(b"10 bytes: from stdin"));
}

#[tokio::test]
async fn the_head_is_written_where_it_is_wanted_and_nothing_in_it_commands_a_terminal() {
    let agent = agent().await;
    let server = serve(&agent, app(Arc::default())).await;
    let url = format!("{server}/hostile");
    for (protocol, line) in [
        ("--http1", "HTTP/1.1 200 OK\n"),
        ("--http2", "HTTP/2.0 200 OK\n"),
    ] {
        let called = call(&agent, &url, &["-i", protocol]).await;
        assert_eq!(called.status, Some(0), "{called:?}");
        assert!(called.out.starts_with(line), "{called:?}");
        assert!(called.out.ends_with("\n\nbody"), "{called:?}");
        for header in [
            "x-c1: \\x9b31mred\n",
            "x-utf8-c1: \\u{9b}31mred\n",
            "x-bidi: \\u{202e}txt.exe\n",
            "x-tab: a\\tb\n",
        ] {
            assert!(called.out.contains(header), "{header}: {called:?}");
        }
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!called.out.contains(obeyed), "{called:?}");
    }

    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("response");
    let path = file.display().to_string();
    let called = call(&agent, &url, &["-i", "--output", &path]).await;
    assert_eq!((called.status, called.out.as_str()), (Some(0), ""));
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("HTTP/2.0 200") && written.ends_with("\n\nbody"));
    let called = call(&agent, &url, &["-o", "/nonexistent/file"]).await;
    assert_eq!(called.status, Some(1), "{called:?}");
    assert!(called.err.contains("cannot be written"), "{called:?}");
}

#[tokio::test]
async fn a_response_that_says_no_is_a_response_unless_it_is_to_fail() {
    let agent = agent().await;
    let server = serve(&agent, app(Arc::default())).await;
    let gone = format!("{server}/gone");
    let called = call(&agent, &gone, &[]).await;
    assert_eq!(called.status, Some(0), "{called:?}");
    assert_eq!(
        (called.out.as_str(), called.err.as_str()),
        ("it was here", "")
    );
    let called = call(&agent, &gone, &["--fail"]).await;
    assert_eq!((called.status, called.out.as_str()), (Some(1), ""));
    assert!(called.err.contains("has answered 410 Gone"), "{called:?}");
    let called = call(&agent, &format!("{server}/echo"), &["-f"]).await;
    assert_eq!(called.status, Some(0), "{called:?}");

    for (path, body, told) in [
        ("denied", "not you", "does not permit this to"),
        (
            "unknown",
            "who are you",
            "it asks for `Bearer realm=\"shop\"`",
        ),
    ] {
        let url = format!("{server}/{path}");
        let called = call(&agent, &url, &[]).await;
        assert_eq!((called.status, called.out.as_str()), (Some(0), body));
        let failed = call(&agent, &url, &["-f"]).await;
        assert_eq!((failed.status, failed.out.as_str()), (Some(1), ""));
        for err in [called.err, failed.err] {
            for told in [told, CLIENT, SERVER] {
                assert!(err.contains(told), "{told}: {err}");
            }
        }
    }
}

#[tokio::test]
async fn a_call_is_over_when_its_time_is() {
    let agent = agent().await;
    let server = serve(&agent, app(Arc::default())).await;
    for (path, out) in [("never", ""), ("stalls", "begin\n")] {
        let called = call(&agent, &format!("{server}/{path}"), &["--max-time", "1.5"]).await;
        assert_eq!(
            (called.status, called.out.as_str()),
            (Some(1), out),
            "{path}"
        );
        assert!(called.err.contains("within 1.5s"), "{called:?}");
    }
}

#[tokio::test]
async fn a_huge_body_passes_through_and_is_not_kept() {
    let agent = agent().await;
    let release = Arc::new(Notify::new());
    let server = serve(&agent, app(release.clone())).await;
    for protocol in ["--http1", "--http2"] {
        let url = format!("{server}/huge");
        let arguments = [&url, "--expect", SERVER, protocol];
        let mut process = spiffectl(agent.endpoint("client"), &arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = process.stdout.take().unwrap();
        let mut begin = vec![0; HUGE];
        tokio::time::timeout(Duration::from_secs(120), out.read_exact(&mut begin))
            .await
            .expect("bounded")
            .unwrap();
        assert!(begin.iter().all(|byte| *byte == b'x'));
        let status = format!("/proc/{}/status", process.id().unwrap());
        let status = std::fs::read_to_string(status).unwrap();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let peak: usize = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(peak * 1024 < HUGE / 2, "{peak} KiB at the most");
        release.notify_one();
        let mut end = Vec::new();
        out.read_to_end(&mut end).await.unwrap();
        assert_eq!(end, b".");
        assert!(process.wait().await.unwrap().success());
    }
}
