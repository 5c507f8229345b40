use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use integration::grpc::{self, Whoami};
use integration::{ALLOWED, OTHER, SERVER, agent, source};
use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_connector::{Connector, Failure, GrpcChannel, PeerIdentity};
use spiffe_devkit::Agent;
use spiffe_source::DenyList;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::place::{Place, connector, server};

/// tonic's own server on our listener; the port.
async fn tonic_server(agent: &Agent) -> u16 {
    let listener = Acceptor::builder(source(agent, "server", &[]).await)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tonic::transport::Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_service(Whoami)
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    port
}

fn channel(connector: &Connector, port: u16) -> GrpcChannel {
    let origin = format!("https://127.0.0.1:{port}");
    connector.grpc_channel(origin).unwrap()
}

/// Asks once, and keeps what the helper of the tests drops.
async fn ask(channel: GrpcChannel, request: Request<String>) -> Result<Response<String>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let path = PathAndQuery::from_static("/test.Whoami/Once");
    let codec = ProstCodec::<String, String>::default();
    client.unary(request, path, codec).await
}

#[tokio::test]
async fn a_call_tells_who_has_answered_and_its_errors_say_why() {
    let agent = agent().start().await.unwrap();
    let port = tonic_server(&agent).await;
    let connector = connector(&agent).await;
    let response = ask(channel(&connector, port), Request::new(String::new()))
        .await
        .unwrap();
    let peer = response.extensions().get::<PeerIdentity>().unwrap();
    assert_eq!(peer.as_str(), SERVER);
    assert!(response.get_ref().starts_with(ALLOWED), "{response:?}");

    let source = source(&agent, "allowed", &[]).await;
    let wrong = Connector::new(source, OTHER).unwrap();
    let status = grpc::once(channel(&wrong, port)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(Failure::of(&status).is_refused_by_client(), "{status:?}");

    let http1 = server(&agent, "http/1.1").await;
    let status = grpc::once(channel(&connector, http1.port))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(http1.requests(), 0);

    for no_origin in [
        "http://orders",
        "https://orders/path",
        "orders",
        "https://me@orders",
        "",
    ] {
        let error = connector.grpc_channel(no_origin).unwrap_err();
        assert!(
            error.to_string().contains("https://host:port"),
            "{no_origin}"
        );
    }
}

#[tokio::test]
async fn a_call_arrives_as_users_of_tonic_expect() {
    let agent = agent().start().await.unwrap();
    let source = source(&agent, "server", &[]).await;
    let place = Place::serving(source, "h2", |_, _, request| {
        Box::pin(async move {
            let header = |name: &str| {
                let value = request.headers().get(name);
                value
                    .map_or("-", |value| value.to_str().unwrap())
                    .to_owned()
            };
            let seen = format!(
                "{} {} {} {}",
                request.uri(),
                header("user-agent"),
                header("te"),
                header("content-type")
            );
            Status::unknown(seen).into_http()
        })
    })
    .await;
    let connector = connector(&agent).await;
    let say = async |request| {
        let status = ask(channel(&connector, place.port), request)
            .await
            .unwrap_err();
        status.message().to_owned()
    };
    let uri = format!("https://127.0.0.1:{}/test.Whoami/Once", place.port);
    let own = concat!("spiffe-connector/", env!("CARGO_PKG_VERSION"));
    let said = say(Request::new(String::new())).await;
    assert_eq!(said, format!("{uri} {own} trailers application/grpc"));
    let mut request = Request::new(String::new());
    let agent = "billing/1.0".parse().unwrap();
    request.metadata_mut().insert("user-agent", agent);
    let said = say(request).await;
    assert_eq!(said, format!("{uri} billing/1.0 trailers application/grpc"));
}

#[tokio::test]
async fn a_deadline_ends_calls_and_streams_alike() {
    let agent = agent().start().await.unwrap();
    let short = Duration::from_millis(200);
    let connector = connector(&agent).await;
    let place = Place::serving(source(&agent, "server", &[]).await, "h2", |_, _, _| {
        Box::pin(std::future::pending())
    })
    .await;
    let mut request = Request::new(String::new());
    request.set_timeout(short);
    let begun = Instant::now();
    let status = ask(channel(&connector, place.port), request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(begun.elapsed() >= short);

    let port = tonic_server(&agent).await;
    let limited = channel(&connector, port).timeout(short);
    let mut stream = grpc::forever(limited.clone()).await.unwrap();
    let ends = async {
        loop {
            match stream.message().await {
                Ok(message) => drop(message.unwrap()),
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(crate::place::PATIENCE, ends)
        .await
        .expect("it goes on");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(grpc::once(limited).await.is_ok(), "control");
}

/// A way to a port whose first connection leads nowhere; tells when it is there.
async fn detour(to: u16) -> (u16, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let lost = Arc::<Notify>::default();
    let told = lost.clone();
    tokio::spawn(async move {
        let _nowhere = listener.accept().await.unwrap();
        told.notify_one();
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
        }
    });
    (port, lost)
}

#[tokio::test]
async fn a_call_that_gives_up_takes_no_other_with_it() {
    let agent = agent().start().await.unwrap();
    let (port, lost) = detour(tonic_server(&agent).await).await;
    let connector = connector(&agent).await;
    let channel = channel(&connector, port);
    let hasty = channel.clone().timeout(Duration::from_millis(300));
    let hasty = tokio::spawn(grpc::once(hasty));
    lost.notified().await;
    let patient: Vec<_> = (0..3)
        .map(|_| tokio::spawn(grpc::once(channel.clone())))
        .collect();
    let status = hasty.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    for call in patient {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn calls_move_on_after_a_rotation_while_a_stream_stays() {
    let agent = agent().start().await.unwrap();
    let port = tonic_server(&agent).await;
    let source = source(&agent, "allowed", &[]).await;
    let connector = Connector::new(source.clone(), SERVER).unwrap();
    let channel = channel(&connector.retire_after(Duration::ZERO), port);
    let mut stream = grpc::forever(channel.clone()).await.unwrap();
    stream.message().await.unwrap().unwrap();
    let peer = async || {
        let response = ask(channel.clone(), Request::new(String::new())).await;
        let response = response.unwrap();
        response.extensions().get::<PeerIdentity>().unwrap().clone()
    };
    let first = peer().await;
    let marks = AtomicU32::new(0);
    let is_same = |one: &PeerIdentity, other: &PeerIdentity| {
        // A connection has a slot for what a policy makes of its peer.
        let mark = marks.fetch_add(1, Ordering::Relaxed);
        one.set_last_resolved(mark);
        other.last_resolved(|last: &u32| *last) == Some(mark)
    };
    assert!(is_same(&first, &peer().await), "control");
    agent.rotate_svids();
    let moved = async {
        while is_same(&first, &peer().await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::place::PATIENCE, moved)
        .await
        .expect("calls move on");
    for _ in 0..20 {
        stream.message().await.unwrap().unwrap();
    }

    source.deny(format!("{SERVER}\nend").parse::<DenyList>().unwrap());
    let begun = Instant::now();
    let ends = async { while let Ok(Some(_)) = stream.message().await {} };
    tokio::time::timeout(crate::place::PATIENCE, ends)
        .await
        .expect("a stream ends with the trust in its server");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let status = grpc::once(channel.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}
