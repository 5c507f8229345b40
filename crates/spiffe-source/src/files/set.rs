//! The files of a source, read as one set.

use std::mem::take;
use std::path::{Path, PathBuf};

use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};
use spiffe_peer::TrustDomain;
use spiffe_verify::JwtBundle;
use zeroize::Zeroizing;

use super::KeyPermissions;
use super::pem::{self, Fault};
use crate::bounded_file;
use crate::material::{Material, SvidMaterial};

const MAX_CHAIN: u64 = 1 << 20;
const MAX_KEY: u64 = 64 << 10;
const MAX_BUNDLE: u64 = 16 << 20;
const MAX_JWKS: u64 = 1 << 20;

/// The permission bits that let everybody read or write.
const OTHERS: u32 = 0o006;

/// Which files make up the set.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
    pub(super) bundle: PathBuf,
    pub(super) foreign: Vec<(TrustDomain, PathBuf)>,
    pub(super) jwt: Vec<(TrustDomain, PathBuf)>,
    pub(super) key_permissions: KeyPermissions,
}

/// What the files hold, each by itself, or why that cannot be had.
pub(super) struct Set {
    chain: Held,
    key: Held,
    bundle: Held,
    foreign: Vec<Held>,
    jwt: Vec<Held>,
    warning: Option<String>,
}

type Held = Result<Zeroizing<Vec<u8>>, String>;
type Parser = fn(&[u8]) -> Result<Zeroizing<Vec<u8>>, Fault>;

/// By what a set is known again, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    files: Vec<Result<[u8; 32], String>>,
    warning: Option<String>,
}

/// A set in the form that a sink takes.
pub(super) struct Brought {
    pub(super) material: Material,
    pub(super) jwt_bundles: Vec<(TrustDomain, Vec<u8>)>,
    pub(super) jwt_problem: Option<String>,
    pub(super) lacks: Lacks,
    /// A key that everybody can read, where that is allowed.
    pub(super) warning: Option<String>,
}

/// What of a set could not be read: the first such file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lacks {
    Nothing,
    /// Of the own part, this.
    Own(String),
    /// All of it.
    Everything(String),
}

impl Layout {
    /// Reads all files. Blocks for as long as the disks take.
    pub(super) fn read(&self) -> Set {
        let bundle = |(_, path): &(TrustDomain, PathBuf)| read(path, MAX_BUNDLE);
        let jwks = |(_, path): &(TrustDomain, PathBuf)| read(path, MAX_JWKS);
        let (key, warning) = self.read_key();
        Set {
            chain: read(&self.chain, MAX_CHAIN),
            key,
            bundle: read(&self.bundle, MAX_BUNDLE),
            foreign: self.foreign.iter().map(bundle).collect(),
            jwt: self.jwt.iter().map(jwks).collect(),
            warning,
        }
    }

    fn read_key(&self) -> (Held, Option<String>) {
        let contents = match bounded_file::read(&self.key, MAX_KEY) {
            Ok(contents) => contents,
            Err(problem) => return (Err(problem), None),
        };
        let key = Zeroizing::new(contents.bytes);
        if contents.mode & OTHERS == 0 || self.key_permissions == KeyPermissions::Ignore {
            return (Ok(key), None);
        }
        let exposed = format!(
            "{} can be read or written by everybody (mode {:04o}): the key is no secret",
            self.key.display(),
            contents.mode
        );
        match self.key_permissions {
            KeyPermissions::Warn => (Ok(key), Some(exposed)),
            _ => (
                Err(format!(
                    "{exposed}; give it mode 0440 or 0400, which for a Kubernetes volume is its \
                     `defaultMode`, or choose other `key_permissions`"
                )),
                None,
            ),
        }
    }

    /// Turns what was read into material. A part that cannot be used is left out, with the reason.
    pub(super) fn bring(&self, set: Set) -> Brought {
        let lacks = set.lacks();
        let svid = self.own(&set);
        let mut material = Material::new(svid);
        for ((domain, path), held) in self.foreign.iter().zip(&set.foreign) {
            match parse(path, held, pem::certificates) {
                Ok(mut der) => material = material.foreign_bundle(domain, take(&mut *der)),
                Err(problem) => material
                    .problems
                    .push(format!("bundle of {domain}: {problem}")),
            }
        }
        let mut jwt_bundles = Vec::with_capacity(self.jwt.len());
        let mut jwt_problem = None;
        for ((domain, path), held) in self.jwt.iter().zip(&set.jwt) {
            let problem = match held {
                Ok(jwks) => {
                    jwt_bundles.push((domain.clone(), jwks.to_vec()));
                    JwtBundle::parse(domain.clone(), jwks)
                        .err()
                        .map(|error| format!("{}: {error}", path.display()))
                }
                Err(problem) => Some(problem.clone()),
            };
            jwt_problem = jwt_problem
                .or_else(|| problem.map(|problem| format!("JWT bundle of {domain}: {problem}")));
        }
        Brought {
            material,
            jwt_bundles,
            jwt_problem,
            lacks,
            warning: set.warning,
        }
    }

    fn own(&self, set: &Set) -> SvidMaterial {
        let chain = parse(&self.chain, &set.chain, pem::certificates);
        let key = parse(&self.key, &set.key, pem::key);
        let bundle = parse(&self.bundle, &set.bundle, pem::certificates);
        let problems = [
            chain.as_ref().err(),
            key.as_ref().err(),
            bundle.as_ref().err(),
        ];
        let problem = problems.into_iter().flatten().next().cloned();
        let der =
            |part: Held| Bytes::from(part.map_or_else(|_| Vec::new(), |mut der| take(&mut *der)));
        SvidMaterial {
            claimed_id: None,
            chain: der(chain),
            key: key.unwrap_or_default(),
            bundle: der(bundle),
            hint: None,
            problem,
        }
    }
}

impl Set {
    pub(super) fn seen(&self) -> Seen {
        let digest = |held: &Held| match held {
            Ok(bytes) => Ok(Sha256::digest(bytes.as_slice()).into()),
            Err(problem) => Err(problem.clone()),
        };
        Seen {
            files: self.all().map(digest).collect(),
            warning: self.warning.clone(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        self.own().into_iter().chain(&self.foreign).chain(&self.jwt)
    }

    fn own(&self) -> [&Held; 3] {
        [&self.chain, &self.key, &self.bundle]
    }

    fn lacks(&self) -> Lacks {
        let own = self.own().into_iter().find_map(|held| held.as_ref().err());
        match own {
            None => Lacks::Nothing,
            Some(problem) if self.all().all(Result::is_err) => Lacks::Everything(problem.clone()),
            Some(problem) => Lacks::Own(problem.clone()),
        }
    }
}

fn read(path: &Path, limit: u64) -> Held {
    bounded_file::read(path, limit).map(|contents| Zeroizing::new(contents.bytes))
}

fn parse(path: &Path, held: &Held, parser: Parser) -> Held {
    let bytes = held.as_ref().map_err(Clone::clone)?;
    parser(bytes).map_err(|fault| format!("{}: {fault}", path.display()))
}
