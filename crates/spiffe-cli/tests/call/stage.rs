//! An agent, a server, and the program that calls it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use spiffe_acceptor::{Acceptor, Listener};
use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
use spiffe_source::Source;
use tokio::process::Command;

pub(crate) const CLIENT: &str = "spiffe://example.org/service/orders";
pub(crate) const SERVER: &str = "spiffe://example.org/service/payments";

/// What a person is told of it while the test lasts.
pub(crate) const LEFT: &str = "its SVID ends in 12 h ";
const LIFE: Duration = Duration::from_secs(12 * 3600 + 1800);

pub(crate) async fn agent() -> Agent {
    Agent::builder()
        .trust_domain(TrustDomainSpec::new("example.org").unwrap())
        .unix("client")
        .unix("server")
        .unix("stranger")
        .entry(Entry::new(CLIENT).unwrap().on("client"))
        .entry(Entry::new(SERVER).unwrap().on("server").ttl(LIFE))
        .start()
        .await
        .unwrap()
}

pub(crate) async fn listener(agent: &Agent) -> (Listener, SocketAddr) {
    let source = Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .connect()
        .await
        .unwrap();
    let listener = Acceptor::builder(source).bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server of this app; where it is.
pub(crate) async fn serve(agent: &Agent, app: axum::Router) -> String {
    let (listener, address) = listener(agent).await;
    tokio::spawn(spiffe_acceptor::serve(listener, app).into_future());
    format!("https://{address}")
}

pub(crate) fn spiffectl(endpoint: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiffectl"));
    command
        .env_clear()
        .arg("call")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(endpoint) = endpoint {
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint);
    }
    command
}

/// What a call has come to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) async fn run(mut command: Command) -> Called {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .expect("bounded")
        .unwrap();
    Called {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Calls the expected server with the client's identity.
pub(crate) async fn call(agent: &Agent, url: &str, options: &[&str]) -> Called {
    let arguments = [&[url, "--expect", SERVER], options].concat();
    run(spiffectl(agent.endpoint("client"), &arguments)).await
}
