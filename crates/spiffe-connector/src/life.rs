//! The life of one pooled connection: when it is given no more requests.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hyper_util::client::legacy::connect::{CaptureConnection, Connected};
use spiffe_peer::Connection;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::settings::{FAR, Settings, retirement_before};

/// Says whether a connection may be given requests, to the pool that it is in. It travels with each
/// response, since that is how a pool tells which connection a request was given to.
#[derive(Clone)]
pub(crate) struct Life(Arc<State>);

struct State {
    retired: AtomicBool,
    now_retired: Notify,
    now_closed: Notify,
    pooled: Mutex<Pooled>,
}

/// The pool's own record of the connection.
enum Pooled {
    /// No request has shown it yet.
    Unknown,
    /// It leads back here, and so has to be let go with the connection.
    As(CaptureConnection),
    Closed,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            retired: AtomicBool::new(false),
            now_retired: Notify::new(),
            now_closed: Notify::new(),
            pooled: Mutex::new(Pooled::Unknown),
        }))
    }

    /// Has no more requests given to the connection; those in flight are finished.
    pub(crate) fn retire(&self) {
        self.0.retired.store(true, Ordering::SeqCst);
        if let Pooled::As(pooled) = &*self.pooled() {
            poison(pooled);
        }
        self.0.now_retired.notify_waiters();
    }

    /// Resolves once the connection is retired.
    pub(crate) async fn retired(self) {
        let now_retired = self.0.now_retired.notified();
        if !self.0.retired.load(Ordering::SeqCst) {
            now_retired.await;
        }
    }

    #[cfg(test)]
    pub(crate) fn is_retired(&self) -> bool {
        self.0.retired.load(Ordering::SeqCst)
    }

    /// Learns the pool's record of the connection from the first request that shows it.
    pub(crate) fn is_pooled_as(&self, shown: &CaptureConnection) {
        let mut pooled = self.pooled();
        if matches!(*pooled, Pooled::Unknown) {
            *pooled = Pooled::As(shown.clone());
            drop(pooled);
            // Retired in between, it has found no record to speak to.
            if self.0.retired.load(Ordering::SeqCst) {
                poison(shown);
            }
        }
    }

    /// What the pool is told of the connection, which leads back here: [`of`] finds it.
    pub(crate) fn connected(&self, is_http2: bool) -> Connected {
        let connected = Connected::new().extra(self.clone());
        if is_http2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }

    /// Ends with the connection.
    pub(crate) fn close(&self) {
        *self.pooled() = Pooled::Closed;
        self.0.now_closed.notify_waiters();
    }

    /// Resolves once the connection is closed.
    pub(crate) async fn closed(&self) {
        let now_closed = self.0.now_closed.notified();
        let is_closed = matches!(*self.pooled(), Pooled::Closed);
        if !is_closed {
            now_closed.await;
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn pooled(&self) -> MutexGuard<'_, Pooled> {
        // What is in there is whole between any two statements.
        self.0.pooled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the pool to give the connection to nobody any more.
pub(crate) fn poison(pooled: &CaptureConnection) {
    if let Some(connected) = pooled.connection_metadata().as_ref() {
        connected.poison();
    }
}

/// The life of the connection that a request was given to, as its pool tells.
pub(crate) fn of(connected: &Connected) -> Option<Life> {
    let mut extensions = http::Extensions::new();
    connected.get_extras(&mut extensions);
    extensions.remove()
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("retired", &self.0.retired.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// Retires a connection in time, until it is dropped with the connection.
#[derive(Debug)]
pub(crate) struct Retirement(AbortHandle);

impl Retirement {
    /// `ends` are the ends of both identities; `replaced` resolves when the own one has been replaced.
    pub(crate) fn plan(
        life: Life,
        connection: Connection,
        settings: &Settings,
        ends: impl IntoIterator<Item = SystemTime>,
        replaced: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let ends = ends.into_iter().map(retirement_before);
        let term = ends.chain(settings.age()).min().unwrap_or(FAR);
        let after_rotation = settings.retirement_after_rotation();
        let task = tokio::spawn(async move {
            let why = until(term, after_rotation, &connection, replaced).await;
            tracing::debug!(target: "spiffe_connector", "a connection is given no more requests: {why}");
            life.retire();
        });
        Self(task.abort_handle())
    }
}

async fn until(
    term: Duration,
    after_rotation: Duration,
    connection: &Connection,
    replaced: impl Future<Output = ()>,
) -> &'static str {
    let rotated = async {
        replaced.await;
        sleep(after_rotation).await;
    };
    tokio::select! {
        () = connection.close_requested() => "somebody wants it closed",
        () = sleep(term) => "it has reached its age, or an identity is about to end",
        () = rotated => "the own SVID has been replaced",
    }
}

impl Drop for Retirement {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::default()
    }

    #[tokio::test(start_paused = true)]
    async fn it_retires_some_time_after_a_rotation_and_not_before() {
        let life = Life::new();
        let _retirement = Retirement::plan(
            life.clone(),
            Connection::new(),
            &settings(),
            [SystemTime::now() + Duration::from_secs(3600)],
            std::future::ready(()),
        );
        sleep(Duration::from_secs(29)).await;
        assert!(!life.is_retired());
        sleep(Duration::from_secs(32)).await;
        assert!(life.is_retired());
    }

    #[tokio::test(start_paused = true)]
    async fn it_retires_before_an_identity_ends_and_at_once_when_asked() {
        let hour = Duration::from_secs(3600);
        let (ending, asked) = (Life::new(), Life::new());
        let connection = Connection::new();
        let plan = |life: &Life, ends: [SystemTime; 2]| {
            let never = std::future::pending();
            Retirement::plan(life.clone(), connection.clone(), &settings(), ends, never)
        };
        let now = SystemTime::now();
        let _one = Retirement::plan(
            ending.clone(),
            Connection::new(),
            &settings(),
            [now + hour, now + 2 * hour],
            std::future::pending(),
        );
        let _other = plan(&asked, [now + hour, now + hour]);
        sleep(hour - Duration::from_secs(61)).await;
        assert!(!ending.is_retired() && !asked.is_retired());
        connection.request_close();
        sleep(Duration::from_secs(1)).await;
        assert!(asked.is_retired());
        sleep(Duration::from_secs(31)).await;
        assert!(ending.is_retired());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_over_with_the_connection() {
        let life = Life::new();
        let retirement = Retirement::plan(
            life.clone(),
            Connection::new(),
            &settings(),
            [SystemTime::now()],
            std::future::pending(),
        );
        drop(retirement);
        sleep(Duration::from_secs(10)).await;
        assert!(!life.is_retired());
    }
}
