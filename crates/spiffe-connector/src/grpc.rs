use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONTENT_TYPE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::attempts::Limits;
use crate::call_error::CallError;
use crate::connector::Connector;
use crate::http_client::HttpClient;
use crate::jwt::{TokenError, VerifiesServer};
use crate::settings::FAR;

const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("spiffe-connector/", env!("CARGO_PKG_VERSION")));
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// A channel for the clients that tonic generates, which knows whom it calls.
///
/// Unlike tonic's own channel it can change its connection: one that is [retired](HttpClient) gets no
/// more calls, and its streams go on until they end. All clones share connections. The extensions of
/// a response hold the server's [`PeerIdentity`](crate::PeerIdentity).
///
/// It dials when it is first called. A deadline is that of the call (`Request::set_timeout`) or that of
/// the channel, whichever is earlier; it holds for the whole of the call, streams included, and its
/// end is `DEADLINE_EXCEEDED`. What keeps a call from the server is `UNAVAILABLE`, and the source of
/// the status is a [`CallError`].
///
/// ```no_run
/// # async fn example(source: spiffe_source::Source) -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_connector::Connector;
///
/// let connector = Connector::new(source, "spiffe://example.org/service/orders")?;
/// let channel = connector.grpc_channel("https://orders.internal:8443")?;
/// // let client = OrdersClient::new(channel);
/// # let _ = channel;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GrpcChannel {
    client: HttpClient<Body>,
    authority: Authority,
    timeout: Option<Duration>,
}

impl Connector {
    /// A channel to the server at an origin, `https://host:port`, for tonic's clients.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] where it is none.
    pub fn grpc_channel<O>(&self, origin: O) -> Result<GrpcChannel, InvalidOrigin>
    where
        O: TryInto<Uri>,
    {
        let origin: Uri = origin.try_into().map_err(|_| InvalidOrigin(()))?;
        let parts = origin.into_parts();
        let is_origin = parts.scheme == Some(Scheme::HTTPS)
            && parts.path_and_query.is_none_or(|path| path == "/");
        let authority = parts
            .authority
            .filter(|_| is_origin)
            .ok_or(InvalidOrigin(()))?;
        if authority.as_str().contains('@') {
            return Err(InvalidOrigin(()));
        }
        Ok(GrpcChannel {
            client: HttpClient::http2(self.clone().http2_only(), self.settings()),
            authority,
            timeout: None,
        })
    }
}

impl GrpcChannel {
    /// How long a call may take that brings no earlier deadline; without a limit by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn prepare(&self, request: &mut Request<Body>) -> Result<Limits, Status> {
        let path = request.uri().path_and_query().cloned();
        let uri = Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(self.authority.clone())
            .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
            .build();
        *request.uri_mut() = uri.map_err(|error| Status::internal(error.to_string()))?;
        *request.version_mut() = http::Version::HTTP_2;
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert(OWN_USER_AGENT);
        let asked = deadline(headers)?;
        let overall = asked.into_iter().chain(self.timeout).min();
        Ok(Limits {
            head: None,
            overall: overall.map(|overall| overall.min(FAR)),
            ..self.client.limits()
        })
    }
}

/// The deadline that a call brings. One that cannot be read is an error: without it the call might
/// last for ever.
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let read = value.to_str().ok().and_then(|text| {
        let (unit_at, unit) = text.char_indices().next_back()?;
        let digits = text.get(..unit_at)?;
        if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u64 = digits.parse().ok()?;
        Some(match unit {
            'H' => Duration::from_secs(count * 3600),
            'M' => Duration::from_secs(count * 60),
            'S' => Duration::from_secs(count),
            'm' => Duration::from_millis(count),
            'u' => Duration::from_micros(count),
            'n' => Duration::from_nanos(count),
            _ => return None,
        })
    });
    match read {
        Some(deadline) => Ok(Some(deadline)),
        None => Err(Status::invalid_argument("`grpc-timeout` is no deadline")),
    }
}

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let limits = match self.prepare(&mut request) {
            Ok(limits) => limits,
            Err(status) => return Box::pin(std::future::ready(Err(status))),
        };
        let call = self.client.call_within(request, limits);
        Box::pin(async move {
            let response = call.await.map_err(status)?;
            Ok(response.map(|body| Body::new(body.map_err(status))))
        })
    }
}

impl VerifiesServer for GrpcChannel {}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannel")
            .field("authority", &self.authority)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What went wrong, as gRPC says it.
fn status(error: CallError) -> Status {
    let text = error.to_string();
    let mut status = if error.is_overdue() {
        Status::deadline_exceeded(text)
    } else {
        match error.http2_reason() {
            Some(h2::Reason::CANCEL) => Status::cancelled(text),
            Some(h2::Reason::ENHANCE_YOUR_CALM) => Status::resource_exhausted(text),
            Some(h2::Reason::INADEQUATE_SECURITY) => Status::permission_denied(text),
            Some(
                h2::Reason::PROTOCOL_ERROR
                | h2::Reason::INTERNAL_ERROR
                | h2::Reason::FLOW_CONTROL_ERROR
                | h2::Reason::FRAME_SIZE_ERROR
                | h2::Reason::COMPRESSION_ERROR,
            ) => Status::internal(text),
            _ => Status::unavailable(text),
        }
    };
    status.set_source(Arc::new(error));
    status
}

pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

pub(crate) fn without_token(error: TokenError) -> Status {
    let text = error.to_string();
    let mut status = match error.jwt() {
        Some(jwt) if jwt.is_unavailable() => Status::unavailable(text),
        _ => Status::unauthenticated(text),
    };
    status.set_source(Arc::new(error));
    status
}

/// What was to be called is no origin: `https://`, a host and perhaps a port, and no more.
///
/// ```
/// use spiffe_connector::{Connector, InvalidOrigin};
///
/// fn is_origin(connector: &Connector, text: &str) -> Result<(), InvalidOrigin> {
///     connector.grpc_channel(text).map(drop)
/// }
/// ```
#[derive(Debug)]
pub struct InvalidOrigin(());

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an origin is `https://host:port`, without a path and without a user")
    }
}

impl Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::call_error::CallFailure;

    fn read(text: &str) -> Result<Option<Duration>, Status> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, text.parse().unwrap());
        deadline(&headers)
    }

    #[test]
    fn only_the_end_of_the_calls_time_is_its_deadline() {
        let after = Duration::from_secs(12);
        let code = |failure: CallFailure| status(failure.into()).code();
        assert_eq!(code(CallFailure::Overall(after)), Code::DeadlineExceeded);
        assert_eq!(code(CallFailure::NoConnection(after)), Code::Unavailable);
    }

    #[test]
    fn a_deadline_is_read_in_each_unit_and_nonsense_is_none() {
        assert_eq!(deadline(&HeaderMap::new()).unwrap(), None);
        assert_eq!(read("2H").unwrap(), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M").unwrap(), Some(Duration::from_secs(180)));
        assert_eq!(read("15S").unwrap(), Some(Duration::from_secs(15)));
        assert_eq!(read("250m").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(read("250u").unwrap(), Some(Duration::from_micros(250)));
        assert_eq!(
            read("99999999n").unwrap(),
            Some(Duration::from_nanos(99_999_999))
        );
        for nonsense in [
            "",
            "S",
            "5",
            "5s",
            "-5S",
            "+5S",
            "999999999S",
            "1.5S",
            " 5S",
        ] {
            assert!(read(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
