//! A client of the Workload API that does what it is told and understands nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use spiffe_source::workload_api::messages::{
    JwtBundlesRequest, JwtBundlesResponse, JwtSvidRequest, JwtSvidResponse, SECURITY_HEADER,
    SERVICE, ValidateJwtSvidRequest, ValidateJwtSvidResponse, X509BundlesRequest,
    X509BundlesResponse, X509SvidRequest, X509SvidResponse,
};
use tokio::net::{TcpStream, UnixStream};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::{A_MOMENT, PATIENCE};

#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    /// The values of the security header.
    pub(crate) header: Vec<&'static str>,
}

/// An open stream that fails a test rather than to wait for ever.
pub(crate) struct Updates<M>(Streaming<M>);

impl Client {
    pub(crate) async fn connect(endpoint: &str) -> Self {
        let to = Endpoint::from_static("http://agent");
        let channel = if let Some(path) = endpoint.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            let connector = service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            to.connect_with_connector(connector).await
        } else {
            let address: SocketAddr = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
            let connector = service_fn(move |_: Uri| async move {
                TcpStream::connect(address).await.map(TokioIo::new)
            });
            to.connect_with_connector(connector).await
        };
        Self {
            channel: channel.unwrap(),
            header: vec!["true"],
        }
    }

    pub(crate) async fn x509_svids(&self) -> Result<Updates<X509SvidResponse>, Status> {
        self.stream("FetchX509SVID", X509SvidRequest {}).await
    }

    pub(crate) async fn x509_bundles(&self) -> Result<Updates<X509BundlesResponse>, Status> {
        self.stream("FetchX509Bundles", X509BundlesRequest {}).await
    }

    pub(crate) async fn jwt_bundles(&self) -> Result<Updates<JwtBundlesResponse>, Status> {
        self.stream("FetchJWTBundles", JwtBundlesRequest {}).await
    }

    pub(crate) async fn jwt_svids(
        &self,
        audience: &[&str],
        spiffe_id: &str,
    ) -> Result<JwtSvidResponse, Status> {
        let audience = audience.iter().map(|one| (*one).to_owned()).collect();
        self.unary(
            "FetchJWTSVID",
            JwtSvidRequest {
                audience,
                spiffe_id: spiffe_id.to_owned(),
            },
        )
        .await
    }

    pub(crate) async fn validate(
        &self,
        audience: &str,
        svid: &str,
    ) -> Result<ValidateJwtSvidResponse, Status> {
        let request = ValidateJwtSvidRequest {
            audience: audience.to_owned(),
            svid: svid.to_owned(),
        };
        self.unary("ValidateJWTSVID", request).await
    }

    /// The first answer of a new stream.
    pub(crate) async fn first_x509_svids(&self) -> Result<X509SvidResponse, Status> {
        self.x509_svids().await?.next().await
    }

    /// The IDs that the caller gets, in their order.
    pub(crate) async fn ids(&self) -> Result<Vec<String>, Status> {
        Ok(self
            .first_x509_svids()
            .await?
            .svids
            .into_iter()
            .map(|svid| svid.spiffe_id)
            .collect())
    }

    pub(crate) async fn stream<Q, M>(&self, method: &str, request: Q) -> Result<Updates<M>, Status>
    where
        Q: Message + 'static,
        M: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let call = grpc.server_streaming(
            self.request(request),
            path(method),
            ProstCodec::<Q, M>::default(),
        );
        Ok(Updates(in_time(call).await?.into_inner()))
    }

    pub(crate) async fn unary<Q, M>(&self, method: &str, request: Q) -> Result<M, Status>
    where
        Q: Message + 'static,
        M: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let call = grpc.unary(
            self.request(request),
            path(method),
            ProstCodec::<Q, M>::default(),
        );
        Ok(in_time(call).await?.into_inner())
    }

    /// The first message of an answer as it stands on the wire.
    pub(crate) async fn raw(&self, method: &str, request: &impl Message) -> Result<Bytes, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let request = Bytes::from(request.encode_to_vec());
        let call = grpc.server_streaming(self.request(request), path(method), Raw);
        Updates(in_time(call).await?.into_inner()).next().await
    }

    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        for value in &self.header {
            request
                .metadata_mut()
                .append(SECURITY_HEADER, value.parse().unwrap());
        }
        request
    }
}

impl<M> Updates<M> {
    /// The next message, or the status with which the stream ends.
    pub(crate) async fn next(&mut self) -> Result<M, Status> {
        in_time(self.0.message())
            .await
            .map(|message| message.unwrap())
    }

    /// Fails where a message comes though nothing has changed for this caller.
    pub(crate) async fn expect_silence(&mut self) {
        let came = tokio::time::timeout(A_MOMENT, self.0.message()).await;
        assert!(came.is_err(), "something was sent");
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// The path of a method of the Workload API; one that begins with a slash is whole already.
fn path(method: &str) -> PathAndQuery {
    let path = match method.starts_with('/') {
        true => method.to_owned(),
        false => format!("/{SERVICE}/{method}"),
    };
    path.parse().unwrap()
}

/// Messages as bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
