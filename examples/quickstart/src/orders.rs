//! The service: REST and gRPC on one port, a rule at each route and each RPC.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{Request, StatusCode};
use spiffe_authz::Refusal;
use spiffe_authz::axum::{Router, Rpcs, get, post};
use spiffe_peer::PeerIdentity;
use tonic::Status;
use tower::util::{BoxCloneSyncService, MapResponse};

use crate::{BoxError, PAYMENT_PROCESSOR};

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

/// Why the service refused, in order. The peers never learn it.
#[derive(Clone, Default)]
pub(crate) struct Refusals(Arc<Mutex<Vec<&'static str>>>);

impl Refusals {
    fn note(&self, response: &Response) {
        if let Some(refusal) = response.extensions().get::<Refusal>() {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(refusal.reason());
        }
    }

    pub(crate) fn take_last(&self) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

pub(crate) type App =
    BoxCloneSyncService<Request<hyper::body::Incoming>, Response, std::convert::Infallible>;

pub(crate) fn app() -> Result<(App, Refusals), BoxError> {
    let store = Store::default();
    let guarded = Router::new()
        .route("/orders", post(create_order).allow(PAYMENT_PROCESSOR))
        .route("/orders/{id}", get(show_order).allow(PAYMENT_PROCESSOR))
        .route(
            "/healthz",
            get(async || "ok\n").authenticated("it says nothing but that the service runs"),
        )
        .grpc(
            v1::orders_server::OrdersServer::new(store.clone()),
            Rpcs::new().allow("Create", PAYMENT_PROCESSOR),
        )
        .with_state(store)
        .build()?;
    let refusals = Refusals::default();
    let noted = refusals.clone();
    let app = MapResponse::new(guarded, move |response: Response| {
        noted.note(&response);
        response
    });
    Ok((App::new(app), refusals))
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<u64, String>>>);

impl Store {
    fn add(&self, item: String) -> u64 {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = orders.last_key_value().map_or(1, |(last, _)| last + 1);
        orders.insert(id, item);
        id
    }

    fn get(&self, id: u64) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }
}

#[derive(serde::Deserialize)]
struct NewOrder {
    item: String,
}

#[derive(serde::Serialize)]
struct Order {
    id: u64,
    item: String,
    placed_by: String,
}

async fn create_order(
    State(store): State<Store>,
    peer: PeerIdentity,
    Json(order): Json<NewOrder>,
) -> (StatusCode, Json<Order>) {
    let id = store.add(order.item.clone());
    (
        StatusCode::CREATED,
        Json(Order {
            id,
            item: order.item,
            placed_by: peer.to_string(),
        }),
    )
}

async fn show_order(State(store): State<Store>, Path(id): Path<u64>) -> Result<String, StatusCode> {
    store.get(id).ok_or(StatusCode::NOT_FOUND)
}

#[tonic::async_trait]
impl v1::orders_server::Orders for Store {
    async fn create(
        &self,
        request: tonic::Request<v1::NewOrder>,
    ) -> Result<tonic::Response<v1::Order>, Status> {
        let item = request.into_inner().item;
        Ok(tonic::Response::new(v1::Order {
            id: self.add(item.clone()),
            item,
        }))
    }
}
