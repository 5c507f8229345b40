use std::fmt::{self, Write};

use spiffe_peer::SpiffeId;

/// Why a certificate chain is no identity.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_verify::{Purpose, X509Fault, X509Verifier, default_provider};
///
/// let verifier = X509Verifier::new(&*default_provider()?);
/// let nothing: [&[u8]; 0] = [];
/// let error = verifier.verify(&nothing, Purpose::Client, |_| None, SystemTime::now()).unwrap_err();
/// assert_eq!(error.fault(), X509Fault::NoCertificate);
/// # Ok::<(), spiffe_verify::NoProvider>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Error {
    fault: X509Fault,
    detail: Option<String>,
    claimed: Option<SpiffeId>,
}

impl X509Error {
    pub(crate) fn new(fault: X509Fault) -> Self {
        Self {
            fault,
            detail: None,
            claimed: None,
        }
    }

    pub(crate) fn with_detail(fault: X509Fault, detail: impl fmt::Display) -> Self {
        Self {
            fault,
            detail: Some(Bounded::text_of(detail)),
            claimed: None,
        }
    }

    pub(crate) fn claimed_by(mut self, id: &SpiffeId) -> Self {
        self.claimed = Some(id.clone());
        self
    }

    /// The rule that the chain breaks.
    #[must_use]
    pub fn fault(&self) -> X509Fault {
        self.fault
    }

    /// The ID that the leaf claims. It is not verified: for logs alone.
    #[must_use]
    pub fn claimed_id(&self) -> Option<&SpiffeId> {
        self.claimed.as_ref()
    }
}

/// The beginning of a text. What a peer writes into a certificate it would else write into logs, at
/// any length.
struct Bounded {
    text: String,
    room: usize,
}

impl Bounded {
    const LONGEST: usize = 512;

    fn text_of(detail: impl fmt::Display) -> String {
        let mut bounded = Self {
            text: String::new(),
            room: Self::LONGEST,
        };
        if write!(bounded, "{detail}").is_err() {
            bounded.text.push('…');
        }
        bounded.text
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.chars().take(self.room);
        let before = self.text.len();
        self.text.extend(fits);
        self.room -= self.text.get(before..).map_or(0, |new| new.chars().count());
        if self.text.len() - before == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl fmt::Display for X509Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault.explanation())?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        match &self.claimed {
            Some(id) => write!(f, "; the certificate claims {id}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for X509Error {}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $fault:ident $label:literal $explanation:literal,)*) => {
        /// The rule that a chain breaks; [`as_str`](Self::as_str) is a label for metrics.
        ///
        /// ```
        /// assert_eq!(spiffe_verify::X509Fault::Expired.as_str(), "expired");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum X509Fault {
            $($(#[doc = $doc])* $fault,)*
        }

        impl X509Fault {
            /// Every rule, for those that count by label.
            pub const ALL: &[Self] = &[$(Self::$fault,)*];

            /// A stable label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$fault => $label,)* }
            }

            fn explanation(self) -> &'static str {
                match self { $(Self::$fault => $explanation,)* }
            }
        }
    };
}

faults! {
    /// There is no certificate at all.
    NoCertificate "no_certificate" "the peer presented no certificate",
    /// More intermediates or more bytes than a chain may have.
    ChainTooLong "chain_too_long" "the chain is too long",
    /// A certificate that is not DER, or an extension that is malformed or stands twice.
    Malformed "malformed" "a certificate is malformed",
    /// A certificate is not followed by its issuer, or a subject repeats itself.
    ChainOrder "chain_order" "each certificate has to be followed by its issuer, and no subject may repeat",
    /// No URI among the subject alternative names (X509-SVID, section 2).
    NoSpiffeId "no_spiffe_id" "the certificate carries no SPIFFE ID",
    /// More than one URI among the subject alternative names (X509-SVID, section 2).
    SeveralUris "several_uris" "the certificate carries more than one URI, so it has no identity",
    /// The URI is no SPIFFE ID of a workload (SPIFFE-ID, section 2; X509-SVID, section 3.1).
    BadSpiffeId "bad_spiffe_id" "the URI in the certificate is no SPIFFE ID of a workload",
    /// The leaf is an authority, or does not say that it is none (X509-SVID, section 4.1).
    LeafIsAuthority "leaf_is_authority" "the leaf has to say that it is no certificate authority",
    /// The leaf's key usage is absent or not that of a leaf (X509-SVID, section 4.3).
    LeafKeyUsage "leaf_key_usage" "the leaf's key usage has to name digitalSignature, and neither keyCertSign nor cRLSign",
    /// The leaf may not be used for this end of a connection (X509-SVID, section 4.4).
    ExtendedKeyUsage "extended_key_usage" "the leaf's extended key usage does not cover this end of the connection",
    /// An intermediate may not sign certificates (X509-SVID, section 4).
    IssuerNotAuthority "issuer_not_authority" "an intermediate is no certificate authority",
    /// Nobody trusts the trust domain of the ID here.
    UnknownTrustDomain "unknown_trust_domain" "the trust domain is not trusted here",
    /// The chain does not lead to an authority of the ID's own trust domain.
    UnknownAuthority "unknown_authority" "no authority of the ID's own trust domain vouches for the chain",
    /// A signature in the chain is wrong or made with an algorithm that is not accepted.
    BadSignature "bad_signature" "a signature in the chain does not hold",
    /// A certificate of the chain has expired.
    Expired "expired" "the chain has expired",
    /// A certificate of the chain is not valid yet.
    NotYetValid "not_yet_valid" "the chain is not valid yet: compare the clocks of both hosts",
    /// The deny-list names the ID, or a serial number or key of the chain.
    Denied "denied" "the chain is valid, but the deny-list names it",
    /// The peer is who it says it is, and is not let in here.
    NotAdmitted "not_admitted" "the chain is valid, but its peer is not admitted here",
    /// Anything else that path validation refuses (RFC 5280).
    Refused "refused" "path validation refuses the chain",
}

impl fmt::Display for X509Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<X509Fault> for X509Error {
    fn from(fault: X509Fault) -> Self {
        Self::new(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_writes_is_shown_in_part() {
        let long = X509Error::with_detail(X509Fault::Malformed, "é".repeat(100_000));
        let shown = long.to_string();
        assert!(shown.contains(&"é".repeat(Bounded::LONGEST)) && shown.contains('…'));
        assert!(shown.chars().count() < Bounded::LONGEST + 100, "{shown}");
        let parts = X509Error::with_detail(
            X509Fault::Malformed,
            format_args!("{}{}", "a".repeat(500), "b".repeat(500)),
        );
        assert!(parts.to_string().contains(&format!("{}b", "a".repeat(500))));
        let short = X509Error::with_detail(X509Fault::Malformed, "as it is");
        assert!(short.to_string().ends_with("(as it is)"));
    }
}
