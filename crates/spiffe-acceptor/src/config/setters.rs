use std::path::Path;
use std::time::Duration;

use super::error::ConfigError;
use super::key::{Key, Origin};
use super::layer::{Place, set};
use super::policy::PeerPolicy;
use super::{Config, value};

/// What code says. A value that makes no sense is told by [`Config::validate`], and by whatever would
/// use it.
impl Config {
    /// Where to listen, such as `127.0.0.1:8443`; `:8443` is every address. Key `http.address`.
    pub fn address(self, address: impl AsRef<str>) -> Self {
        self.say(Key::Address, address.as_ref())
    }

    /// How long a client may take for its first request, and for the head of each. Key `http.timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let at = Place {
            key: Key::Timeout,
            origin: &Origin::Code,
        };
        let said = set(&mut self.timeout, value::bounded(timeout), at);
        self.note(said)
    }

    /// Where to answer probes without TLS; `:9090` is the loopback address alone. Key
    /// `http.probes_address`.
    pub fn probes_address(self, address: impl AsRef<str>) -> Self {
        self.say(Key::ProbesAddress, address.as_ref())
    }

    /// Who gets a connection. Key `http.authentication.policy`.
    pub fn policy(mut self, policy: PeerPolicy) -> Self {
        let at = Place {
            key: Key::Policy,
            origin: &Origin::Code,
        };
        let said = set(&mut self.policy, Ok(policy), at);
        self.note(said)
    }

    /// The IDs that get a connection. Key `http.authentication.allowed_id`.
    pub fn allowed_ids<I: IntoIterator<Item: AsRef<str>>>(self, ids: I) -> Self {
        self.say_list(Key::AllowedId, ids)
    }

    /// The trust domain of all who get a connection. Key `http.authentication.trust_domain`.
    pub fn peer_trust_domain(self, name: impl AsRef<str>) -> Self {
        self.say(Key::PeerTrustDomain, name.as_ref())
    }

    /// Where the agent is, such as `unix:///run/spire/sockets/agent.sock`. Key `spire.socket_path`.
    pub fn socket_path(self, endpoint: impl AsRef<str>) -> Self {
        self.say(Key::SocketPath, endpoint.as_ref())
    }

    /// The directory that stands in for an agent. Key `spire.files`.
    pub fn files(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        let parsed = match directory.to_str() {
            Some(text) => value::directory(text),
            None => Ok(directory.to_owned()),
        };
        let at = Place {
            key: Key::Files,
            origin: &Origin::Code,
        };
        let said = set(&mut self.files, parsed, at);
        self.note(said)
    }

    /// The trust domain of the own SVID. Key `spire.trust_domain`.
    pub fn trust_domain(self, name: impl AsRef<str>) -> Self {
        self.say(Key::OwnTrustDomain, name.as_ref())
    }

    /// The federated trust domains whose workloads are trusted as well. Key `spire.trusted_domains`.
    pub fn trusted_domains<I: IntoIterator<Item: AsRef<str>>>(self, names: I) -> Self {
        self.say_list(Key::TrustedDomains, names)
    }

    fn say(mut self, key: Key, text: &str) -> Self {
        let said = self.put(key, text, Origin::Code);
        self.note(said)
    }

    fn say_list<I: IntoIterator<Item: AsRef<str>>>(mut self, key: Key, texts: I) -> Self {
        let texts: Vec<_> = texts
            .into_iter()
            .map(|text| (text.as_ref().to_owned(), Origin::Code))
            .collect();
        let said = self.put_list(key, &texts, Origin::Code);
        self.note(said)
    }

    fn note(mut self, said: Result<(), ConfigError>) -> Self {
        if let Err(error) = said {
            self.wrong.get_or_insert(error);
        }
        self
    }
}
