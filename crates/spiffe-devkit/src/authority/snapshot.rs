use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;
use spiffe_peer::{SpiffeId, TrustDomain};

use super::certificate::CertificateAuthority;
use super::jwt::JwtKey;
use super::{IssueError, IssueSpec, IssuedSvid};

/// The most generations that a bundle holds before the old ones must be retired.
const MAX_GENERATIONS: usize = 16;

/// What the authority is at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    trust_domain: TrustDomain,
    /// Oldest first, each with its number.
    generations: Vec<(u64, Arc<Generation>)>,
    active: u64,
}

pub(super) struct Generation {
    certificates: CertificateAuthority,
    jwt: JwtKey,
}

impl Generation {
    pub(super) fn new(trust_domain: &TrustDomain, ttl: Duration) -> Result<Self, IssueError> {
        let certificates = CertificateAuthority::new(trust_domain, ttl, SystemTime::now())?;
        Ok(Self {
            certificates,
            jwt: JwtKey::generate()?,
        })
    }
}

impl Snapshot {
    pub(super) fn new(trust_domain: TrustDomain, first: Generation) -> Self {
        Self {
            trust_domain,
            generations: vec![(0, Arc::new(first))],
            active: 0,
        }
    }

    pub(crate) fn issue(
        &self,
        spec: &IssueSpec,
        now: SystemTime,
    ) -> Result<IssuedSvid, IssueError> {
        if !spec.may_be_issued_by(&self.trust_domain) {
            return Err(IssueError::foreign_id(spec.spiffe_id.to_string()));
        }
        self.active_generation()?.certificates.issue(spec, now)
    }

    pub(crate) fn issue_jwt(
        &self,
        spiffe_id: &SpiffeId,
        audience: &[String],
        now: SystemTime,
        ttl: Duration,
    ) -> Result<String, IssueError> {
        if !spiffe_id.is_member_of(&self.trust_domain) {
            return Err(IssueError::foreign_id(spiffe_id.to_string()));
        }
        self.active_generation()?
            .jwt
            .sign(spiffe_id, audience, now, ttl)
    }

    /// The number of the generation that issues.
    pub(crate) fn active(&self) -> u64 {
        self.active
    }

    /// Whether SVIDs of this generation verify under the bundle.
    pub(crate) fn trusts(&self, generation: u64) -> bool {
        self.generations
            .iter()
            .any(|(number, _)| *number == generation)
    }

    /// The roots, oldest first.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.generations
            .iter()
            .map(|(_, generation)| generation.certificates.root.as_slice())
    }

    pub(crate) fn x509_bundle(&self) -> Bytes {
        self.roots().flatten().copied().collect()
    }

    pub(crate) fn jwt_bundle(&self) -> Bytes {
        let keys: Vec<_> = self
            .generations
            .iter()
            .filter_map(|(_, generation)| generation.jwt.jwk())
            .collect();
        json!({ "keys": keys }).to_string().into()
    }

    fn active_generation(&self) -> Result<&Generation, IssueError> {
        let active = self
            .generations
            .iter()
            .find(|(number, _)| *number == self.active);
        active
            .map(|(_, generation)| &**generation)
            .ok_or(IssueError::AUTHORITY_ENDED)
    }

    fn newest(&self) -> u64 {
        self.generations
            .last()
            .map_or(self.active, |(number, _)| *number)
    }

    pub(super) fn prepare(&mut self, new: Arc<Generation>) -> Result<(), IssueError> {
        if self.newest() != self.active {
            return Err(IssueError::out_of_order(
                "an authority is prepared already; activate it first",
            ));
        }
        if self.generations.len() >= MAX_GENERATIONS {
            return Err(IssueError::out_of_order(
                "the bundle holds 16 roots; retire the old ones first",
            ));
        }
        self.generations.push((self.active.saturating_add(1), new));
        Ok(())
    }

    pub(super) fn activate(&mut self) -> Result<(), IssueError> {
        if self.newest() == self.active {
            return Err(IssueError::out_of_order(
                "no authority is prepared; prepare one first",
            ));
        }
        self.active = self.newest();
        Ok(())
    }

    pub(super) fn retire(&mut self) -> Result<(), IssueError> {
        let before = self.generations.len();
        self.generations
            .retain(|(number, _)| *number >= self.active);
        if self.generations.len() == before {
            return Err(IssueError::out_of_order(
                "there is no old authority; activate a new one first",
            ));
        }
        Ok(())
    }
}
