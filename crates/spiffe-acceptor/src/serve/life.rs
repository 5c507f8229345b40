//! The life of one connection: what ends it before its peer closes it, and how.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming as RequestBody;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::TokioExecutor;
use spiffe_peer::Connection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::limits::{FAR, Limits, retirement};
use super::sparingly::Sparingly;
use crate::ending::{Ending, Reason};

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// What a task may take beyond the deadline that it keeps itself.
pub(super) const LEAVE_BEHIND: Duration = Duration::from_secs(1);

/// How often it is looked whether a connection is idle, in the time that it may be so: it ends up to
/// an eighth later.
const LOOKS: u32 = 8;
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Peaceful,
    Cut,
}

pub(super) struct Life {
    connection: Connection,
    ending: Arc<Ending>,
    activity: Arc<Activity>,
    stop: CancellationToken,
    /// When it ends whatever it does, and why.
    term: Option<(Instant, Reason)>,
    header_timeout: Duration,
    idle_timeout: Duration,
    drain: Duration,
}

impl Life {
    pub(super) fn new(
        connection: Connection,
        ending: Arc<Ending>,
        trusted_for: Option<Duration>,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Self {
        let start = Instant::now();
        let from_now = |after| start.checked_add(after);
        let identity = trusted_for.map(retirement).and_then(from_now);
        let age = limits.age().and_then(from_now);
        let term = [
            identity.map(|at| (at, Reason::Identity)),
            age.map(|at| (at, Reason::Age)),
        ];
        Self {
            connection,
            ending,
            term: term.into_iter().flatten().min_by_key(|(at, _)| *at),
            activity: Arc::default(),
            stop,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            drain: limits.drain,
        }
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) async fn drive<C>(&self, mut connection: Pin<Box<C>>) -> Result<End, BoxError>
    where
        C: Graceful,
    {
        let reason = tokio::select! {
            // What has arrived is read before an end is looked for.
            biased;
            finished = connection.as_mut() => {
                drop(connection);
                finished.map_err(Into::into)?;
                return Ok(Box::pin(self.live_on_upgraded()).await);
            }
            reason = Sparingly::new(self.over()) => reason,
        };
        self.ending.because(reason);
        connection.as_mut().shut_down();
        // Nothing is in flight where nothing has begun; hyper would wait for the peer's preface.
        let first = self.drain.min(LEAVE_BEHIND);
        let finished = match tokio::time::timeout(first, connection.as_mut()).await {
            Ok(finished) => finished,
            Err(_) if self.activity.begun() == 0 => return Ok(End::Peaceful),
            Err(_) => match tokio::time::timeout(self.drain - first, connection.as_mut()).await {
                Ok(finished) => finished,
                Err(_) if self.ending.is_said() => return Ok(End::Peaceful),
                Err(_) => return Ok(End::Cut),
            },
        };
        drop(connection);
        finished.map_err(Into::into)?;
        Ok(Box::pin(self.live_on_upgraded()).await)
    }

    /// A connection that HTTP/1.1 has handed over (a WebSocket) ends like one long stream. Boxed by
    /// whoever calls it: most connections never come here.
    async fn live_on_upgraded(&self) -> End {
        if self.ending.is_gone() {
            return End::Peaceful;
        }
        let reason = tokio::select! {
            () = self.ending.until_gone() => return End::Peaceful,
            () = self.stop.cancelled() => Reason::Shutdown,
            () = self.connection.close_requested() => self.asked(),
            reason = self.at_term() => reason,
        };
        self.ending.because(reason);
        let gone = tokio::time::timeout(self.drain, self.ending.until_gone());
        if gone.await.is_ok() {
            return End::Peaceful;
        }
        self.ending.cut();
        // Whoever holds it sees an error now, and the peer a close_notify.
        let _ = tokio::time::timeout(LEAVE_BEHIND / 2, self.ending.until_gone()).await;
        End::Cut
    }

    /// Resolves when a connection that serves requests is to end.
    async fn over(&self) -> Reason {
        tokio::select! {
            () = self.stop.cancelled() => Reason::Shutdown,
            () = self.connection.close_requested() => self.asked(),
            reason = self.out_of_time() => reason,
        }
    }

    fn asked(&self) -> Reason {
        if self.connection.is_withdrawn() {
            Reason::Identity
        } else {
            Reason::Asked
        }
    }

    async fn at_term(&self) -> Reason {
        match self.term {
            Some((at, reason)) => {
                tokio::time::sleep_until(at).await;
                reason
            }
            None => std::future::pending().await,
        }
    }

    /// Looks a few times in the time that a connection may be idle whether it has been so since the
    /// last look.
    async fn out_of_time(&self) -> Reason {
        let (mut begun, mut quiet_looks) = (0, Some(0));
        loop {
            let next = Instant::now() + (self.idle_allowed() / LOOKS).max(SHORTEST_LOOK);
            match self.term {
                Some((at, reason)) if at <= next => {
                    tokio::time::sleep_until(at).await;
                    return reason;
                }
                _ => tokio::time::sleep_until(next).await,
            }
            let so_far = self.activity.begun();
            quiet_looks = match quiet_looks {
                _ if !self.activity.is_quiet() => None,
                Some(looks) if so_far == begun => Some(looks + 1),
                _ => Some(0),
            };
            begun = so_far;
            if quiet_looks == Some(LOOKS) {
                return Reason::Idle;
            }
        }
    }

    fn idle_allowed(&self) -> Duration {
        let allowed = if self.activity.begun() == 0 {
            self.idle_timeout.min(self.header_timeout)
        } else {
            self.idle_timeout
        };
        allowed.min(FAR)
    }
}

/// A connection that can be asked to end.
pub(super) trait Graceful: Future<Output = Result<(), Self::Error>> {
    type Error: Into<BoxError>;

    /// Takes no further request, and finishes what is in flight.
    fn shut_down(self: Pin<&mut Self>);
}

impl<I, S, B> Graceful for http1::UpgradeableConnection<I, S>
where
    S: HttpService<RequestBody, ResBody = B>,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    type Error = hyper::Error;

    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Graceful for http2::Connection<I, S, TokioExecutor>
where
    S: HttpService<RequestBody, ResBody = B>,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    TokioExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    type Error = hyper::Error;

    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
