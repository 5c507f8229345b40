use std::fmt;
use std::time::{Duration, SystemTime};

use spiffe_peer::parse::{self, InvalidId};
use spiffe_peer::{SpiffeId, TrustDomain};

use crate::random;

/// What [`Authority::issue`](crate::Authority::issue) is to put into an X.509-SVID.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use spiffe_devkit::{Authority, IssueSpec};
///
/// let authority = Authority::new("example.org")?;
/// let svid = authority.issue(
///     &IssueSpec::new("spiffe://example.org/service/orders")?.ttl(Duration::from_secs(60)).dns("localhost"),
/// )?;
/// assert_eq!(svid.chain().len(), 2, "leaf and intermediate");
///
/// // One that has expired, for a test of the other side.
/// let yesterday = SystemTime::now() - Duration::from_secs(86_400);
/// let expired = IssueSpec::new("spiffe://example.org/service/orders")?.starting_at(yesterday);
/// assert!(authority.issue(&expired)?.not_after() < SystemTime::now());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct IssueSpec {
    pub(super) spiffe_id: SpiffeId,
    pub(super) ttl: Duration,
    pub(super) dns_names: Vec<String>,
    pub(super) starts_at: Option<SystemTime>,
    pub(super) any_trust_domain: bool,
}

impl IssueSpec {
    /// An SVID for this ID that lives for an hour.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is not the ID of a workload.
    pub fn new(spiffe_id: &str) -> Result<Self, InvalidId> {
        Ok(Self::for_id(parse::workload_id(spiffe_id)?))
    }

    pub(crate) fn for_id(spiffe_id: SpiffeId) -> Self {
        let ttl = crate::entry::DEFAULT_TTL;
        Self {
            spiffe_id,
            ttl,
            dns_names: Vec::new(),
            starts_at: None,
            any_trust_domain: false,
        }
    }

    /// How long the SVID lives, at most as long as the authority.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Adds a DNS name beside the ID.
    #[must_use]
    pub fn dns(mut self, name: impl Into<String>) -> Self {
        self.dns_names.push(name.into());
        self
    }

    /// Lets the SVID begin exactly then, whenever the authority began: in the past for an SVID that
    /// has expired, in the future for one that is not valid yet.
    #[must_use]
    pub fn starting_at(mut self, start: SystemTime) -> Self {
        self.starts_at = Some(start);
        self
    }

    /// Lets the authority sign an ID of a trust domain that is not its own. No verifier may accept
    /// such an SVID.
    #[must_use]
    pub fn of_any_trust_domain(mut self) -> Self {
        self.any_trust_domain = true;
        self
    }

    pub(super) fn may_be_issued_by(&self, trust_domain: &TrustDomain) -> bool {
        self.any_trust_domain || self.spiffe_id.is_member_of(trust_domain)
    }
}

/// An X.509-SVID with its key, as [`Authority::issue`](crate::Authority::issue) makes it.
///
/// Its debug output shows whose it is, and no key. See [`IssueSpec`] for an example.
#[derive(Clone)]
pub struct IssuedSvid {
    pub(super) spiffe_id: SpiffeId,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key: Vec<u8>,
    pub(super) serial: [u8; 16],
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl IssuedSvid {
    /// The ID in the SVID.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The certificates, DER, leaf first, without the root.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// The certificates in one piece, as the Workload API carries them.
    #[must_use]
    pub fn chain_der(&self) -> Vec<u8> {
        self.chain.concat()
    }

    /// The private key, PKCS#8 DER.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }

    /// The serial number of the leaf, in hexadecimal digits.
    #[must_use]
    pub fn serial(&self) -> String {
        random::hex(&self.serial)
    }

    /// When the SVID begins to be valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When the SVID ends.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl fmt::Debug for IssuedSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedSvid")
            .field("spiffe_id", &self.spiffe_id.to_string())
            .field("serial", &self.serial())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
