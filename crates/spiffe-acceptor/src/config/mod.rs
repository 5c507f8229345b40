//! Configuration: code over environment over YAML file.
//!
//! ```no_run
//! # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
//! use spiffe_acceptor::config::Config;
//!
//! let config = Config::load("server.yaml")?; // what the environment says, over what the file says
//! let source = config.source().await?;
//! let listener = config.listen(&source).await?;
//! config
//!     .serve(listener, app)
//!     .with_graceful_shutdown(async {
//!         let _ = tokio::signal::ctrl_c().await;
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The keys
//!
//! | key | environment | default | meaning |
//! |---|---|---|---|
//! | `http.address` | `HTTP_ADDRESS` | `127.0.0.1:8443` | where to listen: an IP address and a port; `:8443` is every address |
//! | `http.timeout` | – | `30s` | what [`Serve::header_timeout`] bounds: how long a client may take for its first request and, over HTTP/1.1, for the head of each request and between two. It does not end a request that a handler works on |
//! | `http.probes_address` | `HTTP_PROBES_ADDRESS` | none: off | where to answer [`Probes`] without TLS; `:9090` is the loopback address alone, so every address has to be said: `0.0.0.0:9090` |
//! | `http.authentication.policy` | `AUTH_POLICY` | `trust-domain` | who gets a connection, see below |
//! | `http.authentication.allowed_id` | `ALLOWED_CLIENT_ID` | – | an ID or a list of IDs |
//! | `http.authentication.trust_domain` | `AUTH_TRUST_DOMAIN` | the own | the trust domain of all who get a connection |
//! | `spire.socket_path` | – | `SPIFFE_ENDPOINT_SOCKET`, else `SPIRE_AGENT_SOCKET` | the agent: `unix:///run/spire/sockets/agent.sock` |
//! | `spire.files` | `SPIFFE_FILES` | – | instead of an agent, a directory with `svid.pem`, `svid_key.pem`, `bundle.pem` and, for each federated domain, `DOMAIN.pem` |
//! | `spire.trust_domain` | `SPIRE_TRUST_DOMAIN` | whatever comes | the trust domain of the own SVID; one of another is not used |
//! | `spire.trusted_domains` | `SPIFFE_TRUSTED_DOMAINS` | none | federated trust domains whose workloads are trusted as well, one or a list |
//!
//! In the environment a list is separated by commas. A relative directory in a file starts at the
//! directory of that file, and any other at the working directory.
//!
//! # Who gets a connection
//!
//! Whom the source does not trust never does: that takes the own trust domain or
//! `spire.trusted_domains`. Of the others the policy picks:
//!
//! - `trust-domain`: those of one trust domain, the own unless `trust_domain` says otherwise. To trust
//!   a federated domain is not to let it in: name it here, or use `one-of`.
//! - `specific-id`: the one that `allowed_id` names.
//! - `one-of`: those that `allowed_id` names; patterns such as `spiffe://example.org/ns/shop/sa/*` count.
//! - `any`: all whom the source trusts. This logs a warning.
//!
//! # What is an error
//!
//! Whatever has no certain meaning, and the error says where it stands and what to write instead: an
//! unknown key, a key that stands there twice or without a value, a merge key, a variable that is
//! set to nothing, a bare number for a duration, and settings that contradict each other, such as
//! `allowed_id` under a policy that does not look at it. An empty list never means everybody. A
//! section may be empty: then it says nothing. A value is checked where it stands, even where
//! another overrides it. The one exception: the two variables of the agent's socket belong to the
//! platform, count only where neither `spire.socket_path` nor `spire.files` is there, and are unset
//! when empty.
//!
//! [`Serve::header_timeout`]: crate::Serve::header_timeout
//! [`Probes`]: crate::Probes

mod check;
mod environment;
mod error;
mod file;
mod key;
mod layer;
mod open;
mod policy;
mod schema;
mod setters;
#[cfg(test)]
mod tests;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;
use spiffe_peer::{IdPattern, TrustDomain};
use spiffe_source::Endpoint;

pub use error::ConfigError;
use key::{Given, Key, Origin};
pub use policy::PeerPolicy;
use schema::OneOrMore;
use value::Address;

/// How a server is set up; the [module](self) lists the keys.
///
/// What is said in code holds over the environment, and that over the file, in whatever order they
/// are said.
///
/// ```
/// use spiffe_acceptor::config::{Config, PeerPolicy};
///
/// let config = Config::from_yaml("
/// http:
///   address: :8443
///   authentication:
///     policy: specific-id
///     allowed_id: spiffe://example.org/service/payment-processor
/// spire:
///   socket_path: unix:///run/spire/sockets/agent.sock
///   trust_domain: example.org
/// ")?;
/// config.validate()?;
///
/// let error = config.policy(PeerPolicy::TrustDomain).validate().unwrap_err();
/// assert_eq!(error.key(), Some("http.authentication.allowed_id"));
/// # Ok::<(), spiffe_acceptor::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Config {
    address: Option<Given<Address>>,
    timeout: Option<Given<Duration>>,
    probes_address: Option<Given<SocketAddr>>,
    policy: Option<Given<PeerPolicy>>,
    allowed: Option<Given<Vec<IdPattern>>>,
    peer_trust_domain: Option<Given<TrustDomain>>,
    socket: Option<Given<Endpoint>>,
    /// What the platform says where no socket is named. Nobody has looked whether it is one.
    platform_socket: Option<Given<String>>,
    files: Option<Given<PathBuf>>,
    own: Option<Given<TrustDomain>>,
    trusted: Option<Given<Vec<TrustDomain>>>,
    /// The first thing said in code that makes no sense.
    wrong: Option<ConfigError>,
}

impl Config {
    /// The defaults alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the environment says, over what the file says. Blocks while the file is read.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where a value makes no sense, or the file cannot be read, has more than
    /// 64 KiB or is no regular file. Whether the values fit together, [`validate`](Self::validate)
    /// tells.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_file(path)?.environment(|name| std::env::var_os(name))
    }

    /// What the environment says, over the defaults.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where a value makes no sense.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::new().environment(|name| std::env::var_os(name))
    }

    /// What a file says, whatever the environment says. Blocks while the file is read.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        Self::read(&file::read(path)?, Some(Arc::from(path)))
    }

    /// What a text says as if it stood in a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where a value makes no sense, or the text has more than 64 KiB.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::read(text, None)
    }

    /// Lays over this what an environment says, given as what it answers to a name.
    ///
    /// ```
    /// use spiffe_acceptor::config::Config;
    ///
    /// let environment = |name: &str| (name == "HTTP_ADDRESS").then(|| "localhost:8443".into());
    /// let error = Config::new().environment(environment).unwrap_err();
    /// assert_eq!(error.variable(), Some("HTTP_ADDRESS"));
    /// assert!(error.to_string().contains("write the IP address, such as `127.0.0.1:8443`"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where a value makes no sense.
    pub fn environment(self, read: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        environment::lay_over(self, read)
    }

    fn read(text: &str, file: Option<Arc<Path>>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let origin = |location| Origin::File(file::mark(file.as_ref(), location));
        let (texts, lists) = file::parse(text, file.as_ref())?.into_values();
        for (
            key,
            Spanned {
                value, referenced, ..
            },
        ) in texts
        {
            let value = match (key, file.as_ref().and_then(|file| file.parent())) {
                (Key::Files, Some(directory)) if !value.is_empty() => {
                    directory.join(value).to_string_lossy().into_owned()
                }
                _ => value,
            };
            config.put(key, &value, origin(referenced))?;
        }
        for (
            key,
            Spanned {
                value, referenced, ..
            },
        ) in lists
        {
            let values = match value {
                OneOrMore::One(text) => vec![(text, origin(referenced))],
                OneOrMore::More(texts) => texts
                    .into_iter()
                    .map(|text| (text.value, origin(text.referenced)))
                    .collect(),
            };
            config.put_list(key, &values, origin(referenced))?;
        }
        Ok(config)
    }
}
