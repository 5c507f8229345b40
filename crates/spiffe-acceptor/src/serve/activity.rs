//! What is in flight on a connection: requests from their arrival to the end of their response's body.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    begun: AtomicBool,
    /// When the last request ended, in milliseconds after the start.
    last_end: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            in_flight: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            last_end: AtomicU64::new(0),
        }
    }

    /// When the connection was handed over.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Whether there has been a request.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Since when nothing is in flight.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return None;
        }
        let last_end = Duration::from_millis(self.last_end.load(Ordering::Relaxed));
        Some(self.start + last_end)
    }

    fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(self.clone())
    }
}

/// One request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = self.0.start.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.0.last_end.store(now, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts what is in flight, and answers 500 where a handler panics.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<CountedBody<R>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let in_flight = self.activity.begin();
        let may_upgrade =
            request.method() == Method::CONNECT && request.version() == Version::HTTP_2;
        let future = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        CountedFuture {
            future,
            in_flight: Some(in_flight),
            may_upgrade,
        }
    }
}

pin_project! {
    pub(super) struct CountedFuture<F> {
        #[pin]
        future: Option<F>,
        in_flight: Option<InFlight>,
        may_upgrade: bool,
    }
}

impl<F, R, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<CountedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = match this.future.as_mut().as_pin_mut() {
            Some(future) => catch_unwind(AssertUnwindSafe(|| future.poll(cx))).ok(),
            None => None,
        };
        let response = match polled {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(Ok(response))) => response,
            Some(Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
            None => {
                this.future.set(None);
                tracing::error!(target: "spiffe_acceptor", "a handler panicked; its request is answered with 500");
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        let in_flight = this.in_flight.take();
        // A stream that is upgraded (a WebSocket over HTTP/2) is in flight without being a request,
        // and nobody says when it ends: with one, a connection no longer counts as idle.
        if let (true, true, Some(InFlight(activity))) = (
            *this.may_upgrade,
            response.status().is_success(),
            &in_flight,
        ) {
            activity.in_flight.fetch_add(1, Ordering::AcqRel);
        }
        Poll::Ready(Ok(response.map(|body| CountedBody { body, in_flight })))
    }
}

pin_project! {
    /// A body whose response is in flight as long as it is there.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        in_flight: Option<InFlight>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            *this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
