use std::fmt;

use spiffe::TrustDomain;

use crate::PeerIdentity;
use crate::parse::{self, InvalidId};

/// Questions about the ID. A text that is given is judged before it is compared: a mistake in it is
/// an error, since as a plain `false` it would open whatever is refused to those who match.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer, parse};
/// use spiffe_peer::TrustDomain;
/// # let peer = VerifiedPeer {
/// #     spiffe_id: parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?,
/// #     not_after: SystemTime::now() + Duration::from_secs(3600),
/// #     fingerprint: Fingerprint::from_sha256([7; 32]),
/// #     method: AuthMethod::MtlsX509Svid,
/// # };
/// # let peer = PeerIdentity::assume_verified(peer, Connection::new());
///
/// assert_eq!(peer.as_str(), "spiffe://example.org/ns/shop/sa/orders");
///
/// assert!(peer.is("spiffe://example.org/ns/shop/sa/orders")?);
/// assert!(!peer.is("spiffe://example.org/ns/shop/sa/orders-2")?);
/// assert!(peer.is("spiffe://example.org/ns/shop/sa/*").is_err(), "that is a pattern");
///
/// assert!(peer.is_member_of(&TrustDomain::new("example.org")?));
/// assert!(!peer.is_member_of(&TrustDomain::new("example.org.evil")?));
/// assert!(peer.is_in_trust_domain("example.org")?);
/// assert!(!peer.is_in_trust_domain("sub.example.org")?);
/// assert!(peer.is_in_trust_domain("*.org").is_err());
///
/// assert!(peer.has_path_prefix("/ns/shop")?);
/// assert!(!peer.has_path_prefix("/ns/sho")?);
/// assert!(!peer.has_path_prefix("/ns/shop/sa/orders/")?);
/// assert!(peer.has_path_prefix("").is_err(), "it would be everybody's");
/// assert!(peer.has_path_suffix("/sa/orders")?);
/// assert!(!peer.has_path_suffix("/a/orders")?);
/// assert!(peer.has_path_suffix("orders").is_err(), "it could be a part of a segment");
///
/// assert_eq!(peer.segment(1), Some("shop"));
/// assert_eq!(peer.segment(4), None);
/// assert_eq!(peer.segment_after("sa"), Some("orders"));
/// assert_eq!(peer.segment_after("orders"), None);
/// assert_eq!(peer.namespace(), Some("shop"));
/// assert_eq!(peer.service_account(), Some("orders"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl PeerIdentity {
    /// Whether the peer has exactly this ID.
    ///
    /// To ask often, parse the ID once and compare it with [`spiffe_id`](Self::spiffe_id).
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is not the ID of a workload.
    pub fn is(&self, id: &str) -> Result<bool, InvalidId> {
        Ok(parse::workload_id(id)? == *self.spiffe_id())
    }

    /// Whether the peer belongs to this trust domain.
    #[must_use]
    pub fn is_member_of(&self, trust_domain: &TrustDomain) -> bool {
        self.trust_domain() == trust_domain
    }

    /// Whether the peer belongs to the trust domain of this name, as `example.org`.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] where the text is no name of a trust domain.
    pub fn is_in_trust_domain(&self, name: &str) -> Result<bool, InvalidId> {
        Ok(self.is_member_of(&parse::trust_domain(name)?))
    }

    /// Whether the path begins with these whole segments: `/service` is a prefix of `/service/api`,
    /// never of `/services`. With a `/` at its end, at least one more segment has to follow.
    ///
    /// The path alone is compared: a foreign trust domain may have the same one. An
    /// [`IdPattern`](crate::IdPattern) speaks of both.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] where no ID could have such a prefix, or every ID has it.
    pub fn has_path_prefix(&self, prefix: &str) -> Result<bool, InvalidPath> {
        InvalidPath::check(prefix, prefix.strip_suffix('/').unwrap_or(prefix))?;
        Ok(self
            .path()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')))
    }

    /// Whether the path ends with these whole segments: `/admin` is a suffix of `/service/admin`,
    /// never of `/service/noadmin`.
    ///
    /// The path alone is compared: a foreign trust domain may have the same one.
    ///
    /// # Errors
    ///
    /// [`InvalidPath`] where no ID could have such a suffix, or every ID has it.
    pub fn has_path_suffix(&self, suffix: &str) -> Result<bool, InvalidPath> {
        InvalidPath::check(suffix, suffix)?;
        Ok(self.path().ends_with(suffix))
    }

    /// One segment of the path, counted from 0.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<&str> {
        self.segments().nth(index)
    }

    /// The segment that follows the first one of this name.
    ///
    /// Where the name occurs twice, the first counts, also if it is there as somebody's value: in
    /// `/ns/sa/sa/orders`, `sa` is followed by `sa`. Where the layout is known, a pattern or
    /// [`service_account`](Self::service_account) cannot be misled in this way.
    #[must_use]
    pub fn segment_after(&self, name: &str) -> Option<&str> {
        self.segments()
            .skip_while(|segment| *segment != name)
            .nth(1)
    }

    /// The Kubernetes namespace in a path of exactly the form `/ns/{namespace}/sa/{service_account}`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.kubernetes().map(|(namespace, _)| namespace)
    }

    /// The Kubernetes service account in a path of exactly the form
    /// `/ns/{namespace}/sa/{service_account}`. Two namespaces may each have one of the same name.
    #[must_use]
    pub fn service_account(&self) -> Option<&str> {
        self.kubernetes()
            .map(|(_, service_account)| service_account)
    }

    fn kubernetes(&self) -> Option<(&str, &str)> {
        let mut path = self.segments();
        let layout = [(); 5].map(|()| path.next());
        match layout {
            [Some("ns"), Some(namespace), Some("sa"), Some(account), None] => {
                Some((namespace, account))
            }
            _ => None,
        }
    }
}

/// A text that is no part of the path of an ID.
///
/// ```
/// # use spiffe_peer::{InvalidPath, PeerIdentity};
/// fn is_frontend(peer: &PeerIdentity) -> Result<bool, InvalidPath> {
///     peer.has_path_suffix("/frontend")
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPath {
    text: String,
    why: String,
}

impl InvalidPath {
    fn check(text: &str, path: &str) -> Result<(), Self> {
        let why = if !text.starts_with('/') {
            Err("it does not begin with `/`".to_owned())
        } else if path.is_empty() {
            Err("it has no segment".to_owned())
        } else {
            parse::path(path)
        };
        why.map_err(|why| Self {
            text: parse::shortened(text, parse::SHOWN),
            why,
        })
    }
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, why } = self;
        write!(f, "`{text}` is no part of the path of a SPIFFE ID: {why}")
    }
}

impl std::error::Error for InvalidPath {}

#[cfg(test)]
mod tests;
