use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use integration::{ALLOWED, SERVER, agent, settled, source};
use spiffe_connector::{Connector, PeerIdentity};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::{DenyList, Source};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::place::{BOTH, Client, PATIENCE, Place, connector, eventually, server, text};

/// Has the agent issue anew, and waits until the source has it.
async fn rotate(agent: &Agent, source: &Source) {
    let before = source
        .snapshot()
        .svid()
        .unwrap()
        .verified()
        .serial()
        .to_owned();
    agent.rotate_svids();
    settled(source, |snapshot| {
        snapshot
            .svid()
            .is_some_and(|svid| svid.verified().serial() != before)
    })
    .await;
}

/// Sends requests until one comes over another connection than `before`.
async fn moves_on(client: &Client, place: &Place, before: &str) -> String {
    let moving = async {
        loop {
            let number = text(client.get(place.uri("/"))).await.unwrap();
            if number != before {
                return number;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, moving)
        .await
        .expect("the connection is never retired")
}

#[tokio::test]
async fn after_a_rotation_requests_move_on_and_what_is_in_flight_is_finished() {
    for alpn in BOTH {
        let agent = agent().start().await.unwrap();
        let place = server(&agent, alpn).await;
        let source = source(&agent, "allowed", &[]).await;
        let connector = Connector::new(source.clone(), SERVER).unwrap();
        let eager: Client = connector.clone().retire_after(Duration::ZERO).http_client();
        let patient: Client = connector.http_client();
        assert_eq!(text(patient.get(place.uri("/"))).await.unwrap(), "0");
        assert_eq!(text(eager.get(place.uri("/"))).await.unwrap(), "1");
        let in_flight = tokio::spawn(text(eager.get(place.uri("/slow"))));
        place.has_seen(3).await;

        rotate(&agent, &source).await;
        let next = moves_on(&eager, &place, "1").await;
        assert_eq!(next, "2", "{alpn}");
        assert!(!in_flight.is_finished());
        place.go_on();
        assert_eq!(in_flight.await.unwrap().unwrap(), "1", "{alpn}");
        assert_eq!(text(eager.get(place.uri("/"))).await.unwrap(), "2");
        assert_eq!(
            text(patient.get(place.uri("/"))).await.unwrap(),
            "0",
            "control: a setting that has not come to pass retires nothing"
        );
    }
}

#[tokio::test]
async fn a_connection_is_retired_at_its_age_and_when_somebody_wants_it_closed() {
    for alpn in BOTH {
        let agent = agent().start().await.unwrap();
        let place = server(&agent, alpn).await;
        let connector = connector(&agent).await;
        let ages = connector.clone().max_age(Duration::from_millis(100));
        let ages: Client = ages.http_client();
        let first = text(ages.get(place.uri("/"))).await.unwrap();
        moves_on(&ages, &place, &first).await;

        let client: Client = connector.http_client();
        let response = client.get(place.uri("/")).await.unwrap();
        let peer = response.extensions().get::<PeerIdentity>().unwrap().clone();
        let first = text(async { Ok(response) }).await.unwrap();
        assert_eq!(text(client.get(place.uri("/"))).await.unwrap(), first);
        peer.close();
        moves_on(&client, &place, &first).await;
        assert!(peer.is_current(), "a wish to close is no withdrawal");
    }
}

#[tokio::test]
async fn a_connection_that_is_retired_at_once_has_the_request_it_was_made_for() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let connector = connector(&agent).await.max_age(Duration::ZERO);
        let client: Client = connector.http_client();
        for _ in 0..10 {
            text(client.get(place.uri("/"))).await.unwrap();
        }
        let connections = place.connections();
        assert!((2..=10).contains(&connections), "{alpn}: {connections}");
    }
}

/// A way to the place on which the second connection is held up until it may go on.
async fn detour(place: &Place, go_on: Arc<Notify>) -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut detour = place.clone();
    let port = std::mem::replace(&mut detour.port, listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut from, _) = listener.accept().await.unwrap();
            let go_on = go_on.clone();
            tokio::spawn(async move {
                if number == 1 {
                    go_on.notified().await;
                }
                let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    detour
}

#[tokio::test]
async fn a_connection_that_was_never_used_is_retired_too() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "http/1.1").await;
    let go_on = Arc::<Notify>::default();
    let detour = detour(&place, go_on.clone()).await;
    let source = source(&agent, "allowed", &[]).await;
    let connector = Connector::new(source.clone(), SERVER).unwrap();
    let client: Client = connector.retire_after(Duration::ZERO).http_client();
    let slow = tokio::spawn(text(client.get(detour.uri("/slow"))));
    place.has_seen(1).await;
    let next = tokio::spawn(text(client.get(detour.uri("/"))));
    tokio::task::yield_now().await;
    // While the next request waits for its own connection, that of the first becomes free.
    place.go_on();
    assert_eq!(slow.await.unwrap().unwrap(), "0");
    assert_eq!(next.await.unwrap().unwrap(), "0");
    go_on.notify_one();
    eventually("the other is open", || place.is_open(1)).await;

    rotate(&agent, &source).await;
    eventually("the other is closed", || !place.is_open(1)).await;
    assert_eq!(text(client.get(detour.uri("/"))).await.unwrap(), "2");
}

#[tokio::test]
async fn where_trust_is_withdrawn_everything_ends_at_once() {
    for alpn in BOTH {
        let agent = agent().start().await.unwrap();
        let place = server(&agent, alpn).await;
        let source = source(&agent, "allowed", &[]).await;
        let connector = Connector::new(source.clone(), SERVER).unwrap();
        let client: Client = connector.http_client();
        // Idle, once the server has answered.
        assert_eq!(text(client.get(place.uri("/"))).await.unwrap(), "0");
        let stream = client.get(place.uri("/stream")).await.unwrap();
        let peer = stream.extensions().get::<PeerIdentity>().unwrap().clone();
        let mut stream = stream.into_body();
        stream.frame().await.unwrap().unwrap();
        let in_flight = tokio::spawn(client.get(place.uri("/slow")));
        place.has_seen(3).await;

        source.deny(format!("{SERVER}\nend").parse::<DenyList>().unwrap());
        let ends = async {
            loop {
                match stream.frame().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error,
                    None => panic!("an end that looks like a good one"),
                }
            }
        };
        let error = timeout(PATIENCE, ends).await.expect("it goes on");
        assert!(error.to_string().contains("no longer trusted"), "{error}");
        let error = timeout(PATIENCE, in_flight).await.unwrap().unwrap();
        error.unwrap_err();
        assert!(!peer.is_current());
        let (requests, connections) = (place.requests(), place.connections());
        client.get(place.uri("/")).await.unwrap_err();
        assert_eq!(place.requests(), requests, "{alpn}: no further request");

        source.deny(DenyList::default());
        eventually("trusted again", || source.snapshot().deny_list().is_empty()).await;
        let again = async {
            while text(client.get(place.uri("/"))).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, again).await.expect("control");
        assert!(place.connections() > connections, "nothing was revived");
    }
}

#[tokio::test]
async fn no_request_meets_the_end_of_the_servers_identity() {
    for alpn in BOTH {
        let ttl = Duration::from_secs(4);
        let agent = Agent::builder()
            .trust_domain(TrustDomainSpec::new("example.org").unwrap())
            .unix("server")
            .unix("allowed")
            .entry(Entry::new(SERVER).unwrap().on("server").ttl(ttl))
            .entry(Entry::new(ALLOWED).unwrap().on("allowed"))
            .start()
            .await
            .unwrap();
        let place = server(&agent, alpn).await;
        let client: Client = connector(&agent).await.http_client();
        let begun = std::time::Instant::now();
        let mut identities = Vec::new();
        while begun.elapsed() < Duration::from_secs(6) {
            let response = client.get(place.uri("/")).await.unwrap();
            let peer = response.extensions().get::<PeerIdentity>().unwrap().clone();
            let _: Bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert!(peer.is_current());
            if identities.last() != Some(&peer.fingerprint()) {
                identities.push(peer.fingerprint());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(identities.len() > 1, "{alpn}: {}", identities.len());
        assert!(place.connections() < 20, "{}", place.connections());
    }
}
