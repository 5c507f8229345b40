//! The service that is called.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use spiffe_connector::PeerIdentity;
use tonic::{Request, Response, Status};

/// What the schema says.
pub(crate) mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::as_conversions,
        reason = "generated"
    )]
    tonic::include_proto!("stock.v1");
}

use v1::{Item, Level};

/// Counts up, ten times a second.
pub(crate) struct Counting;

fn asked_by(request: &Request<Item>) -> Result<String, Status> {
    let peer = request.extensions().get::<PeerIdentity>();
    let peer = peer.ok_or_else(|| Status::unauthenticated("who asks?"))?;
    Ok(peer.to_string())
}

#[tonic::async_trait]
impl v1::stock_server::Stock for Counting {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Level, Status>> + Send>>;

    async fn count(&self, request: Request<Item>) -> Result<Response<Level>, Status> {
        let asked_by = asked_by(&request)?;
        Ok(Response::new(Level {
            pieces: 7,
            asked_by,
        }))
    }

    async fn watch(&self, request: Request<Item>) -> Result<Response<Self::WatchStream>, Status> {
        let asked_by = asked_by(&request)?;
        let levels = futures_util::stream::unfold((0, asked_by), |(pieces, asked_by)| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let level = Level {
                pieces,
                asked_by: asked_by.clone(),
            };
            Some((Ok(level), (pieces + 1, asked_by)))
        });
        Ok(Response::new(Box::pin(levels)))
    }
}
