//! Calls to a Workload API.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{
    JwtBundlesRequest, JwtBundlesResponse, SECURITY_HEADER, X509SvidRequest, X509SvidResponse,
};
use super::socket::{SocketCheck, SocketFile};
use crate::endpoint::{Address, Endpoint};
use crate::error::Failure;

/// The largest answer that is read. A thousand bundles fit; what is larger is refused before it is
/// held in memory.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A large answer does not have to be asked for piece by piece.
const WINDOW_BYTES: u32 = 1024 * 1024;

/// How many answers may be out of date before one is taken, from an agent that sends without end.
const AT_ONCE: usize = 64;

/// How often the socket's file is looked at.
const LOOK_AT_SOCKET: Duration = Duration::from_secs(1);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls one agent. Each call has a connection of its own, so that none waits for another, and a
/// socket that has been replaced is found anew.
#[derive(Debug)]
pub(super) struct Client {
    endpoint: Endpoint,
    keepalive: (Duration, Duration),
    socket: Arc<SocketCheck>,
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        keepalive: (Duration, Duration),
        socket: SocketCheck,
    ) -> Self {
        Self {
            endpoint,
            keepalive,
            socket: Arc::new(socket),
        }
    }

    /// Asks for the X.509-SVIDs of this process. The agent answers at once, and again with each
    /// change.
    pub(super) async fn fetch_x509_svid(&self) -> Result<Updates<X509SvidResponse>, Failure> {
        let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchX509SVID");
        self.follow(path, X509SvidRequest {}).await
    }

    /// Asks for the JWT bundles, in the same way.
    pub(super) async fn fetch_jwt_bundles(&self) -> Result<Updates<JwtBundlesResponse>, Failure> {
        let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchJWTBundles");
        self.follow(path, JwtBundlesRequest {}).await
    }

    async fn follow<Q, A>(&self, path: PathAndQuery, question: Q) -> Result<Updates<A>, Failure>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.connect().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.server_streaming(request(question), path, codec).await;
        let stream = answer.map_err(|status| Failure::from_status(&status))?;
        Ok(Updates {
            stream: stream.into_inner(),
            end: None,
            _connection: grpc,
        })
    }

    /// Which file the agent's socket is at the moment, where it is one.
    pub(super) fn socket_file(&self) -> Option<SocketFile> {
        match self.endpoint.address() {
            Address::Unix(path) => SocketFile::at(path),
            Address::Tcp(_) => None,
        }
    }

    /// Waits until another socket lies where `known` lay: a new agent listens there, and the old one
    /// may keep its streams open without news for as long as it likes.
    pub(super) async fn replaced(&self, known: Option<SocketFile>) {
        loop {
            sleep(LOOK_AT_SOCKET).await;
            if known.is_some() && self.socket_file().is_some_and(|file| Some(file) != known) {
                return;
            }
        }
    }

    /// Asks for one answer; the agent may answer with a status as well.
    pub(super) async fn ask<Q, A>(
        &self,
        path: PathAndQuery,
        question: Q,
    ) -> Result<Result<A, Status>, Failure>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let mut grpc = self.connect().await?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = grpc.unary(request(question), path, codec).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    async fn connect(&self) -> Result<Grpc<Channel>, Failure> {
        let address = self.endpoint.address().clone();
        let socket = self.socket.clone();
        let (every, timeout) = self.keepalive;
        // The URI gives the requests an authority; where they go, the connector decides.
        let channel = tonic::transport::Endpoint::from_static("http://localhost")
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(every)
            .keep_alive_timeout(timeout)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .connect_with_connector(tower::service_fn(move |_: Uri| {
                let (address, socket) = (address.clone(), socket.clone());
                async move {
                    match address {
                        Address::Unix(path) => socket
                            .connect(&path)
                            .await
                            .map(|stream| TokioIo::new(Stream::Unix(stream))),
                        Address::Tcp(address) => TcpStream::connect(address)
                            .await
                            .map(|stream| TokioIo::new(Stream::Tcp(stream))),
                    }
                }
            }))
            .await
            .map_err(|error| self.unreachable(&error))?;
        let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        grpc.ready()
            .await
            .map_err(|error| self.unreachable(&error))?;
        Ok(grpc)
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> Failure {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::Unreachable(format!("{} cannot be reached: {cause}", self.endpoint))
    }
}

/// Every request says that it is none which a browser was tricked into (SPIFFE Workload Endpoint,
/// section 3).
fn request<Q>(question: Q) -> Request<Q> {
    let mut request = Request::new(question);
    request
        .metadata_mut()
        .insert(SECURITY_HEADER, MetadataValue::from_static("true"));
    request
}

/// The answers on one stream, each the full set.
pub(super) struct Updates<M> {
    stream: Streaming<M>,
    /// Why there are no more, found out while an answer was yet to be given.
    end: Option<Failure>,
    /// Without it the connection would count as idle, and not be probed.
    _connection: Grpc<Channel>,
}

impl<M> Updates<M> {
    /// Waits for an answer. Of several that have arrived meanwhile it is the last: an answer says
    /// everything, so those before it are out of date.
    pub(super) async fn next(&mut self) -> Result<M, Failure> {
        if let Some(end) = self.end.take() {
            return Err(end);
        }
        let mut latest = answer(self.stream.message().await)?;
        for _ in 0..AT_ONCE {
            let Some(more) = self.stream.message().now_or_never() else {
                break;
            };
            match answer(more) {
                Ok(later) => latest = later,
                Err(end) => {
                    self.end = Some(end);
                    break;
                }
            }
        }
        Ok(latest)
    }
}

fn answer<M>(message: Result<Option<M>, Status>) -> Result<M, Failure> {
    message
        .map_err(|status| Failure::from_status(&status))?
        .ok_or(Failure::Ended)
}

/// A socket of either kind.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

macro_rules! on_either {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Stream::Unix($stream) => $call,
            Stream::Tcp($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
