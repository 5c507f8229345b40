use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use spiffe_source::Source;
use spiffe_source::jwt::JwtSvidError;
use tower_layer::Layer;
use tower_service::Service;

use crate::http_client::{BoxError, HttpClient};

/// A service whose requests reach no server that has not been verified. A token may be sent through
/// it.
///
/// What this crate offers is such a service. Implement it for a service of yours that does nothing
/// but hand requests on to one; to implement it is to say so.
///
/// ```
/// use spiffe_connector::VerifiesServer;
///
/// struct Counted<S>(S, u64);
///
/// impl<S: VerifiesServer> VerifiesServer for Counted<S> {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` may send a token to a server that nobody has verified",
    note = "put the layer directly around a client of `spiffe_connector`, or implement `VerifiesServer` for a wrapper of one"
)]
pub trait VerifiesServer {}

impl<B, C> VerifiesServer for HttpClient<B, C> {}
impl<S: VerifiesServer> VerifiesServer for JwtSvid<S> {}

/// Shows a JWT-SVID of this process with each request, as `authorization: Bearer`, for servers that do
/// not see the certificate: those behind something that ends TLS.
///
/// The token is the source's: it comes out of a cache and is refreshed ahead of its end. Without a
/// token there is no request. Where it has to be fetched first, that takes at most ten seconds, which
/// are not part of the time that the client or a deadline gives the call. A request that already has an
/// `authorization` is refused, since one of the two would be lost. The header is marked as sensitive, so
/// that it is not logged and not indexed.
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use spiffe_connector::{Connector, JwtSvidLayer};
/// use tower::{Layer, ServiceExt};
///
/// let gateway = Connector::new(source.clone(), "spiffe://example.org/gateway")?;
/// let orders = JwtSvidLayer::new(source, ["spiffe://example.org/service/orders"])
///     .layer(gateway.http_client::<Empty<Bytes>>());
/// let request = http::Request::get("https://gateway.internal/orders/1").body(Empty::new())?;
/// let response = orders.oneshot(request).await?;
/// # drop(response);
/// # Ok(())
/// # }
/// ```
///
/// It goes around nothing that could be called without a verified server:
///
/// ```compile_fail,E0277
/// # fn example(source: spiffe_source::Source) {
/// use spiffe_connector::JwtSvidLayer;
/// use tower::{Layer, ServiceExt};
///
/// let anybody = tower::service_fn(|_: http::Request<String>| async { Ok::<_, std::io::Error>(()) });
/// let orders = JwtSvidLayer::new(source, ["spiffe://example.org/service/orders"]).layer(anybody);
/// let _ = orders.oneshot(http::Request::new(String::new()));
/// # }
/// ```
#[derive(Clone)]
pub struct JwtSvidLayer {
    source: Source,
    audience: Arc<[String]>,
}

impl JwtSvidLayer {
    /// With tokens of the identity of `source` for these audiences: usually one, the SPIFFE ID of the
    /// service that is called.
    pub fn new(source: Source, audience: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            source,
            audience: audience.into_iter().map(Into::into).collect(),
        }
    }
}

impl<S> Layer<S> for JwtSvidLayer {
    type Service = JwtSvid<S>;

    fn layer(&self, inner: S) -> JwtSvid<S> {
        JwtSvid {
            inner,
            tokens: self.clone(),
        }
    }
}

impl fmt::Debug for JwtSvidLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvidLayer")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// The service of a [`JwtSvidLayer`].
///
/// ```
/// use spiffe_connector::{HttpClient, JwtSvid};
///
/// fn around(service: &JwtSvid<HttpClient<String>>) -> &HttpClient<String> {
///     service.get_ref()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct JwtSvid<S> {
    inner: S,
    tokens: JwtSvidLayer,
}

impl<S> JwtSvid<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl JwtSvidLayer {
    async fn attach<B>(&self, request: &mut Request<B>) -> Result<(), TokenError> {
        if request.headers().contains_key(AUTHORIZATION) {
            return Err(TokenError(Why::Taken));
        }
        let audience = self.audience.iter().map(String::as_str);
        let svid = self.source.jwt_svid(audience).await;
        let svid = svid.map_err(|error| TokenError(Why::NoToken(error)))?;
        let bearer = format!("Bearer {}", svid.expose_token());
        // A token that has been checked consists of letters that a header may have.
        let mut bearer =
            HeaderValue::try_from(bearer).map_err(|_| TokenError(Why::NotForAHeader))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        Ok(())
    }
}

impl<S, B> Service<Request<B>> for JwtSvid<S>
where
    S: Service<Request<B>> + VerifiesServer + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready, not its clone.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let tokens = self.tokens.clone();
        Box::pin(async move {
            if let Err(error) = tokens.attach(&mut request).await {
                return Err(error.answer(&request));
            }
            inner.call(request).await.map_err(Into::into)
        })
    }
}

/// A request that was not sent, since there is no token to show with it.
///
/// ```
/// use spiffe_connector::TokenError;
///
/// fn worth_a_retry(error: &(dyn std::error::Error + 'static)) -> bool {
///     let error = error.downcast_ref::<TokenError>();
///     error.and_then(TokenError::jwt).is_some_and(|error| error.is_unavailable())
/// }
/// ```
#[derive(Debug)]
pub struct TokenError(Why);

#[derive(Debug)]
enum Why {
    NoToken(JwtSvidError),
    Taken,
    NotForAHeader,
}

impl TokenError {
    /// Why the source has no token, where that is the cause.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtSvidError> {
        match &self.0 {
            Why::NoToken(error) => Some(error),
            Why::Taken | Why::NotForAHeader => None,
        }
    }

    /// Whether the request had an `authorization` already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self.0, Why::Taken)
    }

    /// The error as whoever sent the request reads it: for gRPC that is a status.
    fn answer<B>(self, request: &Request<B>) -> BoxError {
        #[cfg(feature = "tonic")]
        if crate::grpc::is_grpc(request) {
            return crate::grpc::without_token(self).into();
        }
        #[cfg(not(feature = "tonic"))]
        let _ = request;
        self.into()
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was not sent: ")?;
        match &self.0 {
            Why::NoToken(error) => error.fmt(f),
            Why::Taken => f.write_str(
                "it has an `authorization` already, and a JWT-SVID would take its place",
            ),
            Why::NotForAHeader => f.write_str("the JWT-SVID does not fit into a header"),
        }
    }
}

impl Error for TokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::NoToken(error) => Some(error),
            Why::Taken | Why::NotForAHeader => None,
        }
    }
}
