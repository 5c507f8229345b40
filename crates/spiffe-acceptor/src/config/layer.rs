//! How a text becomes a value, and which of two values counts.

use super::error::ConfigError;
use super::key::{Given, Key, Origin};
use super::{Config, value};

impl Config {
    pub(super) fn put(&mut self, key: Key, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let at = Place {
            key,
            origin: &origin,
        };
        match key {
            Key::Address => set(&mut self.address, value::address(text), at),
            Key::Timeout => set(&mut self.timeout, value::timeout(text), at),
            Key::ProbesAddress => set(&mut self.probes_address, value::probes_address(text), at),
            Key::Policy => set(&mut self.policy, value::policy(text), at),
            Key::PeerTrustDomain => set(&mut self.peer_trust_domain, value::trust_domain(text), at),
            Key::SocketPath => set(&mut self.socket, value::endpoint(text), at),
            Key::Files => set(&mut self.files, value::directory(text), at),
            Key::OwnTrustDomain => set(&mut self.own, value::trust_domain(text), at),
            Key::AllowedId | Key::TrustedDomains => {
                self.put_list(key, &[(text.to_owned(), origin.clone())], origin)
            }
        }
    }

    /// Each text has a place of its own, and so has the list.
    pub(super) fn put_list(
        &mut self,
        key: Key,
        texts: &[(String, Origin)],
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let at = Place {
            key,
            origin: &origin,
        };
        if key == Key::AllowedId {
            if texts.is_empty() {
                let why = "nobody is named, and an empty list never means everybody; write an ID, or leave the key out";
                return Err(ConfigError::new(key, Some(origin), why));
            }
            let ids = each(key, texts, value::id)?;
            set(&mut self.allowed, Ok(ids), at)
        } else {
            let domains = each(key, texts, value::trust_domain)?;
            set(&mut self.trusted, Ok(domains), at)
        }
    }
}

/// What is said, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: Key,
    pub(super) origin: &'a Origin,
}

/// Takes a value where nobody of higher rank has given one. A wrong value is an error even so.
pub(super) fn set<T>(
    slot: &mut Option<Given<T>>,
    parsed: Result<T, String>,
    Place { key, origin }: Place<'_>,
) -> Result<(), ConfigError> {
    let value = parsed.map_err(|why| ConfigError::new(key, Some(origin.clone()), why))?;
    if slot
        .as_ref()
        .is_none_or(|given| origin.outranks(&given.origin))
    {
        let origin = origin.clone();
        *slot = Some(Given { value, origin });
    }
    Ok(())
}

fn each<T>(
    key: Key,
    texts: &[(String, Origin)],
    parse: fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    texts
        .iter()
        .map(|(text, origin)| {
            parse(text).map_err(|why| ConfigError::new(key, Some(origin.clone()), why))
        })
        .collect()
}
