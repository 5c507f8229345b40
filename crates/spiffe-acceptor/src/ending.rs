//! How a connection ends, as those who serve it and the stream itself have to agree.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Whoever served it has let it go.
    Served,
    /// The peer has closed it.
    Peer,
    /// Reading or writing failed.
    Error,
    /// The trust in the peer is withdrawn, or the identity of either end is about to end.
    Identity,
    /// Nothing was asked for too long.
    Idle,
    /// It was as old as connections get.
    Age,
    /// A handler asked for its end.
    Asked,
    /// The server stops.
    Shutdown,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Served,
        Self::Peer,
        Self::Error,
        Self::Identity,
        Self::Idle,
        Self::Age,
        Self::Asked,
        Self::Shutdown,
    ];

    #[cfg(feature = "metrics")]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Peer => "peer",
            Self::Error => "error",
            Self::Identity => "identity",
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Asked => "asked",
            Self::Shutdown => "shutdown",
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn code(self) -> u8 {
        Self::ALL
            .iter()
            .position(|reason| *reason == self)
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or_default()
    }

    fn of_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Served)
    }
}

/// Which half of a stream waits: they may belong to two tasks.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Reader,
    Writer,
}

/// What a stream shares with whoever serves it.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    reason: AtomicU8,
    flags: AtomicU8,
    gone: Notify,
    /// Who waits on the stream: reader and writer.
    waiting: Mutex<[Option<Waker>; 2]>,
    deadline: OnceLock<Instant>,
}

const CUT: u8 = 1;
const GONE: u8 = 1 << 1;
const LAST_ANSWER: u8 = 1 << 2;
const SAID: u8 = 1 << 3;

impl Ending {
    /// Says why the connection ends; who comes later is not heard.
    pub(crate) fn because(&self, reason: Reason) {
        let _ = self.reason.compare_exchange(
            Reason::Served.code(),
            reason.code(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    pub(crate) fn reason(&self) -> Reason {
        Reason::of_code(self.reason.load(Ordering::Relaxed))
    }

    /// Makes every further read and write of the stream fail.
    pub(crate) fn cut(&self) {
        self.flags.fetch_or(CUT, Ordering::AcqRel);
        let waiting = self.waiting().each_mut().map(Option::take);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether the stream is cut; if not, the task is woken when it is.
    pub(crate) fn poll_cut(&self, half: Half, cx: &Context<'_>) -> Poll<()> {
        let [reader, writer] = &mut *self.waiting();
        let waiting = match half {
            Half::Reader => reader,
            Half::Writer => writer,
        };
        *waiting = Some(cx.waker().clone());
        if self.is_cut() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn waiting(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.has(CUT)
    }

    /// The stream exists no more.
    pub(crate) fn set_gone(&self) {
        self.flags.fetch_or(GONE, Ordering::AcqRel);
        self.gone.notify_waiters();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.has(GONE)
    }

    /// Waits until the stream exists no more.
    pub(crate) async fn until_gone(&self) {
        while !self.is_gone() {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            // Registers before the flag is read, so that a change between the two is not missed.
            gone.as_mut().enable();
            if !self.is_gone() {
                gone.await;
            }
        }
    }

    /// What is written from now on is the last answer: whoever serves the stream shuts it down then,
    /// and flushes it whenever it is polled.
    pub(crate) fn expect_last_answer(&self) {
        self.flags.fetch_or(LAST_ANSWER, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_last_answer(&self) -> bool {
        self.has(LAST_ANSWER)
    }

    /// Everything has been said: the stream only waits for its peer to go.
    pub(crate) fn set_said(&self) {
        self.flags.fetch_or(SAID, Ordering::AcqRel);
    }

    pub(crate) fn is_said(&self) -> bool {
        self.has(SAID)
    }

    /// When the grace is over; the first who asks sets it.
    pub(crate) fn deadline(&self, first: impl FnOnce() -> Instant) -> Instant {
        *self.deadline.get_or_init(first)
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }
}
