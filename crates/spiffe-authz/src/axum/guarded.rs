use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::axum::extract::Request;
use ::axum::handler::Handler;
use ::axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::decision::{Place, decide, refuse_without_rule};
use crate::refusal::Refusal;
use crate::require_id::future::Answer;
use crate::rule::Rule;

/// The rule of one method of one route, or of the fallback.
#[derive(Debug)]
pub(super) struct RouteRule {
    route: Option<Box<str>>,
    rule: Rule,
}

impl RouteRule {
    pub(super) fn new(route: Option<&str>, rule: Rule) -> Arc<Self> {
        Arc::new(Self {
            route: route.map(Box::from),
            rule,
        })
    }

    fn decide(&self, request: &Request) -> Result<(), Refusal> {
        decide(
            request,
            &self.rule,
            Place {
                route: self.route.as_deref(),
                rpc: None,
            },
        )
    }
}

/// A handler, or a service, behind its rule. A handler stays a handler: axum boxes it once either way.
#[derive(Debug, Clone)]
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
{
    type Future = HandlerFuture<H::Future>;

    fn call(self, request: Request, state: S) -> Self::Future {
        let decision = self.rule.decide(&request);
        HandlerFuture {
            answer: Answer::new(decision, || self.inner.call(request, state)),
        }
    }
}

impl<T> Service<Request> for Guarded<T>
where
    T: Service<Request, Response: IntoResponse, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ServiceFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let decision = self.rule.decide(&request);
        ServiceFuture::new(Answer::new(decision, || self.inner.call(request)))
    }
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

/// What stands where nobody has said who may pass: the methods of a route without a rule, and every
/// path without a route.
#[derive(Debug, Clone)]
pub(super) struct NoRule {
    route: Option<Arc<str>>,
}

impl NoRule {
    pub(super) fn new(route: Option<&str>) -> Self {
        Self {
            route: route.map(Arc::from),
        }
    }
}

impl<S> Handler<(), S> for NoRule {
    type Future = std::future::Ready<Response>;

    fn call(self, request: Request, _state: S) -> Self::Future {
        let place = Place {
            route: self.route.as_deref(),
            rpc: None,
        };
        std::future::ready(refuse_without_rule(&request, place).response())
    }
}
