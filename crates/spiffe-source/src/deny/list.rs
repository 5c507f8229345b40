use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use spiffe_peer::{Fingerprint, IdPattern, SpiffeId};
use spiffe_verify::VerifiedChain;

use super::entry::{self, DenyEntry, Kind};
use super::error::{InvalidDenyList, Why};
use super::text;

/// The most entries of a list.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// The most patterns among them: each is tried in turn, the others are looked up.
pub(super) const MAX_PATTERNS: usize = 1000;

/// Whom to refuse although its SVID is valid: the answer to a stolen key or a compromised workload
/// until what it was issued has expired.
///
/// Choose the entry by what has happened. An **ID** or a **pattern** denies a workload whatever
/// certificate it shows, those of tomorrow too. A **serial number** denies one certificate, and the
/// next one of the same workload is accepted. The digest of a **key** denies every certificate for
/// that key. Serial numbers and keys are looked for in the whole chain, so that either denies all
/// that an intermediate has issued; the root is not looked at, since a bundle that does not hold it
/// any more is the way to distrust it. Serial numbers are unique for each issuer only: one denies
/// the certificates of every issuer that has given it. An intermediate may have been certified more
/// than once, so deny it by its key.
///
/// A list in use is replaced with [`Source::deny`](crate::Source::deny), or is a file that
/// [`Builder::deny_file`](crate::Builder::deny_file) watches. A list has at most 100 000 entries,
/// 1000 of them patterns.
///
/// ```
/// use spiffe_peer::parse;
/// use spiffe_source::DenyList;
///
/// let list = DenyList::new()
///     .id("spiffe://example.org/service/reporting")?
///     .pattern("spiffe://example.org/ns/legacy/**")?
///     .serial("0A:1B:2C")?;
/// assert!(list.denies_id(&parse::workload_id("spiffe://example.org/ns/legacy/sa/jobs")?));
/// assert!(!list.denies_id(&parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?));
///
/// // The same as a text, as a file holds it. The last line is `end`: what ends before it is no list.
/// let text = "
///     spiffe://example.org/service/reporting
///     spiffe://example.org/ns/legacy/**   # a pattern
///     serial:0a1b2c
///     end
/// ";
/// assert_eq!(text.parse::<DenyList>()?, list);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DenyList {
    ids: HashSet<SpiffeId>,
    patterns: HashSet<IdPattern>,
    serials: HashSet<String>,
    keys: HashSet<Fingerprint>,
}

impl DenyList {
    /// A list that denies nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Denies the workload with this ID.
    ///
    /// # Errors
    ///
    /// [`InvalidDenyList`] where the text is no ID of a workload, or the list is full.
    pub fn id(self, spiffe_id: &str) -> Result<Self, InvalidDenyList> {
        self.with(entry::id(spiffe_id).map(Kind::Id))
    }

    /// Denies the workloads whose IDs the pattern meets; `spiffe://example.org/**` is a whole trust
    /// domain.
    ///
    /// # Errors
    ///
    /// [`InvalidDenyList`] where the text is no [`IdPattern`], or the list is full.
    pub fn pattern(self, pattern: &str) -> Result<Self, InvalidDenyList> {
        self.with(entry::pattern(pattern))
    }

    /// Denies every chain with a certificate that has this serial number, whoever has issued it:
    /// hexadecimal digits, with colons, with `0x` before them or without either, in upper or lower
    /// case. So `openssl x509 -serial` prints it.
    ///
    /// Go programs print serial numbers in decimal, among them SPIRE in its logs: see
    /// [`serial_decimal`](Self::serial_decimal).
    ///
    /// # Errors
    ///
    /// [`InvalidDenyList`] where the text is no serial number, or the list is full. Neither are 20
    /// or more digits without a letter, a colon and `0x`: they may be decimal.
    pub fn serial(self, serial: &str) -> Result<Self, InvalidDenyList> {
        self.with(entry::serial(serial).map(Kind::Serial))
    }

    /// The same for a serial number in decimal digits.
    ///
    /// ```
    /// use spiffe_source::DenyList;
    ///
    /// let list = DenyList::new().serial_decimal("204837621346519842673120598735620184027")?;
    /// assert_eq!(list, DenyList::new().serial("9a:1a:4a:76:61:37:6b:c6:20:e7:a0:c4:bc:24:97:db")?);
    /// // It could be either.
    /// assert!(DenyList::new().serial("204837621346519842673120598735620184027").is_err());
    /// # Ok::<(), spiffe_source::InvalidDenyList>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidDenyList`] where the text is no serial number, or the list is full.
    pub fn serial_decimal(self, serial: &str) -> Result<Self, InvalidDenyList> {
        self.with(entry::serial_decimal(serial).map(Kind::Serial))
    }

    /// Denies every chain with a certificate for the key whose DER SubjectPublicKeyInfo has this
    /// SHA-256 digest: hexadecimal digits, with or without colons.
    ///
    /// # Errors
    ///
    /// [`InvalidDenyList`] where the text is no digest, or the list is full.
    pub fn key_sha256(self, digest: &str) -> Result<Self, InvalidDenyList> {
        self.with(entry::key(digest).map(Kind::Key))
    }

    fn with(mut self, entry: Result<Kind, Why>) -> Result<Self, InvalidDenyList> {
        self.insert(entry?)?;
        Ok(self)
    }

    pub(super) fn insert(&mut self, entry: Kind) -> Result<(), Why> {
        match entry {
            Kind::Id(id) => self.ids.insert(id),
            Kind::Pattern(pattern) => self.patterns.insert(pattern),
            Kind::Serial(serial) => self.serials.insert(serial),
            Kind::Key(key) => self.keys.insert(key),
        };
        if self.len() > MAX_ENTRIES {
            return Err(Why::TooManyEntries);
        }
        if self.patterns.len() > MAX_PATTERNS {
            return Err(Why::TooManyPatterns);
        }
        Ok(())
    }

    /// What is on either list.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.ids.extend(other.ids.iter().cloned());
        both.patterns.extend(other.patterns.iter().cloned());
        both.serials.extend(other.serials.iter().cloned());
        both.keys.extend(other.keys.iter().copied());
        both
    }

    /// Whether the list denies nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries the list has. What was written twice counts once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len() + self.patterns.len() + self.serials.len() + self.keys.len()
    }

    /// Whether the list names this ID, itself or by a pattern.
    #[must_use]
    pub fn denies_id(&self, id: &SpiffeId) -> bool {
        self.ids.contains(id) || self.patterns.iter().any(|pattern| pattern.matches(id))
    }

    /// An entry that names the chain: its ID, or the serial number or key of a certificate of it.
    /// None where the list does not deny the chain.
    #[must_use]
    pub fn denies(&self, chain: &VerifiedChain) -> Option<DenyEntry> {
        if let Some(id) = self.ids.get(chain.spiffe_id()) {
            return Some(Kind::Id(id.clone()).into());
        }
        let names = |pattern: &&IdPattern| pattern.matches(chain.spiffe_id());
        if let Some(pattern) = self.patterns.iter().find(names) {
            return Some(Kind::Pattern(pattern.clone()).into());
        }
        chain.certificates().find_map(|certificate| {
            let serial = self.serials.get(certificate.serial());
            let key = || self.keys.get(&certificate.key_sha256());
            serial
                .map(|serial| Kind::Serial(serial.clone()))
                .or_else(|| key().map(|key| Kind::Key(*key)))
                .map(DenyEntry::from)
        })
    }
}

impl FromStr for DenyList {
    type Err = InvalidDenyList;

    /// Reads the text of a file: one entry a line, an ID, a pattern, `serial:…`, `serial-decimal:…`
    /// or `key-sha256:…`; comments from `#` to the end of the line; `end` as the last line, or
    /// `end sha256:…` with the digest of all bytes before that line.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text::parse(text.as_bytes())
    }
}

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenyList")
            .field("ids", &self.ids.len())
            .field("patterns", &self.patterns.len())
            .field("serials", &self.serials.len())
            .field("keys", &self.keys.len())
            .finish()
    }
}
