//! The authorities that the cases share: two trust domains that are trusted, and one that is not.

use std::time::{Duration, SystemTime};

use crate::case::{Bundles, Presented};
use crate::certificate::Template;
use crate::der;
use crate::extension as ext;
use crate::key::{Key, KeyKind, Scheme};

/// The trust domain of most cases.
pub const DOMAIN: &str = "example.org";
/// A second trust domain, trusted as well.
pub const PARTNER: &str = "partner.test";
/// A trust domain without a bundle.
pub const STRANGER: &str = "stranger.test";
/// The ID of most leaves.
pub const ID: &str = "spiffe://example.org/service/orders";
/// An hour.
pub const HOUR: Duration = Duration::from_secs(3600);
/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// A name, a key and a certificate that may sign others.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its subject.
    pub name: Vec<u8>,
    /// Its key.
    pub key: Key,
    /// Its certificate.
    pub der: Vec<u8>,
}

impl Authority {
    /// A root of its own making.
    #[must_use]
    pub fn root(template: &Template, key: &Key) -> Self {
        let name = template.subject.clone();
        Self {
            der: template.sign(&name, key, Scheme::Usual),
            key: key.clone(),
            name,
        }
    }

    /// Signs a certificate.
    #[must_use]
    pub fn signs(&self, template: &Template) -> Vec<u8> {
        template.sign(&self.name, &self.key, Scheme::Usual)
    }

    /// Signs the certificate of an authority below.
    #[must_use]
    pub fn appoints(&self, template: &Template, key: &Key) -> Self {
        Self {
            name: template.subject.clone(),
            key: key.clone(),
            der: self.signs(template),
        }
    }
}

/// A root and an intermediate below it.
#[derive(Debug, Clone)]
pub struct Domain {
    /// What the bundle holds.
    pub root: Authority,
    /// Who signs the leaves.
    pub intermediate: Authority,
}

/// All that the cases of one kind of key are made of.
#[derive(Debug, Clone)]
pub struct World {
    /// The moment at which the cases are judged.
    pub now: SystemTime,
    /// The kind of the keys.
    pub kind: KeyKind,
    /// The key of the leaves.
    pub leaf_key: Key,
    /// [`DOMAIN`]
    pub own: Domain,
    /// [`PARTNER`]
    pub partner: Domain,
    /// [`STRANGER`]
    pub stranger: Domain,
}

impl World {
    /// Fresh authorities.
    #[must_use]
    pub fn new(kind: KeyKind, now: SystemTime) -> Self {
        let now = der::whole_seconds(now);
        let domain = |name: &str, place: usize| {
            let key = Key::shared(kind, place);
            let template = authority(der::name(name, "root"), &key, now).with(ext::authority(None));
            let root = Authority::root(&template, &key);
            let key = Key::shared(kind, place + 1);
            let template = authority(der::name(name, "intermediate"), &key, now);
            Domain {
                intermediate: root.appoints(&template, &key),
                root,
            }
        };
        Self {
            now,
            kind,
            leaf_key: Key::shared(kind, 0),
            own: domain(DOMAIN, 1),
            partner: domain(PARTNER, 3),
            stranger: domain(STRANGER, 5),
        }
    }

    /// The bundles of the trusted domains.
    #[must_use]
    pub fn bundles(&self) -> Bundles {
        [
            (DOMAIN.to_owned(), vec![self.own.root.der.clone()]),
            (PARTNER.to_owned(), vec![self.partner.root.der.clone()]),
        ]
        .into()
    }

    /// A key of the kind of this world.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::generate(self.kind)
    }

    /// The leaf of a workload as it should be.
    #[must_use]
    pub fn leaf(&self, id: impl AsRef<[u8]>) -> Template {
        self.leaf_of(id, &self.leaf_key)
    }

    /// The same with another key.
    #[must_use]
    pub fn leaf_of(&self, id: impl AsRef<[u8]>, key: &Key) -> Template {
        Template::new(der::name("workloads", "orders"), key, self.now)
            .with(ext::no_authority())
            .with(ext::key_usage(ext::DIGITAL_SIGNATURE))
            .with(ext::extended_key_usage(&[
                ext::SERVER_AUTH,
                ext::CLIENT_AUTH,
            ]))
            .with(ext::san([ext::uri(id)]))
    }

    /// The certificate of an authority as it should be.
    #[must_use]
    pub fn authority(&self, common_name: &str, key: &Key) -> Template {
        authority(der::name(DOMAIN, common_name), key, self.now)
    }

    /// Any number of intermediates below a root, the one that signs leaves last.
    #[must_use]
    pub fn line(&self, root: &Authority, count: usize) -> Vec<Authority> {
        let mut line: Vec<Authority> = Vec::new();
        for number in 0..count {
            let key = self.key();
            let template = self.authority(&format!("intermediate {number}"), &key);
            line.push(line.last().unwrap_or(root).appoints(&template, &key));
        }
        line
    }

    /// A leaf under the intermediate, shown as it should be.
    #[must_use]
    pub fn shown(&self, leaf: &Template) -> Presented {
        self.show(vec![
            self.own.intermediate.signs(leaf),
            self.own.intermediate.der.clone(),
        ])
    }

    /// A leaf under a line of intermediates, shown as it should be.
    #[must_use]
    pub fn shown_under(&self, root: &Authority, line: &[Authority], leaf: &Template) -> Presented {
        let signer = line.last().unwrap_or(root);
        let issuers = line.iter().rev().map(|issuer| issuer.der.clone());
        self.show([signer.signs(leaf)].into_iter().chain(issuers).collect())
    }

    /// Any chain, with the key of the leaves.
    #[must_use]
    pub fn show(&self, chain: Vec<Vec<u8>>) -> Presented {
        Presented {
            chain,
            key: self.leaf_key.clone(),
            bundles: self.bundles(),
        }
    }
}

fn authority(name: Vec<u8>, key: &Key, now: SystemTime) -> Template {
    Template::new(name, key, now)
        .valid(now - DAY, now + DAY)
        .with(ext::authority(None))
        .with(ext::key_usage(ext::KEY_CERT_SIGN | ext::CRL_SIGN))
}

/// The ID of [`bystander`].
pub const BYSTANDER: &str = "spiffe://verifier.test/service/verifier";

/// An identity of a domain that no case is about, alone in its bundle: for the end that verifies.
#[must_use]
pub fn bystander(now: SystemTime) -> Presented {
    let world = World::new(KeyKind::P256, now);
    let key = world.key();
    let root = Authority::root(&world.authority("verifier", &key), &key);
    let leaf = root.signs(&world.leaf(BYSTANDER));
    let presented = world.show(vec![leaf]);
    presented.trusting([("verifier.test", vec![root.der.as_slice()])])
}
