use std::fmt;
use std::sync::Arc;

use spiffe_peer::parse::InvalidId;
use spiffe_peer::{IdPattern, InvalidPattern, PeerIdentity, parse};

use crate::decision::Reason;
#[cfg(feature = "axum")]
use crate::inventory::RuleInCode;
use crate::patterns::IdPatterns;
use crate::policy::Policy;

/// Who may call.
///
/// There is no rule that says nothing: a list of IDs has at least one, and a rule that asks for no
/// particular ID gives its reason in words. Cloning copies one pointer.
///
/// ```
/// use spiffe_authz::Rule;
///
/// let rule = Rule::allow(["spiffe://example.org/service/orders", "spiffe://example.org/ns/batch/**"])?;
/// assert_eq!(rule.to_string(), "spiffe://example.org/service/orders, spiffe://example.org/ns/batch/**");
///
/// assert!(Rule::allow("spiffe://example.org/service/pay*").is_err());
/// assert!(Rule::authenticated(" ").unwrap_err().is_without_reason());
/// # Ok::<(), spiffe_authz::InvalidRule>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rule(Arc<Said>);

#[derive(Debug, Clone)]
struct Said {
    callers: Callers,
    denied: Vec<IdPattern>,
}

#[derive(Debug, Clone)]
enum Callers {
    Ids(Vec<IdPattern>),
    /// Those, and whoever the policy knows by one of these names.
    #[cfg(feature = "axum")]
    Named {
        ids: Vec<IdPattern>,
        principals: Vec<String>,
    },
    Authenticated {
        because: String,
    },
    Anyone {
        because: String,
    },
}

impl Rule {
    /// Lets in every peer that one of the ID patterns describes.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where a text is no ID pattern, or there is none at all.
    pub fn allow(ids: impl Into<IdPatterns>) -> Result<Self, InvalidRule> {
        at_least_one(ids.into()).map(|patterns| Self::of(Callers::Ids(patterns)))
    }

    /// The same rule, which keeps out the peers that one of these patterns describes, whoever lets them in.
    ///
    /// ```
    /// use spiffe_authz::Rule;
    ///
    /// Rule::allow("spiffe://example.org/**")?.deny("spiffe://example.org/ns/batch/**")?;
    /// # Ok::<(), spiffe_authz::InvalidRule>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where a text is no ID pattern, or there is none at all.
    pub fn deny(self, ids: impl Into<IdPatterns>) -> Result<Self, InvalidRule> {
        let mut said = Arc::unwrap_or_clone(self.0);
        said.denied.extend(at_least_one(ids.into())?);
        Ok(Self(Arc::new(said)))
    }

    /// Lets in the workloads of a trust domain whose path begins with these segments. Neither text can
    /// go on into the other.
    pub(crate) fn below(trust_domain: &str, prefix: &str) -> Result<Self, InvalidRule> {
        let name = parse::trust_domain(trust_domain).map_err(|error| InvalidRule {
            problems: vec![Problem::Id(error)],
        })?;
        match prefix {
            prefix if prefix.is_empty() || prefix.starts_with('/') => {
                Self::allow(format!("spiffe://{name}{prefix}/**"))
            }
            // No pattern without its scheme: the message shows what was written.
            prefix => Self::allow(format!("{name}{prefix}/**")),
        }
    }

    /// Lets in peers by ID patterns, and by names that a policy gives them.
    #[cfg(feature = "axum")]
    pub(crate) fn allow_named(
        ids: IdPatterns,
        principals: Vec<String>,
        has_policy: bool,
    ) -> Result<Self, InvalidRule> {
        let ids = match ids.is_empty() {
            true => Vec::new(),
            false => at_least_one(ids)?,
        };
        if !has_policy {
            let problems = vec![Problem::NoPolicy(principals.join("`, `"))];
            return Err(InvalidRule { problems });
        }
        Ok(Self::of(Callers::Named { ids, principals }))
    }

    /// Lets in exactly these IDs; a text with a wildcard is refused.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where a text is no ID of a workload, or there is none at all.
    pub fn allow_exactly<I>(ids: I) -> Result<Self, InvalidRule>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut patterns = Vec::new();
        let mut problems = Vec::new();
        for id in ids {
            match parse::workload_id(id.as_ref()) {
                Ok(id) => patterns.push(IdPattern::from(&id)),
                Err(error) => problems.push(Problem::Id(error)),
            }
        }
        if problems.is_empty() {
            Self::allow(patterns)
        } else {
            Err(InvalidRule { problems })
        }
    }

    /// Lets in every peer with a verified identity, of any trust domain that the listener admits.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the reason is blank.
    pub fn authenticated(because: impl Into<String>) -> Result<Self, InvalidRule> {
        let because = reason(because.into())?;
        Ok(Self::of(Callers::Authenticated { because }))
    }

    /// Lets in everybody, with an identity or without; an identity that has ended is still refused.
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] where the reason is blank.
    pub fn anyone(because: impl Into<String>) -> Result<Self, InvalidRule> {
        let because = reason(because.into())?;
        Ok(Self::of(Callers::Anyone { because }))
    }

    fn of(callers: Callers) -> Self {
        Self(Arc::new(Said {
            callers,
            denied: Vec::new(),
        }))
    }

    /// Why the rule asks for no particular ID, in the words of its author.
    #[must_use]
    pub fn because(&self) -> Option<&str> {
        match &self.0.callers {
            Callers::Ids(_) => None,
            #[cfg(feature = "axum")]
            Callers::Named { .. } => None,
            Callers::Authenticated { because } | Callers::Anyone { because } => Some(because),
        }
    }

    /// Whether it is this very rule, and not one that says the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Judges a peer whose identity is known to be current. Names are those that this policy gives.
    pub(crate) fn judge(
        &self,
        peer: Option<&PeerIdentity>,
        policy: Option<&Policy>,
    ) -> Result<(), Reason> {
        #[cfg(not(feature = "axum"))]
        let _ = policy;
        if let Some(peer) = peer
            && self.0.denied.iter().any(|pattern| peer.matches(pattern))
        {
            return Err(Reason::NotAllowed);
        }
        match (&self.0.callers, peer) {
            (Callers::Anyone { .. }, _) | (Callers::Authenticated { .. }, Some(_)) => Ok(()),
            (Callers::Ids(patterns), Some(peer))
                if patterns.iter().any(|pattern| peer.matches(pattern)) =>
            {
                Ok(())
            }
            #[cfg(feature = "axum")]
            (Callers::Named { ids, principals }, Some(peer))
                if ids.iter().any(|pattern| peer.matches(pattern))
                    || policy.is_some_and(|policy| policy.knows(peer, principals)) =>
            {
                Ok(())
            }
            (_, Some(_)) => Err(Reason::NotAllowed),
            (_, None) => Err(Reason::NoIdentity),
        }
    }
}

fn at_least_one(ids: IdPatterns) -> Result<Vec<IdPattern>, InvalidRule> {
    let mut patterns = Vec::new();
    let mut problems = Vec::new();
    for pattern in ids.into_vec() {
        match pattern {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => problems.push(Problem::Pattern(error)),
        }
    }
    if patterns.is_empty() && problems.is_empty() {
        problems.push(Problem::NoIds);
    }
    if problems.is_empty() {
        Ok(patterns)
    } else {
        Err(InvalidRule { problems })
    }
}

fn reason(because: String) -> Result<String, InvalidRule> {
    if because.trim().is_empty() {
        Err(InvalidRule {
            problems: vec![Problem::NoReason],
        })
    } else {
        Ok(because)
    }
}

#[cfg(feature = "axum")]
impl Rule {
    /// The rule as an inventory shows it.
    pub(crate) fn written(&self) -> RuleInCode {
        let texts = |patterns: &[IdPattern]| patterns.iter().map(ToString::to_string).collect();
        let mut written = RuleInCode {
            denied: texts(&self.0.denied),
            ..RuleInCode::default()
        };
        match &self.0.callers {
            Callers::Ids(ids) => written.ids = texts(ids),
            Callers::Named {
                ids, principals, ..
            } => {
                written.ids = texts(ids);
                written.principals.clone_from(principals);
            }
            Callers::Authenticated { because } => written.authenticated = Some(because.clone()),
            Callers::Anyone { because } => written.anyone = Some(because.clone()),
        }
        written
    }
}

/// The callers, never the reason: bounded, for events.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let list = |f: &mut fmt::Formatter<'_>, patterns: &[IdPattern]| {
            for (index, pattern) in patterns.iter().take(SHOWN).enumerate() {
                write!(f, "{}{pattern}", if index == 0 { "" } else { ", " })?;
            }
            match patterns.len().saturating_sub(SHOWN) {
                0 => Ok(()),
                more => write!(f, " and {more} more"),
            }
        };
        match &self.0.callers {
            Callers::Ids(patterns) => list(f, patterns)?,
            #[cfg(feature = "axum")]
            Callers::Named {
                ids, principals, ..
            } => {
                list(f, ids)?;
                let first = if ids.is_empty() { "" } else { ", " };
                match principals.as_slice() {
                    [] => {}
                    [name] => write!(f, "{first}principal `{name}`")?,
                    [name, more @ ..] => {
                        write!(f, "{first}principal `{name}` and {} more", more.len())?;
                    }
                }
            }
            Callers::Authenticated { .. } => f.write_str("authenticated")?,
            Callers::Anyone { .. } => f.write_str("anyone")?,
        }
        if self.0.denied.is_empty() {
            return Ok(());
        }
        f.write_str(", but not ")?;
        list(f, &self.0.denied)
    }
}

/// Something that is no [`Rule`]. It tells everything that is wrong with it.
///
/// ```
/// use spiffe_authz::Rule;
///
/// let error = Rule::allow(["example.org/a", "spiffe://*/b"]).unwrap_err().to_string();
/// assert!(error.contains("example.org/a") && error.contains("spiffe://*/b"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRule {
    problems: Vec<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Pattern(InvalidPattern),
    Id(InvalidId),
    NoIds,
    NoReason,
    #[cfg(feature = "axum")]
    Mixed,
    #[cfg(feature = "axum")]
    NoPolicy(String),
}

impl InvalidRule {
    /// Whether the rule names nobody.
    #[must_use]
    pub fn is_without_ids(&self) -> bool {
        self.problems.contains(&Problem::NoIds)
    }

    /// Whether the rule asks for no particular ID and does not say why.
    #[must_use]
    pub fn is_without_reason(&self) -> bool {
        self.problems.contains(&Problem::NoReason)
    }

    #[cfg(feature = "axum")]
    pub(crate) fn mixed() -> Self {
        Self {
            problems: vec![Problem::Mixed],
        }
    }
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "; " })?;
            match problem {
                Problem::Pattern(error) => error.fmt(f)?,
                Problem::Id(error) => error.fmt(f)?,
                Problem::NoIds => f.write_str("the rule names nobody: give at least one ID")?,
                Problem::NoReason => f.write_str(
                    "a rule that asks for no particular ID says why: the reason is blank",
                )?,
                #[cfg(feature = "axum")]
                Problem::NoPolicy(principals) => write!(
                    f,
                    "it speaks of `{principals}` of a policy, and there is none: give it to `bind`, in place of `build`"
                )?,
                #[cfg(feature = "axum")]
                Problem::Mixed => f.write_str(
                    "a rule either names IDs or is `authenticated` or is `anyone` or is left to the policy, and that once",
                )?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for InvalidRule {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problems
            .iter()
            .find_map(|problem| -> Option<&(dyn std::error::Error + 'static)> {
                match problem {
                    Problem::Pattern(error) => Some(error),
                    Problem::Id(error) => Some(error),
                    _ => None,
                }
            })
    }
}
