//! The invariants of this workspace, each over real sockets, and each beside a control that shows
//! that its test can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, StatusCode};
use integration::hostile::{AnyNames, dns, shows, uri};
use integration::{ALLOWED, Caller, FOREIGN, OTHER, SERVER, Server, agent, settled, source};
use spiffe_acceptor::Acceptor;
use spiffe_connector::{Connector, Failure};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_peer::{PeerIdentity, TrustDomain, parse};
use spiffe_source::Snapshot;

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

#[tokio::test]
async fn invariant_1_no_header_becomes_identity() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "other", &[], &server).await;
    let forged = || {
        Request::builder()
            .header("x-forwarded-client-cert", format!("URI={ALLOWED}"))
            .header("x-spiffe-id", ALLOWED)
            .header("x_spiffe_id", ALLOWED)
            .header("x-untouched", "kept")
    };
    let response = caller.send(forged(), "/anyone").await.unwrap();
    assert_eq!(response.into_body(), OTHER, "the SVID says who it is");
    let response = caller.send(forged(), "/").await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);

    let names = caller.send(forged(), "/headers").await.unwrap().into_body();
    let names = String::from_utf8(names.to_vec()).unwrap();
    assert!(names.contains("x-untouched"), "{names}");
    assert!(
        !names.contains("spiffe") && !names.contains("x-forwarded-client-cert"),
        "{names}"
    );
}

#[test]
fn invariant_1_who_vouches_for_identities_is_known() {
    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let mut files = Vec::new();
    for member in std::fs::read_dir(root.join("crates")).unwrap() {
        sources(&member.unwrap().path().join("src"), &mut files);
    }
    let vouches = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        code.lines()
            .any(|line| !line.trim_start().starts_with("//") && line.contains("assume_verified("))
    };
    let mut callers: Vec<_> = files
        .iter()
        .filter(|file| vouches(file))
        .map(|file| file.strip_prefix(&root).unwrap())
        .collect();
    callers.sort();
    assert_eq!(
        callers,
        [
            "crates/spiffe-acceptor/src/handshake.rs",
            "crates/spiffe-authz/src/mock.rs",
            "crates/spiffe-connector/src/connector.rs",
            "crates/spiffe-peer/src/identity.rs",
        ]
        .map(Path::new),
        "a new caller vouches for identities: is there a completed verification before it?"
    );
}

#[tokio::test]
async fn invariant_2_a_leaf_without_exactly_one_uri_has_no_identity() {
    let agent = agent().start().await.unwrap();
    let partner = AnyNames::new();
    agent
        .add_bundle(
            &domain("example.org"),
            &domain("partner.test"),
            partner.root.clone(),
        )
        .unwrap();
    let server = Server::start(&agent, &["partner.test"]).await;

    let (chain, key) = partner.leaf(vec![uri(FOREIGN), dns("a.test"), dns("b.test")]);
    let answer = shows(server.port, chain, &key).await.unwrap();
    assert!(
        answer.contains(FOREIGN),
        "control: one URI is an identity, whatever else there is: {answer}"
    );

    let handled = server.handled();
    for names in [
        vec![],
        vec![dns("payment-processor.partner.test")],
        vec![uri(FOREIGN), uri(FOREIGN)],
        vec![uri(FOREIGN), uri("spiffe://partner.test/service/other")],
        vec![uri(FOREIGN), uri("https://partner.test")],
        vec![uri("https://partner.test/service/payment-processor")],
        vec![uri("spiffe://partner.test")],
        vec![uri("spiffe://PARTNER.test/service/payment-processor")],
    ] {
        let shown = format!("{names:?}");
        let (chain, key) = partner.leaf(names);
        let refused = shows(server.port, chain, &key).await.expect_err(&shown);
        assert!(
            Failure::of(&refused).is_refused_by_server(),
            "{shown}: {refused}"
        );
    }
    assert_eq!(server.handled(), handled);
}

#[tokio::test]
async fn invariant_3_an_authority_vouches_for_its_own_trust_domain_only() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &["partner.test"]).await;
    let partner = agent.authority(&domain("partner.test")).unwrap();

    let own = partner.issue(&IssueSpec::new(FOREIGN).unwrap()).unwrap();
    let answer = shows(server.port, own.chain().to_vec(), own.key_der())
        .await
        .unwrap();
    assert!(
        answer.contains(FOREIGN),
        "control: it vouches for its own: {answer}"
    );

    let handled = server.handled();
    let forged = partner
        .issue(&IssueSpec::new(ALLOWED).unwrap().of_any_trust_domain())
        .unwrap();
    let refused = shows(server.port, forged.chain().to_vec(), forged.key_der())
        .await
        .unwrap_err();
    assert!(Failure::of(&refused).is_refused_by_server(), "{refused}");
    assert_eq!(server.handled(), handled);
}

#[tokio::test]
async fn invariant_4_only_the_own_trust_domain_unless_another_is_named() {
    let agent = agent().start().await.unwrap();
    let local = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "foreign", &["example.org"], &local).await;
    let refused = caller.get("/anyone").await.unwrap_err();
    assert!(
        Failure::of(&refused).is_refused_by_server(),
        "the agent gives the bundle, nobody named the domain: {refused:?}"
    );
    assert_eq!(local.handled(), 0);

    let federated = Server::start(&agent, &["partner.test"]).await;
    let caller = Caller::new(&agent, "foreign", &["example.org"], &federated).await;
    assert_eq!(
        caller.get("/anyone").await.unwrap(),
        (StatusCode::OK, FOREIGN.to_owned()),
        "control"
    );

    let caller = Caller::new(&agent, "foreign", &[], &federated).await;
    let refused = caller.get("/anyone").await.unwrap_err();
    assert!(
        Failure::of(&refused).is_refused_by_client(),
        "a client trusts its own domain alone too: {refused:?}"
    );
}

#[tokio::test]
async fn nobody_without_an_svid_and_nobody_of_an_unknown_authority() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &["partner.test"]).await;
    let nobody = shows(server.port, vec![], &[]).await.unwrap_err();
    assert!(
        Failure::of(&nobody)
            .to_string()
            .contains("demands a certificate"),
        "{nobody}"
    );

    let impostor = Authority::new("example.org").unwrap();
    let forged = impostor.issue(&IssueSpec::new(ALLOWED).unwrap()).unwrap();
    let refused = shows(server.port, forged.chain().to_vec(), forged.key_der())
        .await
        .unwrap_err();
    assert!(Failure::of(&refused).is_refused_by_server(), "{refused}");
    assert_eq!(server.handled(), 0);
}

#[tokio::test]
async fn the_expected_server_is_the_only_one_that_gets_a_request() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let uri: http::Uri = format!("https://127.0.0.1:{}/anyone", server.port)
        .parse()
        .unwrap();
    let source = source(&agent, "allowed", &[]).await;
    for (expected, good) in [
        (SERVER, true),
        ("spiffe://example.org/service/*", true),
        ("spiffe://example.org/service/orders-2", false),
        ("spiffe://partner.test/service/orders", false),
    ] {
        let connector = Connector::new(source.clone(), expected).unwrap();
        match connector.connect(&uri).await {
            Ok(stream) => assert!(
                good && stream.peer().as_str() == SERVER,
                "{expected} was met"
            ),
            Err(error) => {
                assert!(!good, "{expected}: {error}");
                assert_eq!(
                    error.unexpected_server().unwrap().actual().to_string(),
                    SERVER
                );
                assert!(
                    error.to_string().contains(SERVER) && error.to_string().contains(expected),
                    "{error}"
                );
            }
        }
    }
    assert!(
        Connector::new(source, "orders.internal")
            .unwrap_err()
            .is_expectation()
    );
}

#[tokio::test]
async fn invariant_5_trust_that_is_gone_is_gone_for_open_connections_too() {
    let agent = agent().start().await.unwrap();
    let (own, partner) = (domain("example.org"), domain("partner.test"));
    let server = Server::start(&agent, &["partner.test"]).await;
    let foreign = Caller::new(&agent, "foreign", &["example.org"], &server).await;
    let local = Caller::new(&agent, "allowed", &[], &server).await;
    assert_eq!(foreign.get("/anyone").await.unwrap().0, StatusCode::OK);
    assert_eq!(local.get("/anyone").await.unwrap().0, StatusCode::OK);

    agent.remove_bundle(&own, &partner).unwrap();
    settled(&server.source, |snapshot| {
        snapshot.bundle(&partner).is_none()
    })
    .await;
    // The withdrawal is on its way to the connection. From the first refusal on nothing is served,
    // and in the end there is no connection and no handshake either.
    let mut answers = Vec::new();
    while answers.last() != Some(&None) {
        answers.push(foreign.get("/anyone").await.ok().map(|(status, _)| status));
        assert!(
            answers.len() < 10_000,
            "the connection of a peer that is not trusted goes on"
        );
    }
    let refused = answers
        .iter()
        .position(|answer| *answer != Some(StatusCode::OK))
        .unwrap();
    assert!(
        !answers
            .iter()
            .skip(refused)
            .any(|answer| *answer == Some(StatusCode::OK)),
        "{answers:?}"
    );
    assert_eq!(
        local.get("/anyone").await.unwrap().0,
        StatusCode::OK,
        "control: nobody else is disturbed"
    );
}

#[tokio::test]
async fn invariant_5_trust_ends_for_a_client_s_open_connection_too() {
    let agent = agent().start().await.unwrap();
    let (own, partner) = (domain("example.org"), domain("partner.test"));
    let server = Server::start(&agent, &["partner.test"]).await;
    let foreign = Caller::new(&agent, "foreign", &["example.org"], &server).await;
    let response = foreign.send(Request::builder(), "/anyone").await.unwrap();
    let peer = response.extensions().get::<PeerIdentity>().unwrap().clone();
    assert!(peer.is_current(), "control");

    agent.remove_bundle(&partner, &own).unwrap();
    settled(&foreign.source, |snapshot| snapshot.bundle(&own).is_none()).await;
    while peer.is_current() {
        tokio::task::yield_now().await;
    }
    let handled = server.handled();
    assert!(
        foreign.get("/anyone").await.is_err(),
        "neither the pooled connection nor a new one"
    );
    assert_eq!(server.handled(), handled);
}

#[tokio::test]
async fn invariant_5_trust_ends_also_where_nobody_listens_any_more() {
    let agent = agent().start().await.unwrap();
    let (own, partner) = (domain("example.org"), domain("partner.test"));
    let source_of_server = source(&agent, "server", &["partner.test"]).await;
    let acceptor = Acceptor::builder(source_of_server.clone()).build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let connector =
        Connector::new(source(&agent, "foreign", &["example.org"]).await, SERVER).unwrap();
    let accept = async {
        acceptor
            .accept(listener.accept().await.unwrap().0)
            .await
            .unwrap()
    };
    // Over HTTP/2 a client waits for the server's first word; here nobody says one.
    let (_client, stream) = tokio::join!(connector.connect(&uri), accept);
    drop((acceptor, listener));
    assert!(stream.peer().unwrap().is_current(), "control");

    agent.remove_bundle(&own, &partner).unwrap();
    settled(&source_of_server, |snapshot| {
        snapshot.bundle(&partner).is_none()
    })
    .await;
    drop(source_of_server);
    while stream.peer().unwrap().is_current() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_rotation_is_invisible() {
    const ROTATIONS: usize = 40;
    let agent = agent().start().await.unwrap();
    let mut server = Server::start(&agent, &[]).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for fresh in [true, false] {
        let mut caller = Caller::new(&agent, "allowed", &[], &server).await;
        let done = done.clone();
        callers.push(tokio::spawn(async move {
            let mut requests = 0;
            while !done.load(Ordering::SeqCst) {
                if fresh {
                    caller.forget_connections();
                }
                let answer = caller
                    .get("/")
                    .await
                    .expect("no request fails of a rotation");
                assert_eq!(answer, (StatusCode::OK, ALLOWED.to_owned()));
                requests += 1;
            }
            requests
        }));
    }
    let mut serials = HashSet::new();
    for _ in 0..ROTATIONS {
        agent.rotate_svids();
        let snapshot = server.source.changed().await.unwrap();
        serials.insert(snapshot.svid().unwrap().verified().serial().to_owned());
    }
    done.store(true, Ordering::SeqCst);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert!(
        serials.len() >= ROTATIONS / 2,
        "control: the server's SVID has really changed ({} serials)",
        serials.len()
    );
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_the_authority_rotates_in_steps_under_traffic() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let mut caller = Caller::new(&agent, "allowed", &[], &server).await;
    let own = domain("example.org");
    let old_roots = agent.authority(&own).unwrap().roots();
    let old_serial = server
        .source
        .snapshot()
        .svid()
        .unwrap()
        .verified()
        .serial()
        .to_owned();
    let roots = |snapshot: &Snapshot| snapshot.bundle(&own).unwrap().authorities().len();
    let renewed = |snapshot: &Snapshot| snapshot.svid().unwrap().verified().serial() != old_serial;
    type Step<'s> = (
        &'s (dyn Fn() + Sync),
        &'s (dyn Fn(&Snapshot) -> bool + Sync),
    );
    let steps: [Step<'_>; 3] = [
        (&|| agent.prepare_authority(&own).unwrap(), &|snapshot| {
            roots(snapshot) == 2
        }),
        (
            &|| {
                agent.activate_authority(&own).unwrap();
                agent.rotate_svids();
            },
            &renewed,
        ),
        (&|| agent.retire_authority(&own).unwrap(), &|snapshot| {
            roots(snapshot) == 1
        }),
    ];
    for (step, arrived) in steps {
        step();
        // As an operator does: the next step waits until the last has arrived everywhere.
        for source in [&server.source, &caller.source] {
            settled(source, arrived).await;
        }
        for _ in 0..10 {
            caller.forget_connections();
            assert_eq!(caller.get("/").await.unwrap().0, StatusCode::OK);
        }
    }
    let newcomer = Caller::new(&agent, "allowed", &[], &server).await;
    assert_eq!(
        newcomer.get("/").await.unwrap().0,
        StatusCode::OK,
        "who knows the new authority alone takes the server, so that presents its new SVID"
    );
    let roots = agent.authority(&own).unwrap().roots();
    assert!(
        roots.iter().all(|root| !old_roots.contains(root)),
        "control: the old authority is gone"
    );
}

#[tokio::test]
async fn invariant_9_and_10_what_no_rule_allows_reaches_no_handler() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "other", &[], &server).await;
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/absent"),
        ("DELETE", "/anyone"),
        ("BREW", "/anyone"),
        ("OPTIONS", "/"),
    ] {
        let response = caller
            .send(Request::builder().method(method), path)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
    assert_eq!(server.handled(), 0);
    assert_eq!(
        caller.get("/anyone").await.unwrap().0,
        StatusCode::OK,
        "control"
    );
    assert_eq!(server.handled(), 1);
}

#[tokio::test]
async fn invariant_12_every_denial_looks_the_same() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "other", &[], &server).await;
    let mut answers = Vec::new();
    for (method, path) in [("GET", "/"), ("POST", "/"), ("GET", "/no/such/route")] {
        let response = caller
            .send(Request::builder().method(method), path)
            .await
            .unwrap();
        let mut headers = response.headers().clone();
        headers.remove("date");
        answers.push((response.status(), headers, response.into_body()));
    }
    assert_eq!(answers[0], answers[1], "a wrong ID and a wrong method");
    assert_eq!(answers[0], answers[2], "a wrong ID and no route");
}

#[tokio::test]
async fn the_server_s_identity_comes_with_the_response() {
    let agent = agent().start().await.unwrap();
    let server = Server::start(&agent, &[]).await;
    let caller = Caller::new(&agent, "allowed", &[], &server).await;
    let response = caller.send(Request::builder(), "/").await.unwrap();
    let peer = response.extensions().get::<PeerIdentity>().unwrap();
    assert_eq!(peer.as_str(), SERVER);
    assert!(peer.is_current() && peer.expires_in() > Duration::ZERO);
}
