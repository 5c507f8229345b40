use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::refusal::Refusal;

pin_project! {
    /// The answer of a [`RequireId`](crate::require_id::RequireId): that of the inner service, or a refusal.
    ///
    /// Dropping it drops the inner future; a decision has been made by then and is not undone.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        answer: Answer<F>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(answer: Answer<F>) -> Self {
        Self { answer }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().answer.poll_answer(cx)) {
            Ok(output) => output,
            Err(refusal) => Ok(refusal.response()),
        })
    }
}

pin_project! {
    /// What a decision leads to: the future of the inner service, which exists only after an allow, or the refusal.
    #[derive(Debug)]
    #[project = AnswerProject]
    pub(crate) enum Answer<F> {
        Allowed { #[pin] future: F },
        Refused { refusal: Refusal },
    }
}

impl<F> Answer<F> {
    pub(crate) fn new(decision: Result<(), Refusal>, call: impl FnOnce() -> F) -> Self {
        match decision {
            Ok(()) => Self::Allowed { future: call() },
            Err(refusal) => Self::Refused { refusal },
        }
    }
}

impl<F: Future> Answer<F> {
    pub(crate) fn poll_answer(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Refusal>> {
        match self.project() {
            AnswerProject::Allowed { future } => future.poll(cx).map(Ok),
            AnswerProject::Refused { refusal } => Poll::Ready(Err(refusal.clone())),
        }
    }
}
