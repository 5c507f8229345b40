use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::socket::SocketCheck;
use super::streams;
use crate::builder::Builder;
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, Failure};
use crate::feed::{Feed, Sink};
use crate::jwt::JwtAuthority;

/// SPIRE's gRPC server takes pings more frequent than every five minutes for abuse.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(310);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The feed that follows an agent over the SPIFFE Workload API; see
/// [`Source::workload_api`](crate::Source::workload_api).
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_source::ConnectError> {
/// use std::time::Duration;
///
/// let source = spiffe_source::Source::workload_api()
///     .endpoint("unix:///run/spire/sockets/agent.sock")
///     .first_update_within(Duration::from_secs(60))
///     .connect()
///     .await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WorkloadApi {
    endpoint: Option<String>,
    keepalive: (Duration, Duration),
    socket: SocketCheck,
    client: Option<Arc<Client>>,
}

impl Default for WorkloadApi {
    fn default() -> Self {
        Self {
            endpoint: None,
            keepalive: (KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT),
            socket: SocketCheck::default(),
            client: None,
        }
    }
}

impl Builder<WorkloadApi> {
    /// Where the agent is; without this, what `SPIFFE_ENDPOINT_SOCKET` or else
    /// `SPIRE_AGENT_SOCKET` says.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.feed.endpoint = Some(endpoint.into());
        self
    }

    /// How often a silent stream is probed with an HTTP/2 ping, and how long the answer may take;
    /// by default every 310 s for 20 s.
    ///
    /// SPIRE's agent ends connections that ping more often than every five minutes. That a hung
    /// agent is noticed does not depend on it alone: where an SVID is overdue for rotation, it is
    /// asked for anew.
    pub fn keepalive(mut self, every: Duration, timeout: Duration) -> Self {
        self.feed.keepalive = (every, timeout);
        self
    }

    /// Names a user beside root and the own one under which the agent runs. May be said for several.
    pub fn agent_user(mut self, uid: u32) -> Self {
        self.feed.socket.agent_users.push(uid);
        self
    }

    /// Refuses a Unix socket that somebody else may have put in the agent's place: one of a user who
    /// is not named, or below a directory in which everybody can write. Without this it is told as a
    /// warning, and used.
    pub fn refuse_doubtful_socket(mut self) -> Self {
        self.feed.socket.refuses = true;
        self
    }
}

impl Feed for WorkloadApi {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        if self.keepalive.0.is_zero() || self.keepalive.1.is_zero() {
            let why = "a keepalive of no time would probe the agent without end";
            return Err(ConnectError::configuration(why));
        }
        let endpoint = match &self.endpoint {
            Some(text) => text.parse(),
            None => Endpoint::from_env(),
        };
        let endpoint: Endpoint = endpoint.map_err(Failure::Endpoint)?;
        let origin = endpoint.to_string();
        self.client = Some(Arc::new(Client::new(
            endpoint,
            self.keepalive,
            std::mem::take(&mut self.socket),
        )));
        Ok(origin)
    }

    fn jwt_authority(&self) -> Option<Arc<dyn JwtAuthority>> {
        let client = self.client.clone()?;
        Some(client)
    }

    async fn run(&mut self, sink: Sink) {
        if let Some(client) = &self.client {
            streams::follow(client, &sink).await;
        }
    }
}
