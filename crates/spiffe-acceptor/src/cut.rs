//! The end of a stream whose peer is no longer trusted, whatever serves it.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use spiffe_peer::Connection;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::ending::{Ending, Half, Reason};

/// Decides when a stream is cut: once the trust in its peer has been withdrawn and the grace is over,
/// or at once where whoever serves it says so.
pub(crate) struct Cut {
    connection: Connection,
    grace: Duration,
    ending: Arc<Ending>,
    /// Whether somebody sees to it that the stream is cut in time.
    is_driven: bool,
    reader: Waiter,
    writer: Waiter,
}

#[derive(Default)]
struct Waiter {
    /// Who is woken; it need not be told twice that nothing has happened.
    waker: Option<Waker>,
    until_due: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Cut {
    pub(crate) fn new(connection: Connection, grace: Duration) -> Self {
        Self {
            connection,
            grace,
            ending: Arc::default(),
            is_driven: false,
            reader: Waiter::default(),
            writer: Waiter::default(),
        }
    }

    pub(crate) fn ending(&self) -> &Arc<Ending> {
        &self.ending
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// From now on somebody else ends the stream in time, and cuts it where it lives on: whoever waits
    /// on it need not watch for that too. `grace` is for reads and writes after all that.
    pub(crate) fn leave_to_driver(&mut self, grace: Duration) {
        self.grace = grace;
        self.is_driven = true;
    }

    /// Whether the time has come. Two loads, as long as nothing has happened.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        if self.ending.is_cut() {
            return true;
        }
        self.connection.is_withdrawn() && {
            let deadline = self.ending.deadline(|| after(self.grace));
            Instant::now() >= deadline
        }
    }

    /// Whether the time has come; if not, the task is woken when it does.
    #[inline]
    pub(crate) fn poll_due(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        let waker = &self.waiter(half).waker;
        let waits_already = waker.as_ref().is_some_and(|it| it.will_wake(cx.waker()));
        if waits_already && !self.ending.is_cut() && !self.connection.is_withdrawn() {
            return Poll::Pending;
        }
        self.wait(half, cx)
    }

    fn wait(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_due() {
            return Poll::Ready(());
        }
        self.waiter(half).waker = Some(cx.waker().clone());
        if self.ending.poll_cut(half, cx).is_ready() {
            return Poll::Ready(());
        }
        if self.is_driven {
            return Poll::Pending;
        }
        let (connection, ending, grace) =
            (self.connection.clone(), self.ending.clone(), self.grace);
        self.waiter(half)
            .until_due
            // It is polled once for each waker: a task whose budget is spent must not make it skip that.
            .get_or_insert_with(|| Box::pin(unconstrained(until_due(connection, grace, ending))))
            .as_mut()
            .poll(cx)
    }

    /// Whether somebody reads who is not this task: a socket wakes one reader alone.
    pub(crate) fn is_read_elsewhere(&self, cx: &Context<'_>) -> bool {
        let waker = self.reader.waker.as_ref();
        waker.is_some_and(|reader| !reader.will_wake(cx.waker()))
    }

    #[inline]
    fn waiter(&mut self, half: Half) -> &mut Waiter {
        match half {
            Half::Reader => &mut self.reader,
            Half::Writer => &mut self.writer,
        }
    }

    /// The stream is cut from now on.
    pub(crate) fn make(&self) -> io::Error {
        if self.connection.is_withdrawn() {
            self.ending.because(Reason::Identity);
        }
        self.ending.cut();
        io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the time of this connection is over",
        )
    }
}

async fn until_due(connection: Connection, grace: Duration, ending: Arc<Ending>) {
    connection.withdrawn().await;
    tokio::time::sleep_until(ending.deadline(|| after(grace))).await;
}

fn after(grace: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + grace.min(FAR)
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut")
            .field("connection", &self.connection)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// As a stream that has read as much as a task may at a time, and then has nothing to read.
    #[tokio::test]
    async fn a_withdrawal_wakes_a_stream_whose_first_wait_began_without_budget() {
        let connection = Connection::new();
        let mut cut = Cut::new(connection.clone(), Duration::ZERO);
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let mut waits = Some(waits);
        let mut polls = 0;
        let task = tokio::spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 1 {
                while std::pin::pin!(tokio::task::coop::consume_budget())
                    .poll(cx)
                    .is_ready()
                {}
            }
            let due = cut.poll_due(Half::Reader, cx);
            if polls == 2 {
                waits.take().unwrap().send(()).unwrap();
            }
            due
        }));
        waiting.await.unwrap();
        connection.withdraw();
        let woken = tokio::time::timeout(Duration::from_secs(2), task).await;
        woken.expect("it is woken").unwrap();
    }

    #[tokio::test]
    async fn a_cut_wakes_either_half_of_a_stream_that_nobody_drives() {
        for half in [Half::Reader, Half::Writer] {
            let mut cut = Cut::new(Connection::new(), Duration::ZERO);
            let ending = cut.ending().clone();
            let (waits, waiting) = tokio::sync::oneshot::channel();
            let mut waits = Some(waits);
            let task = tokio::spawn(poll_fn(move |cx| {
                let due = cut.poll_due(half, cx);
                if let Some(waits) = waits.take() {
                    waits.send(()).unwrap();
                }
                due
            }));
            waiting.await.unwrap();
            ending.cut();
            let woken = tokio::time::timeout(Duration::from_secs(2), task).await;
            woken.expect("it is woken").unwrap();
        }
    }
}
