//! Our connector and our acceptor beside tonic's own TLS, which one library in the program is enough to
//! turn on.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use integration::grpc::{self, Whoami};
use integration::{ALLOWED, SERVER, agent, source};
use spiffe_acceptor::{Acceptor, PeerIdentityLayer};
use spiffe_connector::Connector;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Status};

/// tonic then wants an `https` endpoint to use that TLS, whatever its connector has done already.
#[tokio::test]
async fn trap_7_an_https_endpoint_needs_our_channel_or_an_origin() {
    let agent = agent().start().await.unwrap();
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    // Trap 1: what tonic holds of its own TLS is none of ours; the address is there.
    let service = InterceptedService::new(Whoami, |request: Request<()>| {
        match (request.peer_certs(), request.remote_addr()) {
            (None, Some(_)) => Ok(request),
            _ => Err(Status::internal("another connection than ours")),
        }
    });
    let server = Server::builder()
        .layer(PeerIdentityLayer::new())
        .add_service(service)
        .serve_with_incoming(listener.into_incoming());
    tokio::spawn(server);

    let connector = Connector::new(source(&agent, "allowed", &[]).await, SERVER).unwrap();
    let https = format!("https://127.0.0.1:{port}");
    let uri: http::Uri = https.parse().unwrap();
    let dialled = Arc::new(AtomicU32::new(0));
    let dial = || {
        let (connector, uri, dialled) = (connector.clone(), uri.clone(), dialled.clone());
        tower::service_fn(move |_: http::Uri| {
            dialled.fetch_add(1, Ordering::SeqCst);
            let (connector, uri) = (connector.clone(), uri.clone());
            async move { connector.connect(&uri).await }
        })
    };
    let endpoint = |uri: &str| Endpoint::from_shared(uri.to_owned()).unwrap();
    let error = endpoint(&https).connect_with_connector(dial()).await;
    let error = error.unwrap_err();
    let mut texts = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    let texts = texts.join(": ");
    assert!(texts.contains("HTTPS without TLS"), "{texts}");
    assert_eq!(dialled.load(Ordering::SeqCst), 1, "in vain");

    let http = endpoint(&format!("http://127.0.0.1:{port}")).origin(uri.clone());
    let with_origin = http.connect_with_connector(dial()).await.unwrap();
    let ours = connector.grpc_channel(https.as_str()).unwrap();
    for said in [grpc::once(with_origin).await, grpc::once(ours).await] {
        assert!(said.unwrap().starts_with(ALLOWED));
    }
}
