//! gRPC in Python, Node and nginx with SVIDs in files: as clients of servers of ours, and as servers of
//! clients of ours.

mod grpcio;
mod nginx;
mod node;
mod tap;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use interop::{Agent, PATIENCE};
use spiffe_connector::{Connector, Failure, HttpClient, PeerIdentity};
use spiffe_source::Source;

/// The ID at the agent's listener `server`.
const SERVER: &str = "spiffe://example.org/service/greeter";
/// The ID at the agent's listener `caller`.
const CALLER: &str = "spiffe://example.org/service/caller";

async fn source(agent: &Agent, listener: &str) -> Source {
    let source = Source::workload_api()
        .endpoint(agent.endpoint(listener))
        .first_update_within(PATIENCE);
    source.connect().await.expect("the agent answers")
}

/// Our client with the identity of the caller.
async fn connector(agent: &Agent, expected: &str) -> Connector {
    let source = source(agent, "caller").await;
    Connector::new(source, expected).expect("it is an ID")
}

type Client = HttpClient<Empty<Bytes>>;

/// Asks once: version, status and body of the answer, and who has given it.
async fn get(client: &Client, port: u16) -> Result<(String, PeerIdentity), Failure> {
    let uri = format!("https://127.0.0.1:{port}/");
    let answer = async {
        let uri = uri.parse().expect("it is a URI");
        let (head, body) = client
            .get(uri)
            .await
            .map_err(|error| Failure::of(&error))?
            .into_parts();
        let body = body.collect().await.map_err(|error| Failure::of(&error))?;
        let body = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
        let peer = head
            .extensions
            .get::<PeerIdentity>()
            .expect("it is somebody");
        let said = format!("{:?} {} {body}", head.version, head.status.as_u16());
        Ok((said, peer.clone()))
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.expect("the server answers or goes")
}
