//! The stream of X.509-SVIDs from a Workload API.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{SECURITY_HEADER, X509SvidRequest, X509SvidResponse};
use crate::endpoint::{Address, Endpoint};
use crate::error::Failure;

/// The largest answer that is read. A thousand bundles fit; what is larger is refused before it is
/// held in memory.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// SPIRE's gRPC server takes pings more frequent than every five minutes for abuse.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(310);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks for the X.509-SVIDs of this process. The agent answers at once, and again with each change.
pub(super) async fn fetch_x509_svid(
    endpoint: &Endpoint,
) -> Result<Streaming<X509SvidResponse>, Failure> {
    let channel = connect(endpoint).await?;
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    grpc.ready()
        .await
        .map_err(|error| unreachable(endpoint, &error))?;
    let mut request = Request::new(X509SvidRequest {});
    request
        .metadata_mut()
        .insert(SECURITY_HEADER, MetadataValue::from_static("true"));
    let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchX509SVID");
    let codec = ProstCodec::<X509SvidRequest, X509SvidResponse>::default();
    let answer = grpc.server_streaming(request, path, codec).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Failure::from_status(&status))
}

async fn connect(endpoint: &Endpoint) -> Result<Channel, Failure> {
    let address = endpoint.address().clone();
    // The URI gives the requests an authority; where they go, the connector decides.
    tonic::transport::Endpoint::from_static("http://localhost")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .connect_with_connector(tower::service_fn(move |_: Uri| {
            let address = address.clone();
            async move {
                match address {
                    Address::Unix(path) => UnixStream::connect(path)
                        .await
                        .map(|stream| TokioIo::new(Stream::Unix(stream))),
                    Address::Tcp(address) => TcpStream::connect(address)
                        .await
                        .map(|stream| TokioIo::new(Stream::Tcp(stream))),
                }
            }
        }))
        .await
        .map_err(|error| unreachable(endpoint, &error))
}

fn unreachable(endpoint: &Endpoint, error: &dyn std::error::Error) -> Failure {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::Unreachable(format!("{endpoint} cannot be reached: {cause}"))
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
