//! Whether the values fit together.

use std::path::Path;

use spiffe_peer::{IdPattern, TrustDomain, parse};
use spiffe_source::Endpoint;

use super::error::ConfigError;
use super::key::{Given, Key, Origin};
use super::policy::PeerPolicy;
use super::{Config, value};

/// Where the own SVID comes from.
pub(super) enum Feed<'a> {
    Agent(Endpoint, &'a Origin),
    Files(&'a Path, &'a Origin),
}

impl Config {
    /// Whether the values fit together, as far as that can be told before the own SVID is there.
    /// Whatever uses the configuration asks this itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first contradiction, or for a value that code has given and that makes
    /// no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_code()?;
        self.feed()?;
        self.check_peers(self.own.as_ref().map(|own| &own.value))?;
        self.check_probes()
    }

    pub(super) fn check_code(&self) -> Result<(), ConfigError> {
        self.wrong.clone().map_or(Ok(()), Err)
    }

    pub(super) fn feed(&self) -> Result<Feed<'_>, ConfigError> {
        match (&self.socket, &self.files, &self.platform_socket) {
            (Some(socket), Some(files), _) => Err(ConfigError::of(
                Key::Files,
                files,
                format!(
                    "the SVID comes from files or from an agent, and spire.socket_path ({}) names an agent; leave one out",
                    socket.origin
                ),
            )),
            (Some(socket), None, _) => Ok(Feed::Agent(socket.value.clone(), &socket.origin)),
            (None, Some(files), _) => Ok(Feed::Files(&files.value, &files.origin)),
            (None, None, Some(given)) => match value::endpoint(&given.value) {
                Ok(endpoint) => Ok(Feed::Agent(endpoint, &given.origin)),
                Err(why) => Err(ConfigError::of(Key::SocketPath, given, why)),
            },
            (None, None, None) => Err(ConfigError::new(
                Key::SocketPath,
                None,
                "no agent is named; write its socket, such as `unix:///run/spire/sockets/agent.sock`, here or into SPIFFE_ENDPOINT_SOCKET",
            )),
        }
    }

    pub(super) fn peer_policy(&self) -> PeerPolicy {
        self.policy
            .as_ref()
            .map_or_else(PeerPolicy::default, |policy| policy.value)
    }

    /// `own` is the own trust domain, where it is known.
    pub(super) fn check_peers(&self, own: Option<&TrustDomain>) -> Result<(), ConfigError> {
        match (self.peer_policy(), &self.allowed, &self.peer_trust_domain) {
            (PeerPolicy::TrustDomain | PeerPolicy::Any, Some(allowed), _) => {
                return Err(self.unread(
                    Key::AllowedId,
                    allowed,
                    "write `one-of` there, or leave this out",
                ));
            }
            (PeerPolicy::Any, None, Some(domain)) => {
                return Err(self.unread(
                    Key::PeerTrustDomain,
                    domain,
                    "write `trust-domain` there, or leave this out",
                ));
            }
            (policy @ (PeerPolicy::SpecificId | PeerPolicy::OneOf), None, _) => {
                return Err(ConfigError::new(
                    Key::AllowedId,
                    None,
                    format!(
                        "the policy is `{policy}`{}, and nobody is named; write an ID, such as `spiffe://example.org/service/orders`",
                        self.policy_origin()
                    ),
                ));
            }
            (PeerPolicy::SpecificId, Some(allowed), _) => only_one(allowed)?,
            (PeerPolicy::TrustDomain | PeerPolicy::Any, None, _)
            | (PeerPolicy::OneOf, Some(_), _) => {}
        }
        if let (Some(allowed), Some(domain)) = (&self.allowed, &self.peer_trust_domain) {
            for id in &allowed.value {
                if id.trust_domain_name() != domain.value.as_str() {
                    let why = format!(
                        "`{}` is not of `{}`, which http.authentication.trust_domain ({}) demands, and would never get in; change one of them",
                        value::shown(id.as_str()),
                        domain.value,
                        domain.origin
                    );
                    return Err(ConfigError::of(Key::AllowedId, allowed, why));
                }
            }
        }
        match own {
            Some(own) => self.check_reach(own),
            None => Ok(()),
        }
    }

    /// Who is named but not trusted would never get in.
    fn check_reach(&self, own: &TrustDomain) -> Result<(), ConfigError> {
        let is_trusted = |domain: &str| {
            let federated = self.trusted.iter().flat_map(|given| &given.value);
            federated.chain([own]).any(|known| known.as_str() == domain)
        };
        let untrusted = |domain: &str| {
            format!(
                "nobody of `{domain}` is trusted, for the own trust domain is `{own}`; add it to spire.trusted_domains, or name another"
            )
        };
        if let Some(given) = &self.peer_trust_domain
            && !is_trusted(given.value.as_str())
        {
            return Err(ConfigError::of(
                Key::PeerTrustDomain,
                given,
                untrusted(given.value.as_str()),
            ));
        }
        if let Some(allowed) = &self.allowed
            && let Some(id) = allowed
                .value
                .iter()
                .find(|id| !is_trusted(id.trust_domain_name()))
        {
            return Err(ConfigError::of(
                Key::AllowedId,
                allowed,
                untrusted(id.trust_domain_name()),
            ));
        }
        Ok(())
    }

    fn check_probes(&self) -> Result<(), ConfigError> {
        let address = self
            .address
            .as_ref()
            .map_or(super::Address::DEFAULT, |given| given.value);
        match &self.probes_address {
            Some(probes) if address.overlaps(probes.value) => Err(ConfigError::of(
                Key::ProbesAddress,
                probes,
                format!(
                    "`{}` is taken by http.address (`{address}`); write another port, such as `:9090`",
                    probes.value
                ),
            )),
            _ => Ok(()),
        }
    }

    fn unread<T>(&self, key: Key, given: &Given<T>, instead: &str) -> ConfigError {
        let why = format!(
            "http.authentication.policy is `{}`{}, which does not look at this; {instead}",
            self.peer_policy(),
            self.policy_origin()
        );
        ConfigError::of(key, given, why)
    }

    fn policy_origin(&self) -> String {
        match &self.policy {
            Some(given) => format!(" ({})", given.origin),
            None => " by default".to_owned(),
        }
    }
}

fn only_one(allowed: &Given<Vec<IdPattern>>) -> Result<(), ConfigError> {
    let why = match allowed.value.as_slice() {
        [id] if parse::workload_id(id.as_str()).is_ok() => return Ok(()),
        [pattern] => format!(
            "`{}` is a pattern, and `specific-id` takes one ID; write the ID out, or the policy `one-of`",
            value::shown(pattern.as_str())
        ),
        several => format!(
            "`specific-id` takes one ID, and here are {}; leave one, or write the policy `one-of`",
            several.len()
        ),
    };
    Err(ConfigError::of(Key::AllowedId, allowed, why))
}
