//! What a case is.

use std::collections::BTreeMap;
use std::time::SystemTime;

use spiffe_verify::X509Fault;

use crate::key::{Key, KeyKind};

/// The authorities of each trust domain, DER.
pub type Bundles = BTreeMap<String, Vec<Vec<u8>>>;

/// What a peer shows, and what the other end trusts.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The key with which it signs the handshake.
    pub key: Key,
    /// What is trusted.
    pub bundles: Bundles,
}

impl Presented {
    /// The same under other bundles.
    #[must_use]
    pub fn trusting<'a>(
        mut self,
        bundles: impl IntoIterator<Item = (&'a str, Vec<&'a [u8]>)>,
    ) -> Self {
        self.bundles = bundles
            .into_iter()
            .map(|(domain, roots)| {
                (
                    domain.to_owned(),
                    roots.into_iter().map(<[u8]>::to_vec).collect(),
                )
            })
            .collect();
        self
    }

    /// The same with another key in the peer's hand.
    #[must_use]
    pub fn holding(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }
}

/// The end of the connection that shows the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A client shows it to a server.
    Client,
    /// A server shows it to a client.
    Server,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this identity.
    Accepted(String),
    /// The chain breaks this rule.
    Refused(X509Fault),
    /// Nothing is wrong with the chain that a verifier of chains has to see; the handshake itself
    /// fails, since the key cannot be used or is not the leaf's.
    HandshakeFails,
}

impl Verdict {
    /// Whether it is a refusal.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        !matches!(self, Self::Accepted(_))
    }

    /// A label for why it is refused, if it is.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) => None,
            Self::Refused(fault) => Some(fault.as_str()),
            Self::HandshakeFails => Some("handshake"),
        }
    }
}

/// A chain that one end shows, and the right verdict.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is peculiar to it: `area::name`.
    pub class: String,
    /// Tells cases of one class and key apart.
    pub variant: Option<String>,
    /// The kind of the keys.
    pub kind: KeyKind,
    /// Who shows it.
    pub role: Role,
    /// One sentence.
    pub description: String,
    /// Numbers of the project's conformance list.
    pub conformance: Vec<u8>,
    /// Numbers of the project's list of threats.
    pub threats: Vec<u8>,
    /// When it is judged.
    pub now: SystemTime,
    /// What is shown.
    pub presented: Presented,
    /// What is right.
    pub verdict: Verdict,
}

impl Case {
    /// Names it among all.
    #[must_use]
    pub fn id(&self) -> String {
        let variant = self.variant.iter().map(|variant| format!("{variant}-"));
        let variant: String = variant.collect();
        format!(
            "{}::{variant}{}-{}",
            self.class,
            self.kind.name(),
            self.role.name()
        )
    }
}
