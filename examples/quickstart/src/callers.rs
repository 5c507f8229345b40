//! Clients of the orders service.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use spiffe_connector::{Connector, Failure, GrpcChannel, HttpClient};
use spiffe_devkit::Agent;
use spiffe_peer::PeerIdentity;

use crate::orders::v1::NewOrder;
use crate::orders::v1::orders_client::OrdersClient;
use crate::{BoxError, ORDERS, workload};

pub(crate) const NEW_ORDER: &str = r#"{"item":"tea"}"#;

/// A workload that calls the orders service, over HTTP and over gRPC.
pub(crate) struct Caller {
    connector: Connector,
    http: HttpClient<Full<Bytes>>,
    grpc: OrdersClient<GrpcChannel>,
    port: u16,
}

/// What came back, or that the server refused the handshake.
pub(crate) enum Answer {
    Http(http::StatusCode, String),
    Grpc(tonic::Code, String),
    Refused(String),
}

impl Caller {
    pub(crate) async fn start(agent: &Agent, socket: &str, port: u16) -> Result<Self, BoxError> {
        let source = workload(agent, socket)
            .trust("example.org")
            .connect()
            .await?;
        let connector = Connector::new(source, ORDERS)?;
        let channel = connector.grpc_channel(format!("https://127.0.0.1:{port}"))?;
        let grpc = OrdersClient::new(channel);
        Ok(Self {
            http: connector.http_client(),
            grpc,
            connector,
            port,
        })
    }

    /// The next request shakes hands anew.
    pub(crate) fn forget_connections(&mut self) {
        self.http = self.connector.http_client();
    }

    pub(crate) async fn http(
        &self,
        method: Method,
        path: &str,
        body: &'static str,
    ) -> Result<Answer, BoxError> {
        let uri = format!("https://127.0.0.1:{}{path}", self.port);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        match self.http.request(request).await {
            Ok(response) => {
                let server = response
                    .extensions()
                    .get::<PeerIdentity>()
                    .map(ToString::to_string);
                let status = response.status();
                response.into_body().collect().await?;
                Ok(Answer::Http(status, server.unwrap_or_default()))
            }
            Err(error) => refused(&error),
        }
    }

    pub(crate) async fn grpc(&self) -> Result<Answer, BoxError> {
        match self
            .grpc
            .clone()
            .create(NewOrder { item: "tea".into() })
            .await
        {
            Ok(response) => {
                let server = response
                    .extensions()
                    .get::<PeerIdentity>()
                    .map(ToString::to_string);
                Ok(Answer::Grpc(tonic::Code::Ok, server.unwrap_or_default()))
            }
            Err(status) if std::error::Error::source(&status).is_some() => refused(&status),
            Err(status) => Ok(Answer::Grpc(status.code(), String::new())),
        }
    }
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Result<Answer, BoxError> {
    let failure = Failure::of(error);
    if failure.is_refused_by_server() {
        Ok(Answer::Refused(failure.to_string()))
    } else {
        Err(failure.to_string().into())
    }
}
