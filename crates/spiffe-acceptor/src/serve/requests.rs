//! What becomes of a request on its way to the application, and of the answer on its way back.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use http::header::{CONNECTION, UPGRADE};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use spiffe_peer::PeerIdentity;
use tower_service::Service;

use super::activity::{Activity, InFlight};
use super::introduction::Introduction;
use super::life::BoxError;
use crate::ending::Ending;
use crate::with_peer::vouch;

/// The application as the requests of one connection meet it: each carries the connection's peer and
/// counts as in flight, and one whose handler panics is answered with 500.
pub(super) struct Requests<S> {
    app: S,
    peer: Option<PeerIdentity>,
    introductions: Box<[Introduction]>,
    activity: Arc<Activity>,
    ending: Arc<Ending>,
}

impl<S> Requests<S> {
    pub(super) fn new(
        app: S,
        peer: Option<PeerIdentity>,
        introductions: Box<[Introduction]>,
        activity: Arc<Activity>,
        ending: Arc<Ending>,
    ) -> Self {
        Self {
            app,
            peer,
            introductions,
            activity,
            ending,
        }
    }
}

/// Whether the client wants to close the connection after one answer. After CONNECT or an upgrade it
/// goes on as something else; hyper upgrades whatever `Connection` says.
fn is_last<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11
        && request.method() != Method::CONNECT
        && !request.headers().contains_key(UPGRADE)
        && request
            .headers()
            .get(CONNECTION)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

impl<S, B, R> hyper::service::Service<Request<B>> for Requests<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: Default,
{
    type Response = Response<InFlightBody<R>>;
    type Error = BoxError;
    type Future = Answer<S, S::Future, B, R>;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        let in_flight = Some(self.activity.begin());
        // Whoever comes for one answer says so at once; later, a look costs more than it saves.
        if self.activity.begun() == 1 && is_last(&request) {
            self.ending.expect_last_answer();
        }
        let may_upgrade =
            request.method() == Method::CONNECT && request.version() == Version::HTTP_2;
        let step = match vouch(&mut request, self.peer.as_ref()) {
            Ok(()) => {
                for introduce in &self.introductions {
                    introduce(request.extensions_mut());
                }
                Step::begin(&self.app, request)
            }
            Err(refusal) => Step::known(Ok(refusal)),
        };
        Answer {
            step,
            in_flight,
            may_upgrade: may_upgrade.then(|| self.activity.clone()),
        }
    }
}

pin_project! {
    pub(super) struct Answer<S, F, B, R> {
        #[pin]
        step: Step<S, F, B, R>,
        in_flight: Option<InFlight>,
        may_upgrade: Option<Arc<Activity>>,
    }
}

pin_project! {
    /// What is rare is boxed: a request in work takes no more room than the application's future.
    #[project = StepProjection]
    enum Step<S, F, B, R> {
        Waits { for_app: Option<Box<(S, Request<B>)>> },
        Works { #[pin] future: F },
        Known { answer: Option<Box<Result<Response<R>, BoxError>>> },
    }
}

impl<S, B, R> Step<S, S::Future, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Default,
{
    /// An application is nearly always ready: then it has the request before anything is kept.
    fn begin(app: &S, request: Request<B>) -> Self
    where
        S: Clone,
    {
        let begin = AssertUnwindSafe(|| {
            let mut app = app.clone();
            match app.poll_ready(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(())) => Self::Works {
                    future: app.call(request),
                },
                Poll::Ready(Err(error)) => Self::known(Err(error.into())),
                Poll::Pending => Self::Waits {
                    for_app: Some(Box::new((app, request))),
                },
            }
        });
        catch_unwind(begin).unwrap_or_else(|_| Self::known(Ok(panicked())))
    }

    fn known(answer: Result<Response<R>, BoxError>) -> Self {
        Self::Known {
            answer: Some(Box::new(answer)),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<R>, BoxError>> {
        loop {
            match self.as_mut().project() {
                StepProjection::Works { future } => return future.poll(cx).map_err(Into::into),
                StepProjection::Known { answer } => {
                    return answer
                        .take()
                        .map_or(Poll::Pending, |answer| Poll::Ready(*answer));
                }
                StepProjection::Waits { for_app } => {
                    if let Some(waiting) = for_app {
                        ready!(waiting.0.poll_ready(cx)).map_err(Into::into)?;
                    }
                    let next = match for_app.take().map(|waited| *waited) {
                        Some((mut app, request)) => Self::Works {
                            future: app.call(request),
                        },
                        None => Self::Known { answer: None },
                    };
                    self.set(next);
                }
            }
        }
    }
}

impl<S, B, R> Future for Answer<S, S::Future, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    R: Default,
{
    type Output = Result<Response<InFlightBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match catch_unwind(AssertUnwindSafe(|| this.step.as_mut().poll(cx))) {
            Ok(polled) => ready!(polled)?,
            Err(_) => {
                this.step.set(Step::Known { answer: None });
                panicked()
            }
        };
        if let Some(activity) = this.may_upgrade
            && response.status().is_success()
        {
            // With one such stream, a connection no longer counts as idle.
            activity.upgraded();
        }
        let in_flight = this.in_flight.take();
        Poll::Ready(Ok(response.map(|body| InFlightBody { body, in_flight })))
    }
}

fn panicked<R: Default>() -> Response<R> {
    tracing::error!(target: "spiffe_acceptor", "a handler panicked; its request is answered with 500");
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

pin_project! {
    /// A body whose response is in flight as long as it is there.
    pub(super) struct InFlightBody<B> {
        #[pin]
        body: B,
        in_flight: Option<InFlight>,
    }
}

impl<B: Body> Body for InFlightBody<B> {
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
