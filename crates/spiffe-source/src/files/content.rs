//! What the parts of a set say, in the form that a sink takes.

use std::collections::BTreeMap;
use std::mem::take;
use std::path::Path;
use std::sync::Arc;

use prost::bytes::Bytes;
use spiffe_peer::TrustDomain;
use spiffe_verify::{JwtBundle, X509Bundle, split_der};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::pem::{self, Fault};
use super::set::{Held, Layout, Mark, Place, Raw};
use crate::feed::Sink;
use crate::keeper::JwtMaterial;
use crate::material::{Material, SvidMaterial};

type Parser = fn(&[u8]) -> Result<Zeroizing<Vec<u8>>, Fault>;

/// What a part holds, and whether it can be put in force.
#[derive(Clone)]
pub(super) struct Judged {
    pub(super) mark: Mark,
    pub(super) content: Arc<Content>,
    /// Why it cannot.
    pub(super) problem: Option<String>,
    pub(super) at: Instant,
}

pub(super) enum Content {
    Own(SvidMaterial),
    Foreign(TrustDomain, Result<Bytes, String>),
    Jwt(TrustDomain, Result<Vec<u8>, String>),
}

impl Judged {
    /// Parses a part and verifies it. That takes its time.
    pub(super) fn new(mark: Mark, content: Content, sink: &Sink) -> Self {
        Self {
            mark,
            problem: content.problem(sink),
            content: Arc::new(content),
            at: Instant::now(),
        }
    }

    /// What stands for a part that never comes to rest.
    pub(super) fn restless(place: Place<'_>) -> Self {
        let raw = place.restless();
        let mark = raw.mark();
        Self {
            problem: mark.problem().map(str::to_owned),
            mark,
            content: Arc::new(Content::of(place, raw)),
            at: Instant::now(),
        }
    }

    /// Whether an authority of before is not among those of now.
    pub(super) fn loses_an_authority_of(&self, before: &Self) -> bool {
        let now = split_der(self.content.authorities()).unwrap_or_default();
        let before = split_der(before.content.authorities()).unwrap_or_default();
        before.iter().any(|authority| !now.contains(authority))
    }
}

impl Content {
    /// Turns what was read into material. What cannot be used is left out, with the reason.
    pub(super) fn of(place: Place<'_>, raw: Raw) -> Self {
        let mut files = raw.0.into_iter();
        let mut next = || {
            files
                .next()
                .unwrap_or_else(|| Err("it was not read".to_owned()))
        };
        match place {
            Place::Own(layout) => Self::Own(own(layout, &next(), &next(), &next())),
            Place::Foreign(domain, path) => {
                let der = parse(path, &next(), pem::certificates);
                Self::Foreign(domain.clone(), der.map(|mut der| take(&mut *der).into()))
            }
            Place::Jwt(domain, _) => {
                let jwks = next();
                Self::Jwt(domain.clone(), jwks.map(|mut jwks| take(&mut *jwks)))
            }
        }
    }

    /// Why this cannot be put in force now. For the own part that can change by the clock alone.
    pub(super) fn problem(&self, sink: &Sink) -> Option<String> {
        match self {
            Self::Own(svid) => sink.problem_with(&Material::new(svid.clone())),
            Self::Foreign(_, Err(problem)) | Self::Jwt(_, Err(problem)) => Some(problem.clone()),
            Self::Foreign(domain, Ok(der)) => X509Bundle::from_der(domain.clone(), der)
                .err()
                .map(|error| error.to_string()),
            Self::Jwt(domain, Ok(jwks)) => JwtBundle::parse(domain.clone(), jwks)
                .err()
                .map(|error| error.to_string()),
        }
    }

    /// The authorities' certificates, one after the other.
    fn authorities(&self) -> &[u8] {
        match self {
            Self::Own(svid) => &svid.bundle,
            Self::Foreign(_, Ok(der)) => der,
            Self::Foreign(_, Err(_)) | Self::Jwt(..) => &[],
        }
    }
}

/// The full sets that the parts make up.
pub(super) fn gather<'c>(
    contents: impl IntoIterator<Item = &'c Content>,
) -> (Material, JwtMaterial) {
    let mut material = Material::default();
    let mut jwt = JwtMaterial {
        bundles: BTreeMap::new(),
        problem: None,
    };
    for content in contents {
        match content {
            Content::Own(svid) => material.svids.push(svid.clone()),
            Content::Foreign(domain, Ok(der)) => {
                material.foreign.insert(domain.id_string(), der.clone());
            }
            Content::Foreign(domain, Err(problem)) => material
                .problems
                .push(format!("bundle of {domain}: {problem}")),
            Content::Jwt(domain, Ok(jwks)) => {
                jwt.bundles.insert(domain.clone(), jwks.clone());
            }
            Content::Jwt(domain, Err(problem)) => {
                jwt.problem
                    .get_or_insert_with(|| format!("JWT bundle of {domain}: {problem}"));
            }
        }
    }
    (material, jwt)
}

fn own(layout: &Layout, chain: &Held, key: &Held, bundle: &Held) -> SvidMaterial {
    let chain = parse(&layout.chain, chain, pem::certificates);
    let key = parse(&layout.key, key, pem::key);
    let bundle = parse(&layout.bundle, bundle, pem::certificates);
    let problems = [
        chain.as_ref().err(),
        key.as_ref().err(),
        bundle.as_ref().err(),
    ];
    let problem = problems.into_iter().flatten().next().cloned();
    let der = |part: Held| Bytes::from(part.map_or_else(|_| Vec::new(), |mut der| take(&mut *der)));
    SvidMaterial {
        claimed_id: None,
        chain: der(chain),
        key: key.unwrap_or_default(),
        bundle: der(bundle),
        hint: None,
        problem,
    }
}

fn parse(path: &Path, held: &Held, parser: Parser) -> Held {
    let bytes = held.as_ref().map_err(Clone::clone)?;
    parser(bytes).map_err(|fault| format!("{}: {fault}", path.display()))
}
