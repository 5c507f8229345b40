//! A Workload API that sends what the bench says, when it says so.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use prost::bytes::{BufMut as _, Bytes};
use spiffe_source::workload_api::messages::SERVICE;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _, empty, once, pending};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tower::Service;

/// The agent of one caller. Whoever opens a stream of X.509-SVIDs gets what was pushed last, and from
/// then on what is pushed.
#[derive(Clone)]
pub struct Agent(watch::Sender<Bytes>);

impl Agent {
    /// Serves on a new socket, in a task of the current runtime.
    ///
    /// # Errors
    ///
    /// Where the socket cannot be made.
    pub fn serve(socket: &Path, first: Bytes) -> std::io::Result<Self> {
        let agent = Self(watch::Sender::new(first));
        let connections = UnixListenerStream::new(UnixListener::bind(socket)?);
        let server = tonic::transport::Server::builder().add_service(agent.clone());
        tokio::spawn(server.serve_with_incoming(connections));
        Ok(agent)
    }

    /// Sends an update.
    pub fn push(&self, message: &Bytes) {
        self.0.send_replace(message.clone());
    }
}

impl NamedService for Agent {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Agent {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answers: Answers = match request.uri().path().rsplit('/').next() {
            Some("FetchX509SVID") => Box::pin(WatchStream::new(self.0.subscribe()).map(Ok)),
            // No bundles, and no news of any.
            Some("FetchJWTBundles") => Box::pin(once(Ok(Bytes::new())).chain(pending())),
            _ => Box::pin(once(Err(Status::unimplemented("not in this bench"))).chain(empty())),
        };
        Box::pin(async move {
            let streaming = Streaming(Some(answers));
            Ok(Grpc::new(Written)
                .server_streaming(streaming, request)
                .await)
        })
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

struct Streaming(Option<Answers>);

impl ServerStreamingService<()> for Streaming {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(match self.0.take() {
            Some(answers) => Ok(Response::new(answers)),
            None => Err(Status::internal("a call is answered once")),
        })
    }
}

/// Messages that are written already: what the agent computes is not to be measured.
#[derive(Clone, Copy, Default)]
struct Written;

impl Codec for Written {
    type Encode = Bytes;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Written {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

/// The requests are empty.
impl Decoder for Written {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}
