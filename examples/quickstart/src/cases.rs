//! Who tries what, and what should come of it.

use std::sync::Arc;

use http::Method;
use rustls::pki_types::{CertificateDer, ServerName};
use spiffe_connector::Failure;
use spiffe_devkit::Agent;
use spiffe_peer::parse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::callers::{Answer, Caller, NEW_ORDER};
use crate::handshakes::Reasons;
use crate::orders::Refusals;
use crate::{BoxError, workload};

pub(crate) struct Outcome {
    pub(crate) caller: &'static str,
    pub(crate) action: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) actual: String,
    pub(crate) why: String,
}

impl Outcome {
    pub(crate) fn is_expected(&self) -> bool {
        self.actual == self.expected
    }
}

const CREATE: &str = "POST /orders";
const SHOW: &str = "GET /orders/1";
const HEALTH: &str = "GET /healthz";
const RPC: &str = "grpc Orders/Create";
const REFUSED: &str = "no handshake";

pub(crate) async fn run(
    agent: &Agent,
    port: u16,
    refusals: &Refusals,
    handshakes: &mut Reasons,
) -> Result<Vec<Outcome>, BoxError> {
    let attempts = [
        ("payment-processor", CREATE, "201 Created"),
        ("payment-processor", SHOW, "200 OK"),
        ("payment-processor", RPC, "OK"),
        ("payment-processor", HEALTH, "200 OK"),
        ("reporting", CREATE, "403 Forbidden"),
        ("reporting", SHOW, "403 Forbidden"),
        ("reporting", RPC, "PERMISSION_DENIED"),
        ("reporting", HEALTH, "200 OK"),
        ("intruder", HEALTH, REFUSED),
        ("intruder", RPC, REFUSED),
    ];
    let mut outcomes = Vec::new();
    for (name, action, expected) in attempts {
        let caller = Caller::start(agent, name, port).await?;
        let answer = match action {
            CREATE => caller.http(Method::POST, "/orders", NEW_ORDER).await?,
            SHOW => caller.http(Method::GET, "/orders/1", "").await?,
            HEALTH => caller.http(Method::GET, "/healthz", "").await?,
            _ => caller.grpc().await?,
        };
        let (actual, why) = match answer {
            Answer::Refused(_) => (REFUSED.to_owned(), refusal(handshakes).await),
            answer => describe(answer, refusals),
        };
        let caller = if name == "intruder" {
            "payment-processor of elsewhere.test"
        } else {
            name
        };
        outcomes.push(Outcome {
            caller,
            action,
            expected,
            actual,
            why,
        });
    }
    let (actual, why) = match without_certificate(agent, port).await? {
        Some(_) => (REFUSED.to_owned(), refusal(handshakes).await),
        None => ("an answer".to_owned(), String::new()),
    };
    outcomes.push(Outcome {
        caller: "no certificate",
        action: HEALTH,
        expected: REFUSED,
        actual,
        why,
    });
    Ok(outcomes)
}

/// What the server knows. The client was told less.
async fn refusal(handshakes: &mut Reasons) -> String {
    format!("the service refused: {}", handshakes.next().await)
}

fn describe(answer: Answer, refusals: &Refusals) -> (String, String) {
    let why = |server: String| match refusals.take_last() {
        Some(reason) => format!("the service refused: {reason}"),
        None => format!("answered by {server}"),
    };
    match answer {
        Answer::Http(status, server) => (status.to_string(), why(server)),
        Answer::Grpc(tonic::Code::Ok, server) => ("OK".to_owned(), why(server)),
        Answer::Grpc(tonic::Code::PermissionDenied, server) => {
            ("PERMISSION_DENIED".to_owned(), why(server))
        }
        Answer::Grpc(code, server) => (format!("{code:?}"), why(server)),
        Answer::Refused(told) => (REFUSED.to_owned(), told),
    }
}

/// Plain rustls, as somebody without an SVID would use it: it verifies the server, and has nothing
/// to show. Gives the refusal, or none if the service answered.
async fn without_certificate(agent: &Agent, port: u16) -> Result<Option<String>, BoxError> {
    let authority = agent
        .authority(&parse::trust_domain("example.org")?)
        .ok_or("no authority")?;
    let mut roots = rustls::RootCertStore::empty();
    for root in spiffe_verify::split_der(&authority.bundle_der())? {
        roots.add(CertificateDer::from(root).into_owned())?;
    }
    let provider = workload(agent, "orders")
        .connect()
        .await?
        .provider()
        .clone();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let exchange = async {
        let mut tls = TlsConnector::from(Arc::new(config))
            .connect(
                ServerName::try_from("localhost").map_err(std::io::Error::other)?,
                tcp,
            )
            .await?;
        tls.write_all(request).await?;
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match exchange.await {
        Ok(_) => Ok(None),
        Err(error) => {
            let failure = Failure::of(&error);
            if failure.is_refused_by_server() {
                Ok(Some(failure.to_string()))
            } else {
                Err(failure.to_string().into())
            }
        }
    }
}
