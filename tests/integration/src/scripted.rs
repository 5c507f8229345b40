//! A Workload API that answers what a test dictates, message by message.
//!
//! The devkit's agent does what an agent should, and fails in a few ways on command. This one has no
//! will of its own: it says nothing until the test does, and it may say anything.
//!
//! ```
//! # use integration::scripted::{Rpc, ScriptedAgent, message, update};
//! # use spiffe_devkit::{Authority, IssueSpec};
//! # use spiffe_source::Source;
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let authority = Authority::new("example.org")?;
//! let svid = authority.issue(&IssueSpec::new("spiffe://example.org/service/orders")?)?;
//!
//! let agent = ScriptedAgent::start();
//! let connect = tokio::spawn(Source::workload_api().endpoint(agent.endpoint()).connect());
//! let stream = agent.next(Rpc::FetchX509Svid).await;
//! stream.send(&update([message(&authority, &svid)]));
//! let source = connect.await??;
//! assert!(source.snapshot().svid().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use spiffe_devkit::{Authority, IssuedSvid};
use spiffe_source::workload_api::messages::{SERVICE, X509Svid, X509SvidResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};

/// Far more than anything takes, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// A method of the Workload API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rpc {
    /// A stream of `X509SvidResponse`.
    FetchX509Svid,
    /// A stream of `X509BundlesResponse`.
    FetchX509Bundles,
    /// One `JwtSvidResponse`.
    FetchJwtSvid,
    /// A stream of `JwtBundlesResponse`.
    FetchJwtBundles,
    /// One `ValidateJwtSvidResponse`.
    ValidateJwtSvid,
}

impl Rpc {
    fn from_path(path: &str) -> Option<Self> {
        match path.strip_prefix('/')?.strip_prefix(SERVICE)? {
            "/FetchX509SVID" => Some(Self::FetchX509Svid),
            "/FetchX509Bundles" => Some(Self::FetchX509Bundles),
            "/FetchJWTSVID" => Some(Self::FetchJwtSvid),
            "/FetchJWTBundles" => Some(Self::FetchJwtBundles),
            "/ValidateJWTSVID" => Some(Self::ValidateJwtSvid),
            _ => None,
        }
    }
}

/// A listening agent. A call waits until the test takes it up with [`next`](Self::next), and gets no
/// answer before; where the test never takes it up, it never gets one.
///
/// Dropping the agent ends its connections and removes its socket.
pub struct ScriptedAgent {
    endpoint: String,
    script: Arc<Script>,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
    socket: Option<PathBuf>,
    _directory: Option<tempfile::TempDir>,
}

impl ScriptedAgent {
    /// Listens on a Unix socket in a directory of its own.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut agent = Self::start_at(&directory.path().join("agent.sock"));
        agent._directory = Some(directory);
        agent
    }

    /// Listens on a Unix socket of this path.
    #[must_use]
    pub fn start_at(path: &Path) -> Self {
        let socket = Socket::Unix(UnixListener::bind(path).unwrap());
        let mut agent = Self::serve(format!("unix://{}", path.display()), socket);
        agent.socket = Some(path.to_owned());
        agent
    }

    /// Listens on a port of the loopback address.
    pub async fn start_tcp() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serve(format!("tcp://{address}"), Socket::Tcp(listener))
    }

    /// Where it listens, as `SPIFFE_ENDPOINT_SOCKET` says it.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The oldest call of a method that has not been taken up, once there is one.
    pub async fn next(&self, rpc: Rpc) -> Call {
        let mut asked = self.script.asked.subscribe();
        let comes = async {
            loop {
                if let Some(call) = self.script.take(rpc) {
                    return call;
                }
                asked.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, comes)
            .await
            .unwrap_or_else(|_| panic!("nobody calls {rpc:?}"))
    }

    /// Every call so far with its metadata, oldest first, taken up or not.
    #[must_use]
    pub fn calls(&self) -> Vec<(Rpc, MetadataMap)> {
        self.script.calls.lock().unwrap().clone()
    }

    /// How often a method has been called so far.
    #[must_use]
    pub fn count(&self, rpc: Rpc) -> usize {
        self.calls().iter().filter(|(of, _)| *of == rpc).count()
    }

    /// Breaks all connections, and goes on listening.
    pub fn cut_connections(&self) {
        self.cut.send_replace(());
    }

    /// Stops, and is gone when this returns: a new agent may take the path.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    fn serve(endpoint: String, socket: Socket) -> Self {
        let script = Arc::new(Script::default());
        let (cut, cuts) = watch::channel(());
        Self {
            endpoint,
            task: tokio::spawn(listen(socket, script.clone(), cuts)),
            script,
            cut,
            socket: None,
            _directory: None,
        }
    }
}

impl Drop for ScriptedAgent {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A call that a client has made. Dropping it closes the stream; keeping it and saying nothing is an
/// answer that never comes.
pub struct Call {
    metadata: MetadataMap,
    request: Bytes,
    say: mpsc::UnboundedSender<Word>,
}

enum Word {
    Open,
    Message(Bytes),
    End(Status),
}

impl Call {
    /// What came along with the request.
    #[must_use]
    pub fn metadata(&self) -> &MetadataMap {
        &self.metadata
    }

    /// The request.
    #[must_use]
    pub fn request<M: Message + Default>(&self) -> M {
        M::decode(self.request.clone()).unwrap()
    }

    /// Opens the stream, on which there is nothing yet. The first message does so as well.
    pub fn open(&self) {
        self.say(Word::Open);
    }

    /// Sends a message; for a unary method, the answer, which [`close`](Self::close) completes.
    pub fn send(&self, message: &impl Message) {
        self.send_bytes(message.encode_to_vec());
    }

    /// Sends a message that may be no protobuf at all.
    pub fn send_bytes(&self, message: impl Into<Bytes>) {
        self.say(Word::Message(message.into()));
    }

    /// Ends the call with a status that is an error.
    pub fn fail(self, status: Status) {
        self.say(Word::End(status));
    }

    /// Ends the call as if all were said.
    pub fn close(self) {}

    /// Waits until the client has let go of the call.
    pub async fn abandoned(&self) {
        tokio::time::timeout(PATIENCE, self.say.closed())
            .await
            .expect("the client holds on to the call");
    }

    fn say(&self, word: Word) {
        // Where the client has gone, nobody hears it.
        let _ = self.say.send(word);
    }
}

/// An SVID as the Workload API carries it, with the bundle of the authority and no hint.
#[must_use]
pub fn message(authority: &Authority, svid: &IssuedSvid) -> X509Svid {
    X509Svid {
        spiffe_id: svid.spiffe_id().to_string(),
        x509_svid: svid.chain_der().into(),
        x509_svid_key: Bytes::copy_from_slice(svid.key_der()),
        bundle: authority.bundle_der().into(),
        hint: String::new(),
    }
}

/// An answer with these SVIDs and no foreign bundle.
pub fn update(svids: impl IntoIterator<Item = X509Svid>) -> X509SvidResponse {
    X509SvidResponse {
        svids: svids.into_iter().collect(),
        ..X509SvidResponse::default()
    }
}

/// What has been called.
#[derive(Default)]
struct Script {
    waiting: Mutex<Vec<(Rpc, Call)>>,
    calls: Mutex<Vec<(Rpc, MetadataMap)>>,
    asked: watch::Sender<()>,
}

impl Script {
    fn take(&self, rpc: Rpc) -> Option<Call> {
        let mut waiting = self.waiting.lock().unwrap();
        let oldest = waiting.iter().position(|(of, _)| *of == rpc)?;
        Some(waiting.remove(oldest).1)
    }

    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> http::Response<tonic::body::Body> {
        let Some(rpc) = Rpc::from_path(request.uri().path()) else {
            return Status::unimplemented("no method of the Workload API").into_http();
        };
        let handler = tower::service_fn(|request| self.ask(rpc, request));
        Grpc::new(Raw).server_streaming(handler, request).await
    }

    async fn ask(
        &self,
        rpc: Rpc,
        request: Request<Bytes>,
    ) -> Result<Response<impl Stream<Item = Result<Bytes, Status>> + use<>>, Status> {
        let (say, mut said) = mpsc::unbounded_channel();
        let metadata = request.metadata().clone();
        self.calls.lock().unwrap().push((rpc, metadata.clone()));
        let call = Call {
            metadata,
            request: request.into_inner(),
            say,
        };
        self.waiting.lock().unwrap().push((rpc, call));
        self.asked.send_replace(());
        // The response begins with the first word: one that never comes is no response.
        let first = match said.recv().await {
            Some(Word::End(status)) => return Err(status),
            first => tokio_stream::iter(first),
        };
        let words = first.chain(UnboundedReceiverStream::new(said));
        Ok(Response::new(words.filter_map(|word| match word {
            Word::Open => None,
            Word::Message(message) => Some(Ok(message)),
            Word::End(status) => Some(Err(status)),
        })))
    }
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

impl Socket {
    async fn accept(&self) -> Box<dyn Io> {
        match self {
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
            Self::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

async fn listen(socket: Socket, script: Arc<Script>, mut cuts: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = socket.accept() => {
                let script = script.clone();
                let answer = service_fn(move |request| {
                    let answer = script.clone().answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
                connections.spawn(connection);
            }
            cut = cuts.changed() => match cut {
                Ok(()) => connections.shutdown().await,
                Err(_) => return,
            },
        }
    }
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
