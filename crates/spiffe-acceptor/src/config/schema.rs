use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::Spanned;

use super::key::Key;

/// What is there, key by key.
type Values<T> = Vec<(Key, Spanned<T>)>;

type Text = Option<Spanned<String>>;
type Texts = Option<Spanned<OneOrMore>>;

/// The file. Each value knows where it stands. A section may be empty, since its lines may all be
/// commented out; a key without a value is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Document {
    http: Option<Http>,
    spire: Option<Spire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    #[serde(deserialize_with = "present")]
    address: Text,
    #[serde(deserialize_with = "present")]
    timeout: Text,
    #[serde(deserialize_with = "present")]
    probes_address: Text,
    authentication: Option<Authentication>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Authentication {
    #[serde(deserialize_with = "present")]
    policy: Text,
    #[serde(deserialize_with = "present")]
    allowed_id: Texts,
    #[serde(deserialize_with = "present")]
    trust_domain: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spire {
    #[serde(deserialize_with = "present")]
    socket_path: Text,
    #[serde(deserialize_with = "present")]
    files: Text,
    #[serde(deserialize_with = "present")]
    trust_domain: Text,
    #[serde(deserialize_with = "present")]
    trusted_domains: Texts,
}

impl Document {
    /// What is there: values that are one text, and values that may be a list.
    pub(super) fn into_values(self) -> (Values<String>, Values<OneOrMore>) {
        let http = self.http.unwrap_or_default();
        let spire = self.spire.unwrap_or_default();
        let peers = http.authentication.unwrap_or_default();
        let texts = [
            (Key::Address, http.address),
            (Key::Timeout, http.timeout),
            (Key::ProbesAddress, http.probes_address),
            (Key::Policy, peers.policy),
            (Key::PeerTrustDomain, peers.trust_domain),
            (Key::SocketPath, spire.socket_path),
            (Key::Files, spire.files),
            (Key::OwnTrustDomain, spire.trust_domain),
        ];
        let lists = [
            (Key::AllowedId, peers.allowed_id),
            (Key::TrustedDomains, spire.trusted_domains),
        ];
        (there(texts), there(lists))
    }
}

fn there<T>(all: impl IntoIterator<Item = (Key, Option<T>)>) -> Vec<(Key, T)> {
    all.into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

/// A key that is there has a value: an `Option` alone would take nothing for an absent key.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A text, or a list of texts. In a list each knows where it stands.
#[derive(Debug)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore, E> {
        Ok(OneOrMore::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(OneOrMore::More(texts))
    }
}
