use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::call_error::{CallError, CallFailure};

/// The body of a response. It breaks off when the call has taken longer than it may, and when the
/// server's identity ends.
///
/// ```
/// use http_body_util::BodyExt;
/// use spiffe_connector::{CallError, ResponseBody};
///
/// async fn text(body: ResponseBody) -> Result<String, CallError> {
///     Ok(String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned())
/// }
/// ```
pub struct ResponseBody {
    body: Incoming,
    end: Option<(Pin<Box<Sleep>>, Duration)>,
}

/// When a call has to be over, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) allowed: Duration,
}

impl ResponseBody {
    pub(crate) fn new(body: Incoming, deadline: Option<Deadline>) -> Self {
        let end = deadline
            .filter(|_| !body.is_end_stream())
            .map(|deadline| (Box::pin(sleep_until(deadline.at)), deadline.allowed));
        Self { body, end }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        // First, since a server may have the next piece ready each time.
        if !self.body.is_end_stream()
            && let Some((end, allowed)) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(CallFailure::Overall(*allowed).into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame.map_err(CallFailure::Body)?)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
