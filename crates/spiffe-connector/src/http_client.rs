use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use crate::attempts::{Limits, call};
use crate::body::{Deadline, ResponseBody};
use crate::call_error::{CallError, CallFailure};
use crate::connector::Connector;
use crate::replay::Replay;
use crate::settings::{FAR, Settings};

/// How long the other end may take to answer a ping.
const PONG: Duration = Duration::from_secs(20);

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An HTTP client that knows whom it calls, and a Tower service.
///
/// It keeps connections in a pool, and retires them in time: when the own SVID has been replaced,
/// before either identity ends, and when somebody [wants](spiffe_peer::PeerIdentity::close) a
/// connection closed. A retired connection finishes what is in flight and gets no more. Where trust
/// in a server is withdrawn, its connections are closed at once with all that is in flight.
///
/// A request that the server has left unprocessed, by HTTP/2's GOAWAY or REFUSED_STREAM, is sent
/// again up to three times, as long as no more than 128 KiB of its body, in no more than 1024 pieces,
/// are gone. So is one that waited for its turn or for a free stream when the connection was closed,
/// where its method is idempotent or nothing of its body is gone: in the worst case the server has
/// had its head twice. Nothing else is sent twice, and no redirect is followed.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::{BodyExt, Full};
/// use hyper::body::Bytes;
/// use spiffe_connector::{Connector, PeerIdentity};
///
/// let orders = Connector::new(source, "spiffe://example.org/service/orders")?;
/// let client = orders.http_client::<Full<Bytes>>();
/// let response = client.get("https://orders.internal:8443/orders/1".parse()?).await?;
/// println!("from {:?}", response.extensions().get::<PeerIdentity>());
/// let body = response.into_body().collect().await?.to_bytes();
/// # drop(body);
/// # Ok(())
/// # }
/// ```
pub struct HttpClient<B, C = Connector> {
    client: Client<C, Replay<B>>,
    limits: Limits,
}

/// The future of a call.
pub(crate) type Call =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, CallError>> + Send>>;

impl<B, C> HttpClient<B, C> {
    pub(crate) fn new(connector: C, settings: &Settings) -> Self
    where
        C: Connect + Clone,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        Self {
            client: builder(settings).build(connector),
            limits: Limits::of(settings),
        }
    }
}

#[cfg(feature = "tonic")]
impl<B> HttpClient<B> {
    /// For servers that speak HTTP/2 alone: calls share one connection, and wait for it together.
    pub(crate) fn http2(connector: Connector, settings: &Settings) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        Self {
            client: builder(settings).http2_only(true).build(connector),
            limits: Limits::of(settings),
        }
    }
}

fn builder(settings: &Settings) -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.idle_timeout.min(FAR))
        .pool_max_idle_per_host(settings.max_idle)
        .http2_keep_alive_interval(settings.keep_alive.min(FAR))
        .http2_keep_alive_timeout(PONG);
    builder
}

impl<B, C> HttpClient<B, C>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    C: Connect + Clone + Send + Sync + 'static,
{
    /// Sends a request. Its URI names the server: `https://host:port/path`.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the call; the server may have had the request.
    pub fn request(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, CallError>> + Send + use<B, C> {
        self.call_within(request, self.limits)
    }

    /// Sends a `GET` without a body.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn get(
        &self,
        uri: Uri,
    ) -> impl Future<Output = Result<Response<ResponseBody>, CallError>> + Send + use<B, C>
    where
        B: Default,
    {
        let mut request = Request::new(B::default());
        *request.uri_mut() = uri;
        self.request(request)
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn call_within(
        &self,
        request: Request<B>,
        limits: Limits,
    ) -> impl Future<Output = Result<Response<ResponseBody>, CallError>> + Send + use<B, C> {
        let client = self.client.clone();
        async move {
            let deadline = limits.overall.map(|allowed| Deadline {
                at: Instant::now() + allowed,
                allowed,
            });
            let call = call(&client, request, limits);
            let response = match deadline {
                None => call.await?,
                Some(Deadline { at, allowed }) => timeout_at(at, call)
                    .await
                    .map_err(|_| CallFailure::Overall(allowed))??,
            };
            Ok(response.map(|body| ResponseBody::new(body, deadline)))
        }
    }
}

impl<B, C> Service<Request<B>> for HttpClient<B, C>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    C: Connect + Clone + Send + Sync + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = CallError;
    type Future = Call;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Call {
        Box::pin(self.request(request))
    }
}

impl<B, C: Clone> Clone for HttpClient<B, C> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            limits: self.limits,
        }
    }
}

impl<B, C> fmt::Debug for HttpClient<B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
