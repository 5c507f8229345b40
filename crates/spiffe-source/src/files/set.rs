//! The files of a source, read as one set of parts.

use std::iter::once;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use spiffe_peer::TrustDomain;
use zeroize::Zeroizing;

use super::FilePermissions;
use crate::bounded_file;

const MAX_CHAIN: u64 = 1 << 20;
const MAX_KEY: u64 = 64 << 10;
const MAX_BUNDLE: u64 = 16 << 20;
const MAX_JWKS: u64 = 1 << 20;

/// The permission bits that let everybody read, and those that let everybody write.
const READABLE: u32 = 0o004;
const WRITABLE: u32 = 0o002;

/// Which files make up the set.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
    pub(super) bundle: PathBuf,
    pub(super) foreign: Vec<(TrustDomain, PathBuf)>,
    pub(super) jwt: Vec<(TrustDomain, PathBuf)>,
    pub(super) permissions: FilePermissions,
}

/// A part of the set, which counts by itself.
#[derive(Clone, Copy)]
pub(super) enum Place<'l> {
    Own(&'l Layout),
    Foreign(&'l TrustDomain, &'l Path),
    Jwt(&'l TrustDomain, &'l Path),
}

/// What the parts hold, in the order of [`Layout::places`].
pub(super) struct Set {
    pub(super) parts: Vec<Raw>,
    /// Files whose permissions are doubtful, where that is allowed.
    pub(super) warnings: Vec<String>,
    /// Why no file at all can be read: what is wrong with the first.
    pub(super) unreadable: Option<String>,
}

/// What the files of a part hold, each by itself, or why that cannot be had.
pub(super) struct Raw(pub(super) Vec<Held>);

pub(super) type Held = Result<Zeroizing<Vec<u8>>, String>;

/// By what a part is known again, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark(Vec<Result<[u8; 32], String>>);

impl Layout {
    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let foreign = self.foreign.iter().map(|(d, path)| Place::Foreign(d, path));
        let jwt = self.jwt.iter().map(|(d, path)| Place::Jwt(d, path));
        once(Place::Own(self)).chain(foreign).chain(jwt)
    }

    /// Reads all files. Blocks for as long as the disks take.
    pub(super) fn read(&self) -> Set {
        let mut reading = Reading {
            permissions: self.permissions,
            warnings: Vec::new(),
            first_problem: None,
            has_read: false,
        };
        let parts = self.places().map(|place| reading.part(place)).collect();
        Set {
            parts,
            warnings: reading.warnings,
            unreadable: reading.first_problem.filter(|_| !reading.has_read),
        }
    }
}

impl Place<'_> {
    /// What stands for a part that never comes to rest.
    pub(super) fn restless(self) -> Raw {
        match self {
            Self::Own(layout) => {
                let directory = layout.chain.parent().unwrap_or(&layout.chain).display();
                let problem = format!("the own files in {directory} change all the time");
                Raw(vec![Err(problem); 3])
            }
            Self::Foreign(_, path) | Self::Jwt(_, path) => Raw(vec![Err(format!(
                "{} changes all the time",
                path.display()
            ))]),
        }
    }
}

impl Raw {
    pub(super) fn mark(&self) -> Mark {
        let digest = |held: &Held| match held {
            Ok(bytes) => Ok(Sha256::digest(bytes.as_slice()).into()),
            Err(problem) => Err(problem.clone()),
        };
        Mark(self.0.iter().map(digest).collect())
    }
}

impl Mark {
    /// Why a file could not be read: the first of them.
    pub(super) fn problem(&self) -> Option<&str> {
        let mut files = self.0.iter();
        files.find_map(|file| file.as_ref().err().map(String::as_str))
    }
}

struct Reading {
    permissions: FilePermissions,
    warnings: Vec<String>,
    first_problem: Option<String>,
    has_read: bool,
}

impl Reading {
    fn part(&mut self, place: Place<'_>) -> Raw {
        Raw(match place {
            Place::Own(layout) => vec![
                self.file(&layout.chain, MAX_CHAIN),
                self.key(&layout.key),
                self.file(&layout.bundle, MAX_BUNDLE),
            ],
            Place::Foreign(_, path) => vec![self.file(path, MAX_BUNDLE)],
            Place::Jwt(_, path) => vec![self.file(path, MAX_JWKS)],
        })
    }

    fn key(&mut self, path: &Path) -> Held {
        let contents = self.contents(path, MAX_KEY)?;
        if contents.mode & (READABLE | WRITABLE) == 0 {
            return Ok(contents.bytes);
        }
        let doubt = format!(
            "{} can be read or written by everybody (mode {:04o}): the key is no secret",
            path.display(),
            contents.mode
        );
        let remedy =
            "give it mode 0440 or 0400, which for a Kubernetes volume is its `defaultMode`";
        self.doubtful(contents.bytes, doubt, remedy)
    }

    fn file(&mut self, path: &Path, limit: u64) -> Held {
        let contents = self.contents(path, limit)?;
        if contents.mode & WRITABLE == 0 {
            return Ok(contents.bytes);
        }
        let doubt = format!(
            "{} can be written by everybody (mode {:04o}): it may be anybody's word",
            path.display(),
            contents.mode
        );
        self.doubtful(contents.bytes, doubt, "give it mode 0644 or less")
    }

    fn contents(&mut self, path: &Path, limit: u64) -> Result<bounded_file::Contents, String> {
        let read = bounded_file::read(path, limit);
        match &read {
            Ok(_) => self.has_read = true,
            Err(problem) => {
                self.first_problem.get_or_insert_with(|| problem.clone());
            }
        }
        read
    }

    fn doubtful(&mut self, bytes: Zeroizing<Vec<u8>>, doubt: String, remedy: &str) -> Held {
        match self.permissions {
            FilePermissions::Refuse => {
                return Err(format!("{doubt}; {remedy}, or choose other `permissions`"));
            }
            FilePermissions::Warn => self.warnings.push(doubt),
            FilePermissions::Ignore => {}
        }
        Ok(bytes)
    }
}
