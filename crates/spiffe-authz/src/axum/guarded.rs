use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::axum::body::Body;
use ::axum::extract::Request;
use ::axum::handler::Handler;
use ::axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::draft::Decider;
use crate::decision::{Place, decide, refuse_without_rule, without_rule};
use crate::guard::{BoxFuture, Entry, Guard, Scope};
use crate::policy::query::Head;
use crate::refusal::Refusal;

/// Who decides on one method of one route, on the fallback, or on one RPC.
pub(super) struct RouteRule {
    route: Option<Box<str>>,
    rpc: Option<Box<str>>,
    decider: Option<Decider>,
    /// The policy that the router is bound to.
    guard: Option<Arc<Guard>>,
}

impl RouteRule {
    pub(super) fn new(
        route: Option<&str>,
        rpc: Option<&str>,
        decider: Option<Decider>,
        guard: Option<Arc<Guard>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            route: route.map(Box::from),
            rpc: rpc.map(Box::from),
            decider,
            guard,
        })
    }

    /// Decides, and calls what is behind the rule or keeps the call until the decision is there.
    pub(super) fn answer<T, F>(
        self: &Arc<Self>,
        request: Request,
        inner: T,
        call: impl FnOnce(T, Request) -> F + Send + 'static,
    ) -> Answer<F>
    where
        T: Send + 'static,
    {
        match self.enter(&request) {
            Entry::Allowed => Answer::Allowed {
                future: call(inner, request),
            },
            Entry::Refused(refusal) => Answer::Refused {
                refusal: Some(refusal),
            },
            Entry::Waits => {
                let (parts, body) = request.into_parts();
                Answer::Waits {
                    waiting: Box::new(Waiting {
                        settled: self.clone().settle(parts),
                        body: Some(body),
                        call: Some(Box::new(move |request| call(inner, request))),
                    }),
                }
            }
        }
    }

    fn enter(&self, request: &Request) -> Entry {
        let head = Head::of(request);
        let decided = match (&self.decider, &self.guard) {
            (Some(Decider::Policy), Some(guard)) => return guard.enter(head, Scope::Everything),
            (Some(Decider::Rule(rule)), Some(guard)) => {
                return guard.enter(head, Scope::KeepingOut(rule));
            }
            (Some(Decider::Rule(rule)), None) => decide(request, rule, self.place()),
            (None, Some(guard)) => Err(guard.refuse(head, without_rule(request))),
            (Some(Decider::Policy) | None, _) => Err(refuse_without_rule(request, self.place())),
        };
        match decided {
            Ok(()) => Entry::Allowed,
            Err(refusal) => Entry::Refused(Box::new(refusal)),
        }
    }

    fn settle(self: Arc<Self>, parts: Parts) -> Settled {
        Box::pin(async move {
            let Some(guard) = &self.guard else {
                let refusal =
                    refuse_without_rule(&Request::from_parts(parts.clone(), ()), self.place());
                return (parts, Err(refusal));
            };
            let scope = match &self.decider {
                Some(Decider::Rule(rule)) => Scope::KeepingOut(rule),
                _ => Scope::Everything,
            };
            let decided = guard.settle(&parts, scope).await;
            (parts, decided)
        })
    }

    fn place(&self) -> Place<'_> {
        Place {
            route: self.route.as_deref(),
            rpc: self.rpc.as_deref(),
        }
    }
}

type Settled = BoxFuture<'static, (Parts, Result<(), Refusal>)>;

pin_project! {
    /// What a decision leads to: the future of what is behind the rule, which exists only after an allow.
    #[project = AnswerProject]
    pub(super) enum Answer<F> {
        Allowed { #[pin] future: F },
        Refused { refusal: Option<Box<Refusal>> },
        Waits { waiting: Box<Waiting<F>> },
    }
}

pub(super) struct Waiting<F> {
    settled: Settled,
    body: Option<Body>,
    call: Option<Box<dyn FnOnce(Request) -> F + Send>>,
}

impl<F: Future> Answer<F> {
    fn poll_answer(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Refusal>> {
        loop {
            let waiting = match self.as_mut().project() {
                AnswerProject::Allowed { future } => return future.poll(cx).map(Ok),
                AnswerProject::Refused { refusal } => {
                    return match refusal.take() {
                        Some(refusal) => Poll::Ready(Err(*refusal)),
                        // Polled after it was ready, which no caller may do.
                        None => Poll::Pending,
                    };
                }
                AnswerProject::Waits { waiting } => waiting,
            };
            let (parts, decided) = ready!(waiting.settled.as_mut().poll(cx));
            let next = match (decided, waiting.body.take(), waiting.call.take()) {
                (Ok(()), Some(body), Some(call)) => Self::Allowed {
                    future: call(Request::from_parts(parts, body)),
                },
                (Err(refusal), _, _) => Self::Refused {
                    refusal: Some(Box::new(refusal)),
                },
                (Ok(()), _, _) => return Poll::Pending,
            };
            self.set(next);
        }
    }
}

/// A handler, or a service, behind its rule. A handler stays a handler: axum boxes it once either way.
#[derive(Clone)]
pub(super) struct Guarded<H> {
    rule: Arc<RouteRule>,
    inner: H,
}

impl<H> Guarded<H> {
    pub(super) fn new(rule: Arc<RouteRule>, inner: H) -> Self {
        Self { rule, inner }
    }
}

impl<H, T, S> Handler<T, S> for Guarded<H>
where
    H: Handler<T, S>,
    S: Send + 'static,
{
    type Future = HandlerFuture<H::Future>;

    fn call(self, request: Request, state: S) -> Self::Future {
        let inner = self.inner;
        HandlerFuture {
            answer: self
                .rule
                .answer(request, (inner, state), |(inner, state), request| {
                    inner.call(request, state)
                }),
        }
    }
}

impl<T> Service<Request> for Guarded<T>
where
    T: Service<Request, Response: IntoResponse, Error = Infallible> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ServiceFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let ready = take_ready(&mut self.inner);
        ServiceFuture::new(
            self.rule
                .answer(request, ready, |mut inner, request| inner.call(request)),
        )
    }
}

/// Takes the service that is ready, and leaves a clone that has to become ready yet.
pub(super) fn take_ready<T: Clone>(service: &mut T) -> T {
    let clone = service.clone();
    std::mem::replace(service, clone)
}

pin_project! {
    pub(super) struct HandlerFuture<F> {
        #[pin]
        answer: Answer<F>,
    }
}

impl<F: Future<Output = Response>> Future for HandlerFuture<F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        Poll::Ready(ready!(self.project().answer.poll_answer(cx)).unwrap_or_else(Refusal::response))
    }
}

pin_project! {
    pub(super) struct ServiceFuture<F> {
        #[pin]
        answer: Answer<F>,
    }
}

impl<F> ServiceFuture<F> {
    pub(super) fn new(answer: Answer<F>) -> Self {
        Self { answer }
    }
}

impl<F, R> Future for ServiceFuture<F>
where
    F: Future<Output = Result<R, Infallible>>,
    R: IntoResponse,
{
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match ready!(self.project().answer.poll_answer(cx)) {
            Ok(Ok(response)) => response.into_response(),
            Ok(Err(never)) => match never {},
            Err(refusal) => refusal.response(),
        }))
    }
}

/// What stands where there is no handler: the methods of a route without one, and every path without
/// a route. Only a policy can allow such a request, and then the answer is that there is nothing.
#[derive(Clone)]
pub(super) struct Nothing {
    rule: Arc<RouteRule>,
    status: StatusCode,
}

impl Nothing {
    pub(super) fn new(route: Option<&str>, guard: Option<Arc<Guard>>) -> Self {
        let decider = guard.is_some().then_some(Decider::Policy);
        Self {
            rule: RouteRule::new(route, None, decider, guard),
            status: match route {
                Some(_) => StatusCode::METHOD_NOT_ALLOWED,
                None => StatusCode::NOT_FOUND,
            },
        }
    }
}

impl<S> Handler<(), S> for Nothing {
    type Future = HandlerFuture<std::future::Ready<Response>>;

    fn call(self, request: Request, _state: S) -> Self::Future {
        HandlerFuture {
            answer: self.rule.answer(request, self.status, |status, _| {
                std::future::ready(status.into_response())
            }),
        }
    }
}
