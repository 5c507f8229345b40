//! What a configuration gives.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use spiffe_source::{Builder, Source, Svid};
use spiffe_tls::Admission;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Config;
use super::check::Feed;
use super::error::ConfigError;
use super::key::{Key, Origin};
use super::policy::PeerPolicy;
use super::value::Address;
use crate::builder::AcceptorBuilder;
use crate::handshake::Acceptor;
use crate::listener::Listener;
use crate::probes::Probes;
use crate::serve::{Serve, serve};

const TIMEOUT: Duration = Duration::from_secs(30);

impl Config {
    /// The source of the own SVID, once it is there: the agent or the files, with the trust of the own
    /// trust domain and of `spire.trusted_domains`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the configuration is wrong, the SVID is of another trust domain than
    /// `spire.trust_domain`, or there is none within 30 s.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn source(&self) -> Result<Source, ConfigError> {
        self.validate()?;
        let trusted = self
            .trusted
            .as_ref()
            .map(|given| given.value.as_slice())
            .unwrap_or_default();
        match self.feed()? {
            Feed::Agent(endpoint, origin) => {
                let mut builder = Source::workload_api().endpoint(endpoint.to_string());
                for domain in trusted {
                    builder = builder.trust(domain.as_str());
                }
                self.connect(builder, Key::SocketPath, origin).await
            }
            Feed::Files(directory, origin) => {
                let mut builder = Source::files(directory);
                for domain in trusted {
                    builder = builder.foreign_bundle(domain.as_str(), format!("{domain}.pem"));
                }
                self.connect(builder, Key::Files, origin).await
            }
        }
    }

    async fn connect<F: spiffe_source::Feed>(
        &self,
        builder: Builder<F>,
        key: Key,
        origin: &Origin,
    ) -> Result<Source, ConfigError> {
        let failed = |error| ConfigError::caused(Some(key), Some(origin.clone()), error);
        let Some(own) = &self.own else {
            return builder.connect().await.map_err(failed);
        };
        let domain = own.value.clone();
        let (tell, mut told) = watch::channel(None);
        let builder = builder.pick(move |svids: &[Arc<Svid>]| {
            let place = svids
                .iter()
                .position(|svid| svid.spiffe_id().trust_domain() == &domain);
            if let (None, Some(other)) = (place, svids.first()) {
                tell.send_replace(Some(other.spiffe_id().clone()));
            }
            place
        });
        // No waiting turns an SVID into one of another trust domain.
        let other = async move {
            let other = told.wait_for(Option::is_some).await.ok()?;
            other.clone()
        };
        tokio::select! {
            biased;
            Some(other) = other => Err(ConfigError::of(Key::OwnTrustDomain, own, format!(
                "the own SVID is to be of `{}`, and is `{other}`; write `{}`, or have this workload registered there",
                own.value, other.trust_domain()
            ))),
            connected = builder.connect() => connected.map_err(failed),
        }
    }

    /// Whom of those that `source` trusts to let in; none where that is everybody whom it trusts
    /// (policy `any`), which logs a warning.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the policy contradicts itself, lets in nobody whom the source can trust,
    /// or needs the own trust domain while the source has no SVID and `spire.trust_domain` is not set.
    pub fn admission(&self, source: &Source) -> Result<Option<Admission>, ConfigError> {
        self.check_code()?;
        let own = match (source.snapshot().svid(), &self.own) {
            (Some(svid), _) => Some(svid.spiffe_id().trust_domain().clone()),
            (None, configured) => configured.as_ref().map(|given| given.value.clone()),
        };
        self.check_peers(own.as_ref())?;
        let admission = match (self.peer_policy(), &self.allowed) {
            (PeerPolicy::Any, _) => {
                tracing::warn!(target: "spiffe_acceptor", "policy `any`: every workload of every trusted domain gets a connection");
                return Ok(None);
            }
            (PeerPolicy::SpecificId | PeerPolicy::OneOf, Some(allowed)) => {
                Admission::ids(allowed.value.iter().map(|id| id.as_str()))
            }
            _ => {
                let domain = self
                    .peer_trust_domain
                    .as_ref()
                    .map(|given| given.value.clone());
                let domain = domain.or(own).ok_or_else(|| ConfigError::new(
                    Key::PeerTrustDomain,
                    None,
                    "the default is the own trust domain, and the source has no SVID at the moment; write it out",
                ))?;
                Admission::trust_domains([domain.as_str()])
            }
        };
        admission
            .map(Some)
            .map_err(|error| ConfigError::caused(Some(Key::Policy), None, error))
    }

    /// An acceptor that lets in whom [`admission`](Self::admission) lets in.
    ///
    /// # Errors
    ///
    /// As [`admission`](Self::admission).
    pub fn acceptor(&self, source: &Source) -> Result<AcceptorBuilder, ConfigError> {
        let builder = Acceptor::builder(source.clone());
        Ok(match self.admission(source)? {
            Some(admission) => builder.admit(admission),
            None => builder,
        })
    }

    /// Listens on `http.address`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the address cannot be had, or as [`acceptor`](Self::acceptor).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn listen(&self, source: &Source) -> Result<Listener, ConfigError> {
        let acceptor = self.acceptor(source)?;
        let address = self
            .address
            .as_ref()
            .map_or(Address::DEFAULT, |given| given.value);
        let origin = self.address.as_ref().map(|given| given.origin.clone());
        let tcp = bind(address).await.map_err(|error| {
            ConfigError::caused(Some(Key::Address), origin, CannotListen { address, error })
        })?;
        acceptor
            .listen(tcp)
            .map_err(|error| ConfigError::caused(None, None, error))
    }

    /// Serves an application with `http.timeout`; see [`serve`](crate::serve).
    pub fn serve<S>(&self, listener: Listener, app: S) -> Serve<S> {
        serve(listener, app).header_timeout(self.header_timeout())
    }

    /// `http.timeout`, for other servers than [`serve`](Self::serve).
    #[must_use]
    pub fn header_timeout(&self) -> Duration {
        self.timeout.as_ref().map_or(TIMEOUT, |given| given.value)
    }

    /// The listener for probes, where `http.probes_address` is set.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the address cannot be had, or code has given a value that makes no sense.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn probes(&self) -> Result<Option<Probes>, ConfigError> {
        self.check_code()?;
        let Some(given) = &self.probes_address else {
            return Ok(None);
        };
        let origin = Some(given.origin.clone());
        Probes::bind(given.value)
            .await
            .map(Some)
            .map_err(|error| ConfigError::caused(Some(Key::ProbesAddress), origin, error))
    }
}

async fn bind(address: Address) -> io::Result<TcpListener> {
    match address {
        Address::One(address) => TcpListener::bind(address).await,
        Address::Every(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6 has every address of IPv4. A port that is taken is taken.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            bound => bound,
        },
    }
}

#[derive(Debug)]
struct CannotListen {
    address: Address,
    error: io::Error,
}

impl fmt::Display for CannotListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on `{}`: {}", self.address, self.error)?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("; write another port, or end what listens there")
            }
            io::ErrorKind::PermissionDenied => f.write_str("; write a port from 1024 on"),
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "; write an address of this machine, or `:` and the port for all of them",
            ),
            _ => Ok(()),
        }
    }
}

impl Error for CannotListen {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
