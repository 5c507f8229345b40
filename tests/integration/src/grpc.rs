//! A gRPC service by hand: it says who asks, once or for ever.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use spiffe_peer::PeerIdentity;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

/// The service.
#[derive(Clone, Debug)]
pub struct Whoami;

impl NamedService for Whoami {
    const NAME: &'static str = "test.Whoami";
}

type Answers = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// The peer, and its address where tonic knows it.
fn answer(request: &Request<String>) -> Result<String, Status> {
    let peer = request.extensions().get::<PeerIdentity>();
    let peer = peer.ok_or_else(|| Status::unauthenticated("nobody"))?;
    let address = request.remote_addr().map(|address| address.ip());
    Ok(format!("{peer} from {address:?}"))
}

impl UnaryService<String> for Whoami {
    type Response = String;
    type Future = BoxFuture<'static, Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move { answer(&request).map(Response::new) })
    }
}

impl ServerStreamingService<String> for Whoami {
    type Response = String;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move {
            let answer = answer(&request)?;
            let answers = futures_util::stream::unfold(answer, |answer| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok(answer.clone()), answer))
            });
            let answers: Answers = Box::pin(answers);
            Ok(Response::new(answers))
        })
    }
}

impl<B> Service<http::Request<B>> for Whoami
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
        + Send
        + 'static,
    B::Data: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            Ok(match request.uri().path() {
                "/test.Whoami/Once" => grpc.unary(Self, request).await,
                "/test.Whoami/Forever" => grpc.server_streaming(Self, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Asks once.
///
/// # Errors
///
/// What the server answers.
pub async fn once<T>(channel: T) -> Result<String, Status>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut client = tonic::client::Grpc::new(channel);
    ready(&mut client).await?;
    let path = PathAndQuery::from_static("/test.Whoami/Once");
    let request = Request::new(String::new());
    let response = client
        .unary(request, path, ProstCodec::<String, String>::default())
        .await?;
    Ok(response.into_inner())
}

/// Asks for a stream without end.
///
/// # Errors
///
/// What the server answers.
pub async fn forever<T>(channel: T) -> Result<Streaming<String>, Status>
where
    T: GrpcService<Body>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut client = tonic::client::Grpc::new(channel);
    ready(&mut client).await?;
    let path = PathAndQuery::from_static("/test.Whoami/Forever");
    let request = Request::new(String::new());
    let response = client
        .server_streaming(request, path, ProstCodec::<String, String>::default())
        .await?;
    Ok(response.into_inner())
}

async fn ready<T>(client: &mut tonic::client::Grpc<T>) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.into().to_string()))
}
