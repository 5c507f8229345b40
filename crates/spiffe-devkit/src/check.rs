//! Says what makes no sense in the declaration of an agent, and what to write instead.

use std::collections::BTreeSet;
use std::time::Duration;

use rustls::pki_types::DnsName;
use spiffe_peer::{TrustDomain, parse};

use crate::builder::{Address, AgentBuilder, ListenerSpec};
use crate::directory::{fits_into_a_uri, odd_path};
use crate::entry::{Entry, MAX_TTL, MIN_TTL};
use crate::error::{Defect, Place};

const MAX_NAME_BYTES: usize = 32;
const MAX_HINT_BYTES: usize = 1024;
const MAX_AUTHORITY_TTL: Duration = Duration::from_secs(10 * 365 * 86_400);

impl AgentBuilder {
    pub(crate) fn check(&self) -> Result<(), Defect> {
        if self.listeners.is_empty() {
            return Err(Defect::new(
                Place::Whole,
                "no listener is declared; declare one, so that somebody can ask",
            ));
        }
        self.check_trust_domains()?;
        self.check_listeners()?;
        for (index, entry) in self.entries.iter().enumerate() {
            self.check_entry(index, entry)?;
            self.check_where_entry_holds(index, entry)?;
        }
        Ok(())
    }

    fn check_trust_domains(&self) -> Result<(), Defect> {
        let mut seen = BTreeSet::new();
        for (index, spec) in self.trust_domains.iter().enumerate() {
            if !seen.insert(&spec.name) {
                let message = format!("the trust domain `{}` is declared twice", spec.name);
                return Err(Defect::new(Place::TrustDomain(index), message));
            }
            if !(MIN_TTL..=MAX_AUTHORITY_TTL).contains(&spec.authority_ttl) {
                let message = "an authority lives from 1 second to 10 years";
                return Err(Defect::new(Place::AuthorityTtl(index), message));
            }
            for (position, text) in spec.federates_with.iter().enumerate() {
                let place = Place::FederatesWith(index, position);
                let other = parse::trust_domain(text)
                    .map_err(|error| Defect::new(place, error.to_string()))?;
                if other == spec.name {
                    return Err(Defect::new(
                        place,
                        format!("`{text}` cannot federate with itself"),
                    ));
                }
                if !self.declares(&other) {
                    return Err(Defect::new(place, self.undeclared_trust_domain(&other)));
                }
            }
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), Defect> {
        let mut seen = BTreeSet::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let name = listener.name.as_str();
            let place = Place::Listener(index);
            let is_plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            };
            if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
                let message = format!(
                    "`{}` is no listener name; write up to 32 of a-z, 0-9, `-` and `_`",
                    name.escape_debug()
                );
                return Err(Defect::new(place, message));
            }
            if name == "control" {
                return Err(Defect::new(
                    place,
                    "`control` is the agent's own socket; choose another name",
                ));
            }
            if !seen.insert(name) {
                return Err(Defect::new(
                    place,
                    format!("the listener `{name}` is declared twice"),
                ));
            }
            let place = Place::ListenerAddress(index);
            match &listener.address {
                Address::Tcp(address) if !address.ip().is_loopback() => {
                    let message = format!(
                        "`{address}` is no loopback address, and TCP tells nothing of a caller; write `127.0.0.1:{}`",
                        address.port()
                    );
                    return Err(Defect::new(place, message));
                }
                Address::Unix(path) if !fits_into_a_uri(path) => {
                    return Err(Defect::new(place, odd_path(path)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_entry(&self, index: usize, entry: &Entry) -> Result<(), Defect> {
        let trust_domain = entry.spiffe_id.trust_domain();
        if !self.declares(trust_domain) {
            return Err(Defect::new(
                Place::EntryId(index),
                self.undeclared_trust_domain(trust_domain),
            ));
        }
        if !(MIN_TTL..=MAX_TTL).contains(&entry.ttl) {
            return Err(Defect::new(
                Place::EntryTtl(index),
                "an SVID lives from 1 second to 24 hours; write `1h`",
            ));
        }
        for (position, name) in entry.dns_names.iter().enumerate() {
            if DnsName::try_from(name.as_str()).is_err() {
                let message = format!("`{}` is no DNS name", name.escape_debug());
                return Err(Defect::new(Place::EntryDns(index, position), message));
            }
        }
        if entry
            .executable
            .as_ref()
            .is_some_and(|path| !path.is_absolute())
        {
            let message =
                "an executable is named by its absolute path, which the system tells of a caller";
            return Err(Defect::new(Place::EntryExecutable(index), message));
        }
        if entry.hint.len() > MAX_HINT_BYTES {
            return Err(Defect::new(
                Place::EntryHint(index),
                "a hint has at most 1024 bytes",
            ));
        }
        let earlier = self.entries.iter().take(index);
        let twin = earlier
            .filter(|other| !entry.hint.is_empty() && other.hint == entry.hint)
            .find(|other| self.can_go_to_one_caller(entry, other));
        if let Some(twin) = twin {
            let message = format!(
                "the hint `{}` is that of `{}` too, and one caller can get both; choose another",
                entry.hint.escape_debug(),
                twin.spiffe_id
            );
            return Err(Defect::new(Place::EntryHint(index), message));
        }
        Ok(())
    }

    fn check_where_entry_holds(&self, index: usize, entry: &Entry) -> Result<(), Defect> {
        let mut tcp = 0;
        for (position, name) in entry.listeners.iter().enumerate() {
            let place = Place::EntryListener(index, position);
            let Some(listener) = self
                .listeners
                .iter()
                .find(|listener| listener.name == *name)
            else {
                let known: Vec<_> = self
                    .listeners
                    .iter()
                    .map(|listener| format!("`{}`", listener.name))
                    .collect();
                let message = format!(
                    "no listener `{}` is declared; there is {}",
                    name.escape_debug(),
                    known.join(", ")
                );
                return Err(Defect::new(place, message));
            };
            if is_tcp(listener) {
                tcp += 1;
                if !entry.over_tcp {
                    let message = format!(
                        "`{name}` is a TCP listener, where whoever reaches it gets the ID; say `over_tcp` if that is meant"
                    );
                    return Err(Defect::new(place, message));
                }
            }
        }
        if tcp > 0 && tcp == entry.listeners.len() && entry.has_selectors() {
            let message = "TCP tells no uid, gid or executable, so nobody would ever get this ID; leave the selectors out";
            return Err(Defect::new(Place::Entry(index), message));
        }
        Ok(())
    }

    fn can_go_to_one_caller(&self, one: &Entry, other: &Entry) -> bool {
        let both_hold_on = |listener: &ListenerSpec| {
            let (name, is_tcp) = (listener.name.as_str(), is_tcp(listener));
            one.holds_on(name, is_tcp) && other.holds_on(name, is_tcp)
        };
        one.describes_one_with(other) && self.listeners.iter().any(both_hold_on)
    }

    fn declares(&self, trust_domain: &TrustDomain) -> bool {
        self.trust_domains
            .iter()
            .any(|spec| spec.name == *trust_domain)
    }

    fn undeclared_trust_domain(&self, trust_domain: &TrustDomain) -> String {
        let known: Vec<_> = self
            .trust_domains
            .iter()
            .map(|spec| format!("`{}`", spec.name))
            .collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        format!(
            "the trust domain `{trust_domain}` is not declared; declare it, or use one that is: {known}"
        )
    }
}

fn is_tcp(listener: &ListenerSpec) -> bool {
    matches!(listener.address, Address::Tcp(_))
}
