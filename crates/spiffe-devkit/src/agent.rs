use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use spiffe_peer::{SpiffeId, TrustDomain};
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::authority::Authority;
use crate::builder::AgentBuilder;
use crate::command::Command;
use crate::core::Core;
use crate::directory::{Directory, SocketFile};
use crate::error::OperationError;
use crate::fault::Fault;
use crate::log::Record;

/// A running agent: it serves the SPIFFE Workload API on its listeners, and does as it is told.
///
/// What changes here reaches every open stream that it concerns at once, and no other. Dropping the
/// agent ends its connections and removes its sockets.
///
/// ```
/// # let runtime = tokio::runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// use std::time::Duration;
/// use spiffe_devkit::{Agent, Entry, TrustDomainSpec};
///
/// let agent = Agent::builder()
///     .trust_domain(TrustDomainSpec::new("example.org")?)
///     .entry(Entry::new("spiffe://example.org/service/orders")?.on("orders").ttl(Duration::from_secs(60)))
///     .unix("orders")
///     .start()
///     .await?;
///
/// // What a service reads from SPIFFE_ENDPOINT_SOCKET.
/// assert!(agent.endpoint("orders").is_some_and(|endpoint| endpoint.starts_with("unix:///")));
/// agent.rotate_svids();
/// agent.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Agent {
    pub(crate) core: Arc<Core>,
    pub(crate) control: Option<SocketFile>,
    pub(crate) files: Vec<SocketFile>,
    pub(crate) tasks: TaskTracker,
    pub(crate) guard: DropGuard,
    pub(crate) directory: Directory,
}

impl Agent {
    /// Begins the declaration of an agent.
    pub fn builder() -> AgentBuilder {
        AgentBuilder::default()
    }

    /// The address of a listener, `unix:///…/orders.sock` or `tcp://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&str> {
        self.core
            .listeners
            .get(listener)
            .map(|listener| listener.endpoint.as_str())
    }

    /// The names of the listeners with their addresses.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.core
            .listeners
            .iter()
            .map(|(name, listener)| (&**name, listener.endpoint.as_str()))
    }

    /// The directory of the sockets.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The socket that takes commands, where one was asked for.
    #[must_use]
    pub fn control_socket(&self) -> Option<&Path> {
        self.control.as_ref().map(SocketFile::path)
    }

    /// The authority of a trust domain, to mint SVIDs with.
    #[must_use]
    pub fn authority(&self, trust_domain: &TrustDomain) -> Option<Authority> {
        self.core.state.authority(trust_domain).cloned()
    }

    /// Gives every workload a new X.509-SVID with a new key.
    pub fn rotate_svids(&self) {
        self.core.state.rotate_svids();
    }

    /// Replaces the authority and gives every workload a new SVID. The old root stays in the bundle;
    /// [`retire_authority`](Self::retire_authority) removes it. See [`Authority`] for single steps.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where there is no such trust domain, or where a new authority is prepared already.
    pub fn rotate_authority(&self, trust_domain: &TrustDomain) -> Result<(), OperationError> {
        self.core.rotate_authority(trust_domain)
    }

    /// The first step of a rotation by hand: the new root enters the bundle.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where there is no such trust domain, or the step does not come now.
    pub fn prepare_authority(&self, trust_domain: &TrustDomain) -> Result<(), OperationError> {
        Ok(self.core.authority(trust_domain)?.prepare()?)
    }

    /// The second step: SVIDs are issued from the new authority, when it is their turn or when
    /// [`rotate_svids`](Self::rotate_svids) makes it so, which is the third step.
    ///
    /// # Errors
    ///
    /// Those of [`prepare_authority`](Self::prepare_authority).
    pub fn activate_authority(&self, trust_domain: &TrustDomain) -> Result<(), OperationError> {
        Ok(self.core.authority(trust_domain)?.activate()?)
    }

    /// The last step: the old root leaves the bundle. Whoever still has an SVID of it gets a new one
    /// in the same message.
    ///
    /// # Errors
    ///
    /// Those of [`prepare_authority`](Self::prepare_authority).
    pub fn retire_authority(&self, trust_domain: &TrustDomain) -> Result<(), OperationError> {
        Ok(self.core.authority(trust_domain)?.retire()?)
    }

    /// Withdraws the entries of an ID. The streams of a caller who has nothing left end with
    /// `PermissionDenied`.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where no entry has this ID.
    pub fn withdraw(&self, spiffe_id: &SpiffeId) -> Result<(), OperationError> {
        self.core.set_withdrawn(spiffe_id, true)
    }

    /// Takes a withdrawal back.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where no entry has this ID.
    pub fn restore(&self, spiffe_id: &SpiffeId) -> Result<(), OperationError> {
        self.core.set_withdrawn(spiffe_id, false)
    }

    /// Gives the workloads of a trust domain an X.509 bundle of another: concatenated DER roots, or
    /// for a test any bytes at all. It takes the place of one that is there for that domain.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have the trust domain `to`.
    pub fn add_bundle(
        &self,
        to: &TrustDomain,
        of: &TrustDomain,
        bundle: impl Into<Vec<u8>>,
    ) -> Result<(), OperationError> {
        self.add_bundle_under(to, &of.id_string(), bundle)
    }

    /// As [`add_bundle`](Self::add_bundle), under a key that need not be the ID of a trust domain.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have the trust domain `to`.
    pub fn add_bundle_under(
        &self,
        to: &TrustDomain,
        key: &str,
        bundle: impl Into<Vec<u8>>,
    ) -> Result<(), OperationError> {
        let bundle = Bytes::from(bundle.into());
        self.core.federate(to, |federation| {
            federation.x509.insert(key.to_owned(), bundle);
        })
    }

    /// Gives the workloads of a trust domain a JWT bundle of another: a JWK set, or for a test any
    /// bytes at all.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have the trust domain `to`.
    pub fn add_jwt_bundle(
        &self,
        to: &TrustDomain,
        of: &TrustDomain,
        jwks: impl Into<Vec<u8>>,
    ) -> Result<(), OperationError> {
        let jwks = Bytes::from(jwks.into());
        self.core.federate(to, |federation| {
            federation.jwt.insert(of.id_string(), jwks);
        })
    }

    /// Lets the workloads of a trust domain have the bundles of another one of this agent, always as
    /// they are.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have both trust domains.
    pub fn federate(&self, to: &TrustDomain, with: &TrustDomain) -> Result<(), OperationError> {
        self.core.federate_with(to, with)
    }

    /// Takes the bundles of a trust domain, X.509 and JWT, from the workloads of another, however
    /// they came to have them.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have the trust domain `from`.
    pub fn remove_bundle(
        &self,
        from: &TrustDomain,
        of: &TrustDomain,
    ) -> Result<(), OperationError> {
        self.remove_bundle_under(from, &of.id_string())?;
        self.core.federate(from, |federation| {
            federation.with.remove(of);
        })
    }

    /// Undoes [`add_bundle_under`](Self::add_bundle_under).
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent does not have the trust domain `from`.
    pub fn remove_bundle_under(&self, from: &TrustDomain, key: &str) -> Result<(), OperationError> {
        self.core.federate(from, |federation| {
            federation.x509.remove(key);
            federation.jwt.remove(key);
        })
    }

    /// Makes a listener fail from now on.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where there is no such listener.
    pub fn fault(&self, listener: &str, fault: Fault) -> Result<(), OperationError> {
        self.core.set_fault(listener, Some(fault))
    }

    /// Ends the fault of a listener. A call that hung is answered; a stream goes on.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where there is no such listener.
    pub fn heal(&self, listener: &str) -> Result<(), OperationError> {
        self.core.set_fault(listener, None)
    }

    /// The latest thousand answers, oldest first. Each is a `tracing` event of the target
    /// `spiffe_devkit` too.
    #[must_use]
    pub fn log(&self) -> Vec<Record> {
        self.core.log.records()
    }

    /// Does what a command says, and tells what it did.
    ///
    /// # Errors
    ///
    /// [`OperationError`] where the agent lacks what the command names, or a file cannot be read.
    ///
    /// # Cancel safety
    ///
    /// A command takes effect at once or not at all.
    pub async fn execute(&self, command: &Command) -> Result<String, OperationError> {
        self.core.execute(command).await
    }

    /// Stops the agent and waits until its connections are closed and its sockets removed.
    ///
    /// # Cancel safety
    ///
    /// The agent stops as well where the future is dropped; then nobody waits for it.
    pub async fn shutdown(self) {
        let Self {
            core: _,
            control,
            files,
            tasks,
            guard,
            directory,
        } = self;
        drop(guard);
        tasks.close();
        tasks.wait().await;
        drop((control, files, directory));
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("listeners", &self.core.listeners)
            .finish_non_exhaustive()
    }
}
