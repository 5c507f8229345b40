use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use integration::{agent, source};
use spiffe_connector::HttpClient;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::place::{BOTH, Client, PATIENCE, Place, connector, server, text};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_server_that_does_not_shake_hands_is_given_up() {
    let agent = agent().start().await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}/", silent.local_addr().unwrap());
    let connector = connector(&agent).await.handshake_timeout(SHORT);
    let client: Client = connector.http_client();
    let error = client.get(uri.parse().unwrap()).await.unwrap_err();
    assert!(
        error.is_timeout() && error.connect().unwrap().is_timeout(),
        "{error}"
    );
    assert!(error.to_string().contains("handshake"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_and_a_slow_upload_is_not() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let connector = connector(&agent).await.response_header_timeout(SHORT);
        let client: Client = connector.http_client();
        let begun = Instant::now();
        let error = client.get(place.uri("/slow")).await.unwrap_err();
        assert!(error.is_timeout() && error.connect().is_none(), "{error}");
        assert!(error.to_string().contains("no head"), "{error}");
        assert!(begun.elapsed() >= SHORT);
        assert!(client.get(place.uri("/")).await.is_ok(), "control");

        let pieces = futures_util::stream::unfold(0, |sent| async move {
            tokio::time::sleep(SHORT / 2).await;
            let piece = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")));
            (sent < 6).then_some((piece, sent + 1))
        });
        let upload = Request::post(place.uri("/echo"))
            .body(StreamBody::new(Box::pin(pieces)))
            .unwrap();
        // The place answers at once, so what is measured is that nothing else is given up.
        let uploading = connector.http_client();
        let echo = text(uploading.request(upload)).await.unwrap();
        assert_eq!(echo, "piece".repeat(6), "{alpn}");
    }
}

#[tokio::test]
async fn a_call_ends_with_its_time_even_where_the_response_goes_on() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let connector = connector(&agent).await.overall_timeout(SHORT * 2);
        let client: HttpClient<Empty<Bytes>> = connector.http_client();
        let response = client.get(place.uri("/stream")).await.unwrap();
        let whole = timeout(PATIENCE, response.into_body().collect());
        let error = whole.await.expect("it goes on").unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let error = client.get(place.uri("/slow")).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(error.to_string().contains("not finished"), "{error}");

        let patient: HttpClient<Empty<Bytes>> = connector.overall_timeout(None).http_client();
        let mut body = patient.get(place.uri("/stream")).await.unwrap().into_body();
        let begun = Instant::now();
        while begun.elapsed() < SHORT * 3 {
            body.frame().await.unwrap().expect("control");
        }
    }
}

#[tokio::test]
async fn a_call_ends_with_its_time_even_where_the_next_piece_is_always_there() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let source = source(&agent, "server", &[]).await;
        let place = Place::serving(source, alpn, |_, _, _| {
            let pieces = futures_util::stream::repeat(Ok::<_, Infallible>([0; 1024].as_slice()));
            Box::pin(async move { Response::new(axum::body::Body::from_stream(pieces)) })
        })
        .await;
        let connector = connector(&agent).await.overall_timeout(SHORT);
        let client: Client = connector.http_client();
        let mut body = client.get(place.uri("/")).await.unwrap().into_body();
        let reading = async {
            loop {
                // Slower than what comes.
                tokio::time::sleep(SHORT / 10).await;
                if let Err(error) = body.frame().await.expect("it has no end") {
                    return error;
                }
            }
        };
        let error = timeout(PATIENCE, reading).await.expect("it goes on");
        assert!(error.to_string().contains("not finished"), "{error}");
    }
}

#[tokio::test]
async fn no_time_is_too_long() {
    let agent = agent().start().await.unwrap();
    let connector = connector(&agent).await;
    let connector = connector
        .dial_timeout(Duration::MAX)
        .keep_alive(Duration::MAX)
        .handshake_timeout(Duration::MAX)
        .response_header_timeout(Duration::MAX)
        .overall_timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .retire_after(Duration::MAX)
        .max_age(Duration::MAX);
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        let client: Client = connector.http_client();
        for _ in 0..2 {
            assert_eq!(
                text(client.get(place.uri("/"))).await.unwrap(),
                "0",
                "{alpn}"
            );
        }
        let client = connector.reqwest().unwrap().build().unwrap();
        for _ in 0..2 {
            let answer = client.get(place.uri("/").to_string()).send().await;
            assert_eq!(answer.unwrap().text().await.unwrap(), "1", "{alpn}");
        }
    }
}

#[tokio::test]
async fn idle_connections_are_few_and_do_not_stay() {
    let agent = agent().start().await.unwrap();
    let place = server(&agent, "http/1.1").await;
    let connector = connector(&agent).await;
    let keeping: Client = connector.http_client();
    for _ in 0..3 {
        assert_eq!(
            text(keeping.get(place.uri("/"))).await.unwrap(),
            "0",
            "control"
        );
        tokio::time::sleep(SHORT / 2).await;
    }
    let none: Client = connector.clone().max_idle(0).http_client();
    for number in ["1", "2"] {
        assert_eq!(text(none.get(place.uri("/"))).await.unwrap(), number);
    }
    let brief: Client = connector.idle_timeout(SHORT / 4).http_client();
    for number in ["3", "4"] {
        assert_eq!(text(brief.get(place.uri("/"))).await.unwrap(), number);
        tokio::time::sleep(SHORT / 2).await;
    }
}
