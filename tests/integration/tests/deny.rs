//! The deny-list over real sockets: who is on it has no handshake and no connection, everybody else
//! notices nothing, and what is lifted is gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use integration::figures::figures;
use integration::place;
use integration::{ALLOWED, Caller, FOREIGN, OTHER, SERVER, Server, agent, settled, source};
use metrics_util::debugging::{DebuggingRecorder, Snapshotter};
use rustls::pki_types::CertificateDer;
use spiffe_acceptor::{Acceptor, serve};
use spiffe_connector::{Connector, Failure};
use spiffe_devkit::{Agent, IssueSpec};
use spiffe_peer::{Connection, PeerIdentity, parse};
use spiffe_source::{DenyList, Material, Source, State, Status, SvidMaterial};
use spiffe_tls::{ClientTls, ServerTls};
use spiffe_verify::X509Fault;

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until the answer is the one that is waited for: what a list says reaches handshakes
/// and connections soon, not at once, and from outside nothing but the answer shows it.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let answered = tokio::time::timeout(PATIENCE, asking).await;
    answered.unwrap_or_else(|_| panic!("never: {what}"));
}

fn list(entry: &str) -> DenyList {
    format!("{entry}\nend").parse().unwrap()
}

/// Entries that name a source's own certificate: it, its key, and the key of its issuer.
fn entries_of(source: &Source) -> [String; 3] {
    let snapshot = source.snapshot();
    let certificates: Vec<_> = snapshot.svid().unwrap().verified().certificates().collect();
    let [leaf, issuer] = <[_; 2]>::try_from(certificates).unwrap();
    [
        format!("serial:{}", leaf.serial()),
        format!("key-sha256:{}", leaf.key_sha256()),
        format!("key-sha256:{}", issuer.key_sha256()),
    ]
}

/// The connection that answers a caller now.
async fn connection(caller: &Caller) -> PeerIdentity {
    let response = caller.send(Request::builder(), "/anyone").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.extensions().get::<PeerIdentity>().unwrap().clone()
}

/// What a test has written down on a connection.
fn mark(peer: &PeerIdentity) -> Option<&'static str> {
    peer.first_resolved().copied()
}

async fn gets(caller: &Caller) -> Option<StatusCode> {
    caller.get("/anyone").await.ok().map(|(status, _)| status)
}

#[tokio::test]
async fn invariant_5_a_denied_caller_loses_its_connection_and_gets_no_other() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &["partner.test"]).await;
    let bystander = Caller::new(&agent, "other", &[], &server).await;
    connection(&bystander).await.resolve_first(|| "the first");

    let own = Caller::new(&agent, "allowed", &[], &server).await;
    let foreign = Caller::new(&agent, "foreign", &["example.org"], &server).await;
    let [serial, key, _] = entries_of(&own.source);
    let [_, _, issuer] = entries_of(&foreign.source);
    let mut callers = [own, foreign];
    let (own, foreign) = (0, 1);
    for (who, entry) in [
        (own, ALLOWED),
        (own, "spiffe://example.org/*/payment-processor"),
        (own, &serial),
        (own, &key),
        (foreign, "spiffe://partner.test/**"),
        (foreign, &issuer),
    ] {
        let caller = &mut callers[who];
        until("accepted", async || {
            gets(caller).await == Some(StatusCode::OK)
        })
        .await;
        server.source.deny(list(entry));
        // From the first refusal on nothing is served, and in the end there is no connection.
        let mut refused = false;
        until("the open connection ends", async || {
            let answer = gets(caller).await;
            assert!(
                !(refused && answer == Some(StatusCode::OK)),
                "{entry}: served after a refusal"
            );
            refused |= answer != Some(StatusCode::OK);
            answer.is_none()
        })
        .await;

        let handled = server.handled();
        caller.forget_connections();
        let error = caller.get("/anyone").await.expect_err(entry);
        let failure = Failure::of(&error);
        assert!(failure.is_refused_by_server(), "{entry}: {error:?}");
        assert!(
            !failure.to_string().contains("deny") && !failure.to_string().contains(entry),
            "the peer learns nothing: {failure}"
        );
        assert_eq!(server.handled(), handled, "{entry}");
        assert_eq!(
            mark(&connection(&bystander).await),
            Some("the first"),
            "control: nobody else loses a connection"
        );

        server.source.deny(DenyList::new());
        until("accepted again", async || {
            gets(caller).await == Some(StatusCode::OK)
        })
        .await;
    }
}

#[tokio::test]
async fn invariant_5_a_client_leaves_a_denied_server() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut caller = Caller::new(&agent, "allowed", &[], &server).await;
    let bystander = Caller::new(&agent, "other", &[], &server).await;
    connection(&bystander).await.resolve_first(|| "the first");
    let [serial, key, _] = entries_of(&server.source);
    for entry in [
        SERVER,
        "spiffe://example.org/service/orders/**",
        &serial,
        &key,
    ] {
        until("connected", async || {
            gets(&caller).await == Some(StatusCode::OK)
        })
        .await;
        let open = connection(&caller).await;
        assert!(open.is_current(), "control");

        caller.source.deny(list(entry));
        until("the open connection ends", async || !open.is_current()).await;
        let handled = server.handled();
        assert!(
            gets(&caller).await.is_none(),
            "{entry}: the open connection"
        );
        caller.forget_connections();
        let error = caller.get("/anyone").await.expect_err(entry);
        let failure = Failure::of(&error);
        assert!(failure.is_refused_by_client(), "{entry}: {error:?}");
        assert!(
            failure.to_string().contains("the deny-list names it"),
            "the operator is told: {failure}"
        );
        assert_eq!(server.handled(), handled, "{entry}");
        assert_eq!(mark(&connection(&bystander).await), Some("the first"));
        caller.source.deny(DenyList::new());
    }
    until("connected", async || {
        gets(&caller).await == Some(StatusCode::OK)
    })
    .await;
}

/// The certificates that a source presents.
fn chain_of(source: &Source) -> Vec<CertificateDer<'static>> {
    let snapshot = source.snapshot();
    let chain = snapshot.svid().unwrap().chain();
    chain
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect()
}

#[tokio::test]
async fn invariant_5_a_denial_holds_for_chains_that_are_remembered_and_watched() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let denied = chain_of(&source(&agent, "allowed", &[]).await);
    let other = chain_of(&source(&agent, "other", &[]).await);
    let tls = ServerTls::new(own.clone()).unwrap();
    let begun = tls.current().unwrap();
    let now = SystemTime::now();
    let watched = |chain: &[CertificateDer<'_>]| {
        let connection = Connection::new();
        let chain = begun.identify(Some(chain), now).unwrap().unwrap();
        (tls.watch(chain, connection.clone()), connection)
    };
    let (_watch, open) = watched(&denied);
    let (_other_watch, others) = watched(&other);

    own.deny(list(ALLOWED));
    let ended = tokio::time::timeout(PATIENCE, open.close_requested()).await;
    assert!(ended.is_ok() && open.is_withdrawn());
    assert!(!others.is_withdrawn(), "nobody else loses a connection");
    let latest = tls.current().unwrap();
    assert_ne!(latest.revision(), begun.revision());
    // Twice, so that the second answer comes from memory.
    for _ in 0..2 {
        let error = latest.identify(Some(&denied), now).unwrap_err();
        assert_eq!(error.fault(), X509Fault::Denied);
        assert_eq!(error.fault().as_str(), "denied");
        assert_eq!(error.claimed_id().unwrap().to_string(), ALLOWED);
        assert!(
            error.to_string().contains(&format!("({ALLOWED})")),
            "{error}"
        );
        assert!(latest.identify(Some(&other), now).is_ok(), "control");
    }
    assert!(
        begun.identify(Some(&denied), now).is_ok(),
        "control: a handshake sees one revision from start to end"
    );

    let client = ClientTls::new(
        source(&agent, "other", &[]).await,
        "spiffe://example.org/service/*".parse().unwrap(),
    )
    .unwrap();
    let server = chain_of(&own);
    assert!(
        client
            .current()
            .unwrap()
            .identify(Some(&server), now)
            .is_ok()
    );
}

#[tokio::test]
async fn invariant_7_a_denial_fails_no_handshake_of_anybody_else() {
    let agent = agent().start().await.unwrap();
    let own = source(&agent, "server", &[]).await;
    let acceptor = Acceptor::builder(own.clone()).build().unwrap();
    let expected = || SERVER.parse().unwrap();
    let other = ClientTls::new(source(&agent, "other", &[]).await, expected()).unwrap();
    let denied = ClientTls::new(source(&agent, "allowed", &[]).await, expected()).unwrap();
    let begin = || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let acceptor = acceptor.clone();
        let accepting = tokio::spawn(async move { acceptor.accept(far).await });
        (near, accepting)
    };
    let ((near, accepting), (denied_near, denied_accepting)) = (begin(), begin());
    // Both have begun under the revision that knows no denial.
    tokio::task::yield_now().await;
    let tls = ServerTls::new(own.clone()).unwrap();
    let open = Connection::new();
    let chain = chain_of(&source(&agent, "allowed", &[]).await);
    let begun = tls.current().unwrap();
    let chain = begun
        .identify(Some(&chain), SystemTime::now())
        .unwrap()
        .unwrap();
    let _watch = tls.watch(chain, open.clone());
    own.deny(list(ALLOWED));
    let ended = tokio::time::timeout(PATIENCE, open.close_requested()).await;
    ended.expect("the list takes effect");

    let connect = async |tls: &ClientTls, near| {
        let config = tls.current().unwrap().config().clone();
        let name = "localhost".try_into().unwrap();
        tokio_rustls::TlsConnector::from(config)
            .connect(name, near)
            .await
    };
    let _open = connect(&other, near).await.unwrap();
    let stream = accepting.await.unwrap().unwrap();
    assert_eq!(stream.peer().unwrap().as_str(), OTHER);
    assert!(stream.peer().unwrap().is_current());

    // In TLS 1.3 the client has finished before the server judges it.
    let _finished = connect(&denied, denied_near).await;
    match denied_accepting.await.unwrap() {
        Err(error) => {
            assert_eq!(error.reason(), "denied");
            assert_eq!(error.chain().unwrap().fault(), X509Fault::Denied);
        }
        // The acceptor's own revision came a moment later than the one that was waited for.
        Ok(stream) => {
            let ended = stream.connection().close_requested();
            tokio::time::timeout(PATIENCE, ended).await.unwrap();
            assert!(!stream.peer().unwrap().is_current());
        }
    }
}

/// At once: nobody can read half of it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

fn watching(agent: &Agent, path: &Path) -> spiffe_source::Builder<spiffe_source::WorkloadApi> {
    Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .first_update_within(PATIENCE)
        .deny_file(path)
}

async fn said(source: &Source, what: &str) {
    let says = |status: &Status| status.last_error().is_some_and(|it| it.contains(what));
    place::until(source, says).await;
}

#[tokio::test]
async fn a_watched_file_takes_effect_and_never_loses_a_denial_by_accident() {
    let agent = agent().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    fs::write(&path, "# nobody\nend\n").unwrap();
    let own = watching(&agent, &path).connect().await.unwrap();
    let listener = Acceptor::builder(own.clone())
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let uri: Uri = format!("https://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let app = Router::new().route("/", get(async || "served"));
    let server = tokio::spawn(serve(listener, app).into_future());
    let connector =
        async |socket: &str| Connector::new(source(&agent, socket, &[]).await, SERVER).unwrap();
    let (denied, other) = (connector("allowed").await, connector("other").await);
    // Each time over a new connection.
    let serves = async |connector: &Connector| {
        let client = connector.http_client::<Empty<Bytes>>();
        client.get(uri.clone()).await.is_ok()
    };
    let id = parse::workload_id(ALLOWED).unwrap();
    let named = |text: &str| format!("# an incident\n{text}\nserial:0a1b\nend\n");
    assert!(serves(&denied).await && serves(&other).await, "control");

    replace(&path, &named("spiffe://example.org/*/payment-processor"));
    settled(&own, |snapshot| snapshot.deny_list().denies_id(&id)).await;
    until("refused", async || !serves(&denied).await).await;
    assert!(serves(&other).await, "control");
    assert_eq!(own.status().last_error(), None);

    let whole = named(ALLOWED);
    for (cut, why) in [
        (whole.len() - 3, "line 4"),
        (whole.len() / 2, "line 2"),
        (0, "line 1"),
    ] {
        replace(&path, whole.get(..cut).unwrap());
        said(&own, why).await;
        let status = own.status();
        let error = status.last_error().unwrap();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(own.snapshot().deny_list().denies_id(&id), "cut at {cut}");
        assert!(status.is_ready(), "{status}");
    }
    fs::remove_file(&path).unwrap();
    said(&own, "cannot be read").await;
    assert!(!serves(&denied).await && serves(&other).await);
    own.deny(list("spiffe://example.org/service/x"));
    assert!(
        own.snapshot().deny_list().denies_id(&id),
        "the file's part stays"
    );

    fs::write(&path, "end\n").unwrap();
    let lifted = settled(&own, |snapshot| !snapshot.deny_list().denies_id(&id)).await;
    assert_eq!(lifted.deny_list().len(), 1, "the part from code stays");
    until("served", async || serves(&denied).await).await;
    assert_eq!(own.status().last_error(), None);
    assert!(!server.is_finished());
}

#[test]
fn threats_88_a_file_that_is_not_in_force_raises_an_alarm() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(follow_figures(&snapshotter));
    });
}

async fn follow_figures(snapshotter: &Snapshotter) {
    let said_to_be = |stale: Option<f64>, entries: Option<f64>| {
        let figures = figures(snapshotter);
        let shown = |name: &str| figures.get(&format!("spiffe_deny_{name}")).copied();
        assert_eq!(
            (shown("file_stale"), shown("list_entries")),
            (stale, entries)
        );
    };
    let agent = agent().start().await.unwrap();
    let without_file = source(&agent, "other", &[]).await;
    said_to_be(None, None);
    without_file.deny(list("serial:0a"));
    said_to_be(None, Some(1.0));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    fs::write(&path, format!("{ALLOWED}\nserial:0a\nend\n")).unwrap();
    let own = watching(&agent, &path).connect().await.unwrap();
    said_to_be(Some(0.0), Some(2.0));
    own.deny(list("serial:0a\nserial:0b"));
    said_to_be(Some(0.0), Some(3.0));

    replace(&path, "end of the incident\n");
    said(&own, "line 1").await;
    said_to_be(Some(1.0), Some(3.0));
    own.deny(DenyList::new());
    said_to_be(Some(1.0), Some(2.0));

    replace(&path, "serial:0a\nend\n");
    place::until(&own, |status| status.last_error().is_none()).await;
    said_to_be(Some(0.0), Some(1.0));
}

#[tokio::test]
async fn bad_input_a_deny_file_that_is_none_does_not_let_a_source_open() {
    let agent = agent().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deny");
    let refused = async || watching(&agent, &path).connect().await.unwrap_err();
    let error = refused().await;
    assert!(error.is_configuration(), "{error}");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
    fs::write(
        &path,
        format!("{FOREIGN}\nspiffe://example.org/pay*\nend\n"),
    )
    .unwrap();
    let error = refused().await;
    assert!(error.is_configuration(), "{error}");
    let place = format!("{}, line 2: ", path.display());
    assert!(
        error.to_string().contains(&place) && error.to_string().contains("whole segment"),
        "{error}"
    );
    let elsewhere = Path::new("no-deny-list-of-this-name");
    let error = watching(&agent, elsewhere).connect().await.unwrap_err();
    let absolute = std::env::current_dir().unwrap().join(elsewhere);
    assert!(
        error.is_configuration() && error.to_string().contains(&absolute.display().to_string()),
        "{error}"
    );
    fs::write(&path, format!("{FOREIGN}\nend\n")).unwrap();
    assert!(watching(&agent, &path).connect().await.is_ok(), "control");
}

#[tokio::test]
async fn a_process_that_denies_itself_has_no_identity() {
    let agent = agent().start().await.unwrap();
    let authority = agent
        .authority(&parse::trust_domain("example.org").unwrap())
        .unwrap();
    let issued = authority.issue(&IssueSpec::new(SERVER).unwrap()).unwrap();
    let svid = SvidMaterial::from_der(issued.chain_der(), issued.key_der(), authority.bundle_der());
    let connect = |denied: &str| {
        Source::fixed(Material::new(svid.clone()))
            .first_update_within(Duration::from_secs(1))
            .deny(list(denied))
            .connect()
    };
    let error = connect(SERVER).await.unwrap_err();
    assert!(
        error.is_configuration() && error.to_string().contains("is on the deny-list"),
        "{error}"
    );
    assert!(connect(ALLOWED).await.is_ok(), "control: another is denied");

    let own = source(&agent, "server", &[]).await;
    let [serial, _, _] = entries_of(&own);
    own.deny(list(&serial));
    let status = own.status();
    assert_eq!((status.state(), status.is_ready()), (State::Denied, false));
    agent.rotate_svids();
    settled(&own, |snapshot| snapshot.svid().is_some()).await;
    assert!(
        own.status().is_ready(),
        "the next SVID has another serial number"
    );
}
