use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::location;
use crate::error::Place;

/// The file. Each value that can be wrong knows where it stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declaration {
    pub(super) directory: Option<String>,
    pub(super) trust_domains: Vec<TrustDomainSection>,
    pub(super) listeners: Spanned<Vec<ListenerSection>>,
    #[serde(default)]
    pub(super) entries: Vec<Spanned<EntrySection>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustDomainSection {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) federates_with: Vec<Spanned<String>>,
    pub(super) authority_ttl: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenerSection {
    pub(super) name: Spanned<String>,
    pub(super) unix: Option<Spanned<String>>,
    pub(super) tcp: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntrySection {
    pub(super) id: Spanned<String>,
    #[serde(default)]
    pub(super) on: Vec<Spanned<String>>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) executable: Option<Spanned<String>>,
    pub(super) ttl: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) dns: Vec<Spanned<String>>,
    pub(super) hint: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) over_tcp: bool,
}

impl Declaration {
    /// Where the declaration says what a check complains of.
    pub(super) fn location(&self, place: Place) -> Location {
        self.find(place).unwrap_or(Location::UNKNOWN)
    }

    fn find(&self, place: Place) -> Option<Location> {
        let trust_domain = |index: usize| self.trust_domains.get(index);
        let listener = |index: usize| self.listeners.value.get(index);
        let entry = |index: usize| self.entries.get(index).map(|entry| &entry.value);
        match place {
            Place::Whole => Some(location(&self.listeners)),
            Place::TrustDomain(index) => trust_domain(index).map(|section| location(&section.name)),
            Place::FederatesWith(index, position) => trust_domain(index)?
                .federates_with
                .get(position)
                .map(location),
            Place::AuthorityTtl(index) => trust_domain(index)?.authority_ttl.as_ref().map(location),
            Place::Listener(index) => listener(index).map(|section| location(&section.name)),
            Place::ListenerAddress(index) => {
                let section = listener(index)?;
                section.unix.as_ref().or(section.tcp.as_ref()).map(location)
            }
            Place::EntryId(index) => entry(index).map(|section| location(&section.id)),
            Place::EntryListener(index, position) => entry(index)?.on.get(position).map(location),
            Place::EntryTtl(index) => entry(index)?.ttl.as_ref().map(location),
            Place::EntryDns(index, position) => entry(index)?.dns.get(position).map(location),
            Place::EntryHint(index) => entry(index)?.hint.as_ref().map(location),
            Place::EntryExecutable(index) => entry(index)?.executable.as_ref().map(location),
            Place::Entry(index) => self.entries.get(index).map(location),
        }
    }
}
