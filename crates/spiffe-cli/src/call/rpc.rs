//! The RPCs that every gRPC server may have.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use spiffe_connector::{Connector, GrpcChannel, PeerIdentity};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use super::told::Told;
use super::{health, reflection};
use crate::failure::Failure;

/// What to ask. An empty name of a service is the whole server.
pub(super) enum Rpc {
    Health(String),
    List(String),
}

pub(super) async fn call(
    connector: &Connector,
    origin: Uri,
    within: Duration,
    rpc: Rpc,
    told: &Told,
) -> Result<(), Failure> {
    let channel = connector
        .grpc_channel(origin)
        .map_err(Failure::unusable)?
        .timeout(within);
    let channel = Witnessed::new(channel);
    let server = channel.server.clone();
    let answer = match rpc {
        Rpc::Health(service) => health::check(channel, service).await,
        Rpc::List(service) => reflection::list(channel, &service).await,
    };
    if let Some(server) = server.get() {
        told.who(Some(server), "gRPC over HTTP/2.0");
    }
    match answer {
        Ok(Answer { text, good }) => {
            crate::print(&text)?;
            good
        }
        Err(status) => Err(told.status(server.get(), &status)),
    }
}

/// What the server has said, and whether that is what one hopes for.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) good: Result<(), Failure>,
}

/// A channel that remembers who has answered: a status does not say.
#[derive(Clone)]
pub(super) struct Witnessed {
    channel: GrpcChannel,
    server: Arc<OnceLock<PeerIdentity>>,
}

impl Witnessed {
    fn new(channel: GrpcChannel) -> Self {
        Self {
            channel,
            server: Arc::new(OnceLock::new()),
        }
    }
}

impl Service<Request<Body>> for Witnessed {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.channel.call(request);
        let witness = self.server.clone();
        Box::pin(async move {
            let response = response.await?;
            if let Some(server) = response.extensions().get::<PeerIdentity>() {
                witness.get_or_init(|| server.clone());
            }
            Ok(response)
        })
    }
}
