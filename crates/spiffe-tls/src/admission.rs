use std::error::Error;
use std::fmt;
use std::sync::Arc;

use spiffe_peer::{IdPattern, TrustDomain};
use spiffe_peer::{InvalidPattern, parse, parse::InvalidId};
use spiffe_verify::VerifiedChain;

/// Which of the peers that have proved an identity get a connection at all.
///
/// It can only narrow: whom the source does not trust never comes before it. It is asked in every
/// handshake, also when a session is resumed. What a peer may do on its connection is better decided
/// above TLS, where the answer can say more than an alert.
///
/// ```
/// use spiffe_tls::Admission;
///
/// let shop = Admission::ids(["spiffe://example.org/ns/shop/sa/*"])?;
/// let partners = Admission::trust_domains(["partner.test"])?;
/// let short_lived = Admission::decided_by(|chain| match chain.not_after().duration_since(chain.not_before()) {
///     Ok(life) if life.as_secs() <= 24 * 3600 => Ok(()),
///     _ => Err("it is valid for more than a day".to_owned()),
/// });
/// assert!(Admission::ids::<[&str; 0]>([]).is_err(), "nobody named is not everybody");
/// # let _ = (shop, partners, short_lived);
/// # Ok::<(), spiffe_tls::InvalidAdmission>(())
/// ```
#[derive(Clone)]
pub struct Admission(Kind);

#[derive(Clone)]
enum Kind {
    TrustDomains(Arc<[TrustDomain]>),
    Ids(Arc<[IdPattern]>),
    DecidedBy(Arc<Decide>),
}

type Decide = dyn Fn(&VerifiedChain) -> Result<(), String> + Send + Sync;

impl Admission {
    /// Peers of these trust domains. The source has to trust them too.
    ///
    /// # Errors
    ///
    /// [`InvalidAdmission`] where a text is no name of a trust domain, or there is none.
    pub fn trust_domains<I>(names: I) -> Result<Self, InvalidAdmission>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let names = names
            .into_iter()
            .map(|name| parse::trust_domain(name.as_ref()).map_err(Why::TrustDomain))
            .collect::<Result<Arc<[_]>, _>>()?;
        if names.is_empty() {
            return Err(Why::Empty.into());
        }
        Ok(Self(Kind::TrustDomains(names)))
    }

    /// Peers whose ID is one of these, or meets one of these patterns.
    ///
    /// # Errors
    ///
    /// [`InvalidAdmission`] where a text is no ID pattern, or there is none.
    pub fn ids<I>(patterns: I) -> Result<Self, InvalidAdmission>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let patterns = patterns
            .into_iter()
            .map(|pattern| pattern.as_ref().parse().map_err(Why::Pattern))
            .collect::<Result<Arc<[_]>, _>>()?;
        if patterns.is_empty() {
            return Err(Why::Empty.into());
        }
        Ok(Self(Kind::Ids(patterns)))
    }

    /// Peers that `decide` lets in. The reason it gives otherwise is logged; the peer does not learn
    /// it. It runs inside the handshake and must not block.
    #[must_use]
    pub fn decided_by(
        decide: impl Fn(&VerifiedChain) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::DecidedBy(Arc::new(decide)))
    }

    pub(crate) fn check(&self, chain: &VerifiedChain) -> Result<(), String> {
        let id = chain.spiffe_id();
        match &self.0 {
            Kind::TrustDomains(names) if names.contains(id.trust_domain()) => Ok(()),
            Kind::Ids(patterns) if patterns.iter().any(|pattern| pattern.matches(id)) => Ok(()),
            Kind::TrustDomains(_) => Err("its trust domain is not among those admitted".into()),
            Kind::Ids(_) => Err("its ID is not among those admitted".into()),
            Kind::DecidedBy(decide) => decide(chain),
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("Admission");
        match &self.0 {
            Kind::TrustDomains(names) => shown.field(names),
            Kind::Ids(patterns) => shown.field(patterns),
            Kind::DecidedBy(_) => shown.field(&format_args!("a function")),
        };
        shown.finish()
    }
}

/// An [`Admission`] that names nobody, or names somebody in a way that means nothing.
///
/// ```
/// let error = spiffe_tls::Admission::ids(["orders"]).unwrap_err();
/// assert!(error.to_string().contains("orders"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAdmission(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Empty,
    TrustDomain(InvalidId),
    Pattern(InvalidPattern),
}

impl From<Why> for InvalidAdmission {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl fmt::Display for InvalidAdmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("admission: ")?;
        match &self.0 {
            Why::Empty => f.write_str("nobody is named; an empty list never means everybody"),
            Why::TrustDomain(error) => error.fmt(f),
            Why::Pattern(error) => error.fmt(f),
        }
    }
}

impl Error for InvalidAdmission {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::Empty => None,
            Why::TrustDomain(error) => Some(error),
            Why::Pattern(error) => Some(error),
        }
    }
}
