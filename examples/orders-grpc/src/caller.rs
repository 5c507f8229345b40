//! A workload that calls the services.

use std::str::FromStr;

use http::uri::PathAndQuery;
use spiffe_connector::{Connector, Failure, GrpcChannel};
use spiffe_devkit::Agent;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::services::v1::Everything;
use crate::{BoxError, ORDERS, workload};

pub(crate) struct Caller {
    name: &'static str,
    grpc: tonic::client::Grpc<GrpcChannel>,
}

impl Caller {
    pub(crate) async fn start(
        agent: &Agent,
        name: &'static str,
        port: u16,
    ) -> Result<Self, BoxError> {
        let source = workload(agent, name).connect().await?;
        let connector = Connector::new(source, ORDERS)?;
        let channel = connector.grpc_channel(format!("https://127.0.0.1:{port}"))?;
        Ok(Self {
            name,
            grpc: tonic::client::Grpc::new(channel),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Calls an RPC with an empty message, which every message of the schema can be read from.
    pub(crate) async fn call(&self, rpc: &str) -> Result<Code, BoxError> {
        let path = PathAndQuery::from_str(&format!("/{rpc}"))?;
        let codec = ProstCodec::<Everything, Everything>::default();
        let mut grpc = self.grpc.clone();
        grpc.ready()
            .await
            .map_err(|error| Failure::of(&error).to_string())?;
        let answer = grpc
            .server_streaming(Request::new(Everything {}), path, codec)
            .await;
        match answer {
            Ok(answer) => match answer.into_inner().message().await {
                Ok(_) => Ok(Code::Ok),
                Err(status) => Ok(status.code()),
            },
            Err(status) if std::error::Error::source(&status).is_some() => {
                Err(Failure::of(&status).to_string().into())
            }
            Err(status) => Ok(status.code()),
        }
    }
}
