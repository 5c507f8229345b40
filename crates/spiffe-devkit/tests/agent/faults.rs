use bytes::Buf;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use spiffe_devkit::{Code, Fault};
use spiffe_source::workload_api::messages::{SECURITY_HEADER, SERVICE};
use tokio::net::UnixStream;

use crate::client::Client;
use crate::{A_MOMENT, ORDERS, domain, orders};

#[tokio::test]
async fn pause_keeps_streams_open_and_silent_until_it_ends() {
    let (agent, client) = orders().await;
    let mut old = client.x509_svids().await.unwrap();
    let before = old.next().await.unwrap();
    agent.fault("orders", Fault::Pause).unwrap();
    agent.rotate_svids();
    old.expect_silence().await;
    let mut new = client.x509_svids().await.unwrap();
    new.expect_silence().await;
    client.jwt_svids(&["a"], "").await.unwrap();

    agent.heal("orders").unwrap();
    let after = old.next().await.unwrap();
    assert_ne!(after, before);
    assert_eq!(new.next().await.unwrap(), after);
}

#[tokio::test]
async fn hang_accepts_and_never_answers_until_it_ends() {
    let (agent, client) = orders().await;
    let mut open = client.x509_svids().await.unwrap();
    open.next().await.unwrap();
    agent.fault("orders", Fault::Hang).unwrap();
    agent.rotate_svids();
    open.expect_silence().await;

    let fresh = Client::connect(agent.endpoint("orders").unwrap()).await;
    let stream = tokio::spawn({
        let fresh = fresh.clone();
        async move { fresh.first_x509_svids().await }
    });
    let unary = tokio::spawn(async move { fresh.jwt_svids(&["a"], "").await });
    tokio::time::sleep(A_MOMENT).await;
    assert!(!stream.is_finished() && !unary.is_finished());

    agent.heal("orders").unwrap();
    assert_eq!(stream.await.unwrap().unwrap(), open.next().await.unwrap());
    unary.await.unwrap().unwrap();
}

#[tokio::test]
async fn error_answers_new_calls_and_ends_open_streams() {
    let (agent, client) = orders().await;
    let mut open = client.x509_svids().await.unwrap();
    open.next().await.unwrap();
    agent
        .fault(
            "orders",
            Fault::Error {
                code: Code::Unavailable,
                message: "starting".into(),
            },
        )
        .unwrap();
    for status in [
        open.next().await.unwrap_err(),
        client.x509_svids().await.map(drop).unwrap_err(),
        client.x509_bundles().await.map(drop).unwrap_err(),
        client.jwt_bundles().await.map(drop).unwrap_err(),
        client.jwt_svids(&["a"], "").await.unwrap_err(),
        client.validate("a", "b").await.unwrap_err(),
    ] {
        assert_eq!(
            (status.code(), status.message()),
            (tonic::Code::Unavailable, "starting")
        );
    }
    agent.heal("orders").unwrap();
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);
}

#[tokio::test]
async fn garbage_cannot_be_decoded_on_new_calls_and_open_streams() {
    let (agent, client) = orders().await;
    let mut open = client.x509_svids().await.unwrap();
    open.next().await.unwrap();
    agent.fault("orders", Fault::Garbage).unwrap();
    for status in [
        open.next().await.unwrap_err(),
        client.first_x509_svids().await.unwrap_err(),
        client
            .x509_bundles()
            .await
            .unwrap()
            .next()
            .await
            .map(drop)
            .unwrap_err(),
        client.jwt_svids(&["a"], "").await.unwrap_err(),
        client.validate("a", "b").await.unwrap_err(),
    ] {
        assert!(status.message().contains("failed to decode"), "{status}");
    }
    agent.heal("orders").unwrap();
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);
}

#[tokio::test]
async fn huge_is_the_same_answer_in_the_size_that_was_asked_for() {
    let (agent, client) = orders().await;
    let mut open = client.x509_svids().await.unwrap();
    let honest = open.next().await.unwrap();

    agent.fault("orders", Fault::Huge(1_000_000)).unwrap();
    assert_eq!(
        open.next().await.unwrap(),
        honest,
        "a reader that allows the size reads the answer"
    );
    assert_eq!(client.first_x509_svids().await.unwrap(), honest);
    client.jwt_svids(&["a"], "").await.unwrap();

    // What tonic allows unless told otherwise is 4 MiB.
    agent.fault("orders", Fault::Huge(5 << 20)).unwrap();
    for status in [
        open.next().await.unwrap_err(),
        client.first_x509_svids().await.unwrap_err(),
        client.jwt_svids(&["a"], "").await.unwrap_err(),
    ] {
        assert_eq!(status.code(), tonic::Code::OutOfRange, "{status}");
    }
    agent.heal("orders").unwrap();
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);
}

#[tokio::test]
async fn a_huge_message_has_exactly_its_size_on_the_wire() {
    let (agent, _client) = orders().await;
    let size = 300_000;
    agent.fault("orders", Fault::Huge(size)).unwrap();
    let path = agent
        .endpoint("orders")
        .unwrap()
        .strip_prefix("unix://")
        .unwrap();
    let stream = TokioIo::new(UnixStream::connect(path).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://agent/{SERVICE}/FetchX509SVID"))
        .header(SECURITY_HEADER, "true")
        .header("content-type", "application/grpc")
        .body(http_body_util::Full::new(bytes::Bytes::from_static(
            &[0; 5],
        )))
        .unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    let mut got = bytes::BytesMut::new();
    let whole = usize::try_from(size).unwrap() + 5;
    while got.len() < whole {
        got.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    assert_eq!(got.len(), whole);
    got.advance(1);
    assert_eq!(got.get_u32(), size);
}

#[tokio::test]
async fn a_gigabyte_is_refused_at_once_and_a_fault_is_that_of_its_listener_alone() {
    let agent = crate::example_org()
        .entry(crate::entry(ORDERS))
        .unix("sick")
        .unix("well")
        .start()
        .await
        .unwrap();
    agent.fault("sick", Fault::Huge(u32::MAX)).unwrap();
    let sick = Client::connect(agent.endpoint("sick").unwrap()).await;
    let well = Client::connect(agent.endpoint("well").unwrap()).await;
    assert_eq!(
        sick.first_x509_svids().await.unwrap_err().code(),
        tonic::Code::OutOfRange
    );
    assert_eq!(well.ids().await.unwrap(), [ORDERS]);
    assert!(agent.fault("other", Fault::Hang).unwrap_err().is_unknown());

    let told = agent
        .log()
        .into_iter()
        .map(|record| record.to_string())
        .find(|line| line.contains("sick"))
        .unwrap();
    assert!(
        told.ends_with("FetchX509SVID -> fault: huge 4294967295"),
        "{told}"
    );
}

#[tokio::test]
async fn what_changed_during_a_fault_is_told_after_it() {
    let (agent, client) = orders().await;
    let mut bundles = client.x509_bundles().await.unwrap();
    bundles.next().await.unwrap();
    agent.fault("orders", Fault::Hang).unwrap();
    for _ in 0..3 {
        agent.rotate_authority(&domain("example.org")).unwrap();
    }
    agent.heal("orders").unwrap();
    let now = agent
        .authority(&domain("example.org"))
        .unwrap()
        .bundle_der();
    assert_eq!(
        bundles.next().await.unwrap().bundles["spiffe://example.org"],
        now,
        "once, and the latest"
    );
    bundles.expect_silence().await;
}
