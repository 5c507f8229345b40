//! The Python package `grpcio`.

use std::process::Command;

use integration::grpc::{Whoami, forever, once};
use interop::{Agent, Certificates, Running, python};
use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_authz::axum::{Router, Rpcs};
use spiffe_connector::{Connector, Failure};
use tonic::Code;

use crate::tap::{Place, Tap};
use crate::{CALLER, SERVER, connector, source};

/// tonic's own server behind our acceptor, with the identity at that listener; the port.
async fn tonic_server(agent: &Agent, listener: &str) -> u16 {
    let listener = Acceptor::builder(source(agent, listener).await).bind("127.0.0.1:0");
    let listener = listener.await.expect("it can listen");
    let port = listener.local_addr().expect("it listens").port();
    let rpcs = Rpcs::new()
        .authenticated("Once", "a test asks who it is")
        .allow("Forever", CALLER);
    let app = Router::new()
        .grpc(Whoami, rpcs)
        .build()
        .expect("the rules are sound");
    let server = tonic::transport::Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_routes(app.into())
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);
    port
}

/// What a client in Python says of a call and of a stream.
fn calls(port: u16, name: &str, trusted: &Certificates, own: Option<&Certificates>) -> [String; 2] {
    let mut client: Command = python("grpc_client.py");
    client.args([&port.to_string(), name]).arg(trusted.bundle());
    if let Some(own) = own {
        client.arg(own.svid()).arg(own.key());
    }
    let said = Running::start(&mut client).finish().success();
    let (call, stream) = said.split_once('\n').expect("it says two lines");
    [call.to_owned(), stream.to_owned()]
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_calls_our_service_as_its_rules_say() {
    let agent = Agent::start();
    let port = tonic_server(&agent, "server").await;
    let own = Certificates::write(&agent, "caller");
    let foreign = Certificates::write(&agent, "foreigner");

    let who = format!("{CALLER} from Some(127.0.0.1)");
    let [call, stream] = calls(port, "localhost", &own, Some(&own));
    assert_eq!(call, who);
    assert_eq!(stream, format!("3 times {who}"));

    let other = Certificates::write(&agent, "several");
    let [call, stream] = calls(port, "localhost", &own, Some(&other));
    assert!(call.starts_with("spiffe://example.org/several/"), "{call}");
    assert!(stream.starts_with("PERMISSION_DENIED"), "{stream}");

    // gRPC holds a server to a DNS name. An ID in its place is also sent as the name of the server, where
    // it is none.
    let nameless = tonic_server(&agent, "caller").await;
    for (port, name, trusted, shown) in [
        (port, "localhost", &own, Some(&foreign)),
        (port, "localhost", &own, None),
        (port, "localhost", &foreign, Some(&own)),
        (port, "elsewhere", &own, Some(&own)),
        (port, SERVER, &own, Some(&own)),
        (nameless, "localhost", &own, Some(&own)),
    ] {
        for said in calls(port, name, trusted, shown) {
            assert!(said.starts_with("UNAVAILABLE"), "{name}: {said}");
        }
    }
    let [call, _] = calls(port, "localhost", &own, Some(&own));
    assert_eq!(call, who, "control");
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcio_serves_our_channel_if_it_is_the_expected_server() {
    let agent = Agent::start();
    let certificates = Certificates::write(&agent, "server");
    let foreign = Certificates::write(&agent, "foreigner");
    let start = |trusted: &Certificates| {
        let mut server = python("grpc_server.py");
        server.args([trusted.bundle(), certificates.svid(), certificates.key()]);
        let mut server = Running::start(&mut server);
        let port = server.line("listening on ").parse::<u16>().expect("a port");
        (server, port)
    };
    let channel = |connector: &Connector, port: u16| {
        let origin = format!("https://127.0.0.1:{port}");
        connector.grpc_channel(origin).expect("it is an origin")
    };

    let (server, port) = start(&certificates);
    let mut tap = Tap::before(Place::Port(port)).await;
    let expecting = connector(&agent, SERVER).await;
    let orders = channel(&expecting, tap.port);
    assert_eq!(once(orders.clone()).await.unwrap(), CALLER);
    let mut stream = forever(orders.clone()).await.unwrap();
    for count in 0..3 {
        let message = stream.message().await.unwrap();
        assert_eq!(message.unwrap(), format!("{count} {CALLER}"));
    }
    assert_eq!(stream.message().await.unwrap(), None);
    drop((stream, orders));
    assert!(tap.client_went_on().await, "control");

    let elsewhere = channel(&connector(&agent, CALLER).await, tap.port);
    let refused = once(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(Failure::of(&refused).is_refused_by_client(), "{refused:?}");
    assert!(!tap.client_went_on().await);
    let served = server.terminate().stdout;
    assert_eq!(served.matches("call of").count(), 2, "{served}");

    let (server, port) = start(&foreign);
    let refused = once(channel(&expecting, port)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(!Failure::of(&refused).is_refused_by_client(), "{refused:?}");
    let served = server.terminate().stdout;
    assert!(!served.contains("call of"), "{served}");
}
