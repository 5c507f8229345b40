use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::layer::{Constant, Respond};
use super::provider::BoxFuture;
use super::shared::{Guard, Scope};
use crate::refusal::Refusal;

pin_project! {
    /// The answer of an [`Authz`](super::Authz): that of the inner service, or a refusal.
    ///
    /// Dropping it drops the inner future, or whatever the decision waits for.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R = Constant>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S::Future, S::Response, S, B, R>,
    }
}

pin_project! {
    #[project = StateProject]
    #[project_replace = StateReplace]
    enum State<F, Response, S, B, R> {
        Inner { #[pin] future: F },
        Refused { response: Option<Response> },
        Waits { waiting: Box<Waiting<S, B, R>> },
    }
}

struct Waiting<S, B, R> {
    settled: BoxFuture<'static, (Parts, Result<(), Refusal>)>,
    body: B,
    service: S,
    respond: R,
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    #[inline]
    pub(super) fn allowed(future: S::Future) -> Self {
        Self {
            state: State::Inner { future },
        }
    }

    pub(super) fn refused(response: S::Response) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }

    pub(super) fn waits(guard: Arc<Guard>, request: Request<B>, service: S, respond: R) -> Self {
        let (parts, body) = request.into_parts();
        let waiting = Box::new(Waiting {
            settled: Box::pin(async move {
                let decided = guard.settle(&parts, Scope::Everything).await;
                (parts, decided)
            }),
            body,
            service,
            respond,
        });
        Self {
            state: State::Waits { waiting },
        }
    }
}

impl<S, B, R, ResBody> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.as_mut().project().state.project() {
            StateProject::Inner { future } => future.poll(cx),
            StateProject::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polled after it was ready, which no caller may do.
                None => Poll::Pending,
            },
            StateProject::Waits { .. } => self.poll_waiting(cx),
        }
    }
}

impl<S, B, R, ResBody> ResponseFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    R: Respond<ResBody>,
{
    /// Out of the way of requests that wait for nothing.
    #[inline(never)]
    fn poll_waiting(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ResBody>, S::Error>> {
        let mut state = self.project().state;
        let StateProject::Waits { waiting } = state.as_mut().project() else {
            return Poll::Pending;
        };
        let (parts, decision) = ready!(waiting.settled.as_mut().poll(cx));
        let done = State::Refused { response: None };
        let StateReplace::Waits { waiting } = state.as_mut().project_replace(done) else {
            return Poll::Pending;
        };
        let Waiting {
            body,
            mut service,
            respond,
            ..
        } = *waiting;
        if let Err(refusal) = decision {
            return Poll::Ready(Ok(respond.respond(refusal)));
        }
        let future = service.call(Request::from_parts(parts, body));
        state.set(State::Inner { future });
        match state.project() {
            StateProject::Inner { future } => future.poll(cx),
            _ => Poll::Pending,
        }
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
