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

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let (parts, decision) = match state.as_mut().project() {
                StateProject::Inner { future } => return future.poll(cx),
                StateProject::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        // Polled after it was ready, which no caller may do.
                        None => Poll::Pending,
                    };
                }
                StateProject::Waits { waiting } => ready!(waiting.settled.as_mut().poll(cx)),
            };
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
            state.set(match decision {
                Ok(()) => State::Inner {
                    future: service.call(Request::from_parts(parts, body)),
                },
                Err(refusal) => State::Refused {
                    response: Some(respond.respond(refusal)),
                },
            });
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
