//! The services: one has its rules beside its methods, the other in the schema.

use spiffe_authz::axum::{GuardedService, Router, Rpcs};
use spiffe_authz::grpc::peer;
use spiffe_authz::guard::StreamsLayer;
use spiffe_authz::{AuthzLayer, Policy};
use tonic::{Request, Response, Status};

use crate::BoxError;
use v1::orders_server::{Orders, OrdersServer};
use v1::stock_server::{Stock, StockServer};
use v1::{Amount, Everything, Link, NewOrder, Order};

/// What the schema compiles to.
pub(crate) mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::as_conversions,
        reason = "generated"
    )]
    tonic::include_proto!("orders.v1");
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orders.binpb"));

/// The rules that stand in the schema.
mod rules {
    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

/// Everything that the server has, each with its rules, and what ends streams whose caller may go on no
/// longer. What is not named here is denied.
pub(crate) fn app() -> Result<(GuardedService, StreamsLayer), BoxError> {
    let policy = Policy::from_yaml(include_str!("../policy.yaml"))?;
    let authz = AuthzLayer::new(policy)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    drop(reporter);
    let streams = authz.streams();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    let app = Router::new()
        .authorized(Shop, OrdersServer::new)
        .grpc(StockServer::new(Shop), rules::STOCK)
        .grpc(
            health,
            Rpcs::new().authenticated("Check", "it says nothing but that the server runs"),
        )
        .grpc(
            reflection,
            Rpcs::new().authenticated("ServerReflectionInfo", "the schema is no secret"),
        )
        .bind_with(authz)?;
    Ok((app, streams))
}

struct Shop;

type Listed = tokio_stream::Iter<std::vec::IntoIter<Result<Order, Status>>>;

#[spiffe_authz::authorize(OrdersServer)]
#[tonic::async_trait]
impl Orders for Shop {
    #[permit("spiffe://example.org/service/payment-processor")]
    async fn create(&self, request: Request<NewOrder>) -> Result<Response<Order>, Status> {
        let by = peer(&request)?.to_string();
        let from = request
            .remote_addr()
            .ok_or_else(|| Status::internal("it came from nowhere"))?;
        tracing::info!(%by, %from, "ordered");
        let item = request.into_inner().item;
        Ok(Response::new(Order { id: 1, item, by }))
    }

    type ListStream = Listed;

    #[permit(policy)]
    async fn list(&self, _: Request<Everything>) -> Result<Response<Listed>, Status> {
        let order = Order {
            id: 1,
            item: "tea".to_owned(),
            by: String::new(),
        };
        Ok(Response::new(tokio_stream::iter(vec![Ok(order)])))
    }

    #[rpc("GetURL")]
    #[permit(principal = "billing")]
    async fn get_url(&self, request: Request<Order>) -> Result<Response<Link>, Status> {
        let url = format!("https://shop.example.org/orders/{}", request.get_ref().id);
        Ok(Response::new(Link { url }))
    }
}

#[tonic::async_trait]
impl Stock for Shop {
    async fn take(&self, _: Request<Order>) -> Result<Response<Everything>, Status> {
        Ok(Response::new(Everything {}))
    }

    async fn count(&self, _: Request<Everything>) -> Result<Response<Amount>, Status> {
        Ok(Response::new(Amount { count: 12 }))
    }
}
