//! A future that is polled only when it has been woken itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

pin_project! {
    /// What waits beside a busy connection in the same task: that the connection was woken is no reason
    /// to look at each timer again, with every request.
    pub(super) struct Sparingly<F> {
        #[pin]
        future: F,
        alarm: Option<Arc<Alarm>>,
    }
}

struct Alarm {
    woken: AtomicBool,
    task: Waker,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F> Sparingly<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future,
            alarm: None,
        }
    }
}

impl<F: Future> Future for Sparingly<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let alarm = match this.alarm {
            Some(alarm) if alarm.task.will_wake(cx.waker()) => {
                if !alarm.woken.swap(false, Ordering::Acquire) {
                    return Poll::Pending;
                }
                alarm.clone()
            }
            _ => {
                let alarm = Arc::new(Alarm {
                    woken: AtomicBool::new(false),
                    task: cx.waker().clone(),
                });
                this.alarm.insert(alarm).clone()
            }
        };
        this.future
            .poll(&mut Context::from_waker(&Waker::from(alarm)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::ready;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_first_and_then_only_when_it_is_woken() {
        let polls = Arc::<AtomicUsize>::default();
        let (send, mut receive) = oneshot::channel();
        let counted = polls.clone();
        let counting = std::future::poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::SeqCst);
            Poll::Ready(ready!(Pin::new(&mut receive).poll(cx)))
        });
        let mut sparingly = Box::pin(Sparingly::new(counting));
        let mut others = 0;
        let mut send = Some(send);
        let answer = std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = sparingly.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            others += 1;
            match others {
                ..10 => cx.waker().wake_by_ref(),
                _ => drop(send.take().map(|send| send.send("woken"))),
            }
            Poll::Pending
        });
        assert_eq!(answer.await, Ok("woken"));
        assert_eq!(polls.load(Ordering::SeqCst), 2);
    }
}
