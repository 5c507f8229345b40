use spiffe::{SpiffeId, TrustDomain};

use crate::IdPattern;

/// A set of workload IDs, put together from [`IdPattern`]s and trust domains.
///
/// It never has a member that plain sets would not have, and it never reaches beyond the trust domains
/// that it names. A set of nothing, [`any_of`](Self::any_of) and [`all_of`](Self::all_of) alike, has no
/// members, and neither has its [`not`](Self::not).
///
/// ```
/// use spiffe_peer::{IdMatcher, IdPattern, TrustDomain, parse};
///
/// let staff = IdMatcher::member_of(TrustDomain::new("example.org")?);
/// let partner: IdPattern = "spiffe://partner.test/service/billing".parse()?;
/// let batch: IdPattern = "spiffe://example.org/ns/batch/**".parse()?;
///
/// let callers = staff.except(batch).or(partner);
/// assert!(callers.matches(&parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?));
/// assert!(callers.matches(&parse::workload_id("spiffe://partner.test/service/billing")?));
/// assert!(!callers.matches(&parse::workload_id("spiffe://example.org/ns/batch/sa/nightly")?));
/// assert!(!callers.matches(&parse::workload_id("spiffe://partner.test/service/billing-2")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMatcher(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Pattern(IdPattern),
    Members(TrustDomain),
    All(Vec<Self>),
    Any(Vec<Self>),
    Except { of: Box<Self>, removed: Vec<Self> },
    Not(Box<Self>),
}

impl IdMatcher {
    /// Every workload of a trust domain.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, TrustDomain, parse};
    ///
    /// let members = IdMatcher::member_of(TrustDomain::new("example.org")?);
    /// assert!(members.matches(&parse::workload_id("spiffe://example.org/service/orders")?));
    /// assert!(!members.matches(&parse::workload_id("spiffe://example.org.evil/service/orders")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn member_of(trust_domain: TrustDomain) -> Self {
        Self(Node::Members(trust_domain))
    }

    /// Whoever is in at least one of the sets; nobody where there is none.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, parse};
    ///
    /// let orders = parse::workload_id("spiffe://example.org/service/orders")?;
    /// assert!(IdMatcher::any_of([&orders]).matches(&orders));
    /// assert!(!IdMatcher::any_of::<IdMatcher>([]).matches(&orders));
    /// # Ok::<(), spiffe_peer::parse::InvalidId>(())
    /// ```
    #[must_use]
    pub fn any_of<T: Into<Self>>(sets: impl IntoIterator<Item = T>) -> Self {
        Self(Node::Any(nodes(sets)))
    }

    /// Whoever is in every one of the sets; nobody, instead of everybody, where there is none.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, IdPattern, parse};
    ///
    /// let shop: IdPattern = "spiffe://example.org/ns/shop/**".parse()?;
    /// let admins: IdPattern = "spiffe://example.org/ns/*/sa/admin".parse()?;
    /// let both = IdMatcher::all_of([shop, admins]);
    /// assert!(both.matches(&parse::workload_id("spiffe://example.org/ns/shop/sa/admin")?));
    /// assert!(!both.matches(&parse::workload_id("spiffe://example.org/ns/bank/sa/admin")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn all_of<T: Into<Self>>(sets: impl IntoIterator<Item = T>) -> Self {
        Self(Node::All(nodes(sets)))
    }

    /// Whoever is in both sets.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, IdPattern, TrustDomain, parse};
    ///
    /// let admins: IdPattern = "spiffe://example.org/ns/*/sa/admin".parse()?;
    /// let foreign = IdMatcher::member_of(TrustDomain::new("partner.test")?);
    /// let nobody = foreign.and(admins);
    /// assert!(!nobody.matches(&parse::workload_id("spiffe://example.org/ns/shop/sa/admin")?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let other = other.into().0;
        Self(match self.0 {
            // One long list instead of deep nesting; an empty one has to keep its meaning, nobody.
            Node::All(mut all) if !all.is_empty() => {
                all.push(other);
                Node::All(all)
            }
            one => Node::All(vec![one, other]),
        })
    }

    /// Whoever is in at least one of the two sets.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, parse};
    ///
    /// let orders = parse::workload_id("spiffe://example.org/service/orders")?;
    /// let stock = parse::workload_id("spiffe://example.org/service/stock")?;
    /// assert!(IdMatcher::from(&orders).or(&stock).matches(&stock));
    /// # Ok::<(), spiffe_peer::parse::InvalidId>(())
    /// ```
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        let other = other.into().0;
        Self(match self.0 {
            Node::Any(mut any) => {
                any.push(other);
                Node::Any(any)
            }
            one => Node::Any(vec![one, other]),
        })
    }

    /// Whoever is in this set and not in the other.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, IdPattern, parse};
    ///
    /// let services: IdPattern = "spiffe://example.org/service/*".parse()?;
    /// let legacy = parse::workload_id("spiffe://example.org/service/legacy")?;
    /// assert!(!IdMatcher::from(services).except(&legacy).matches(&legacy));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn except(self, other: impl Into<Self>) -> Self {
        let other = other.into().0;
        Self(match self.0 {
            Node::Except { of, mut removed } => {
                removed.push(other);
                Node::Except { of, removed }
            }
            one => Node::Except {
                of: Box::new(one),
                removed: vec![other],
            },
        })
    }

    /// The other workloads of the trust domains in which the set can have members.
    ///
    /// All other trust domains stay outside: what is not refused to one's own
    /// workloads is not thereby granted to a federated stranger. To take something away from a set
    /// of several trust domains, use [`except`](Self::except).
    ///
    /// Inside what is taken away, by `except` or by another `not`, it is everybody else whatever the
    /// trust domain: there, to stop short would be to grant more.
    ///
    /// ```
    /// use spiffe_peer::{IdMatcher, parse};
    ///
    /// let legacy = parse::workload_id("spiffe://example.org/service/legacy")?;
    /// let others = IdMatcher::from(&legacy).not();
    /// assert!(!others.matches(&legacy));
    /// assert!(others.matches(&parse::workload_id("spiffe://example.org/service/orders")?));
    /// let foreign = parse::workload_id("spiffe://partner.test/service/orders")?;
    /// assert!(!others.matches(&foreign));
    ///
    /// let both = IdMatcher::any_of([&legacy, &foreign]);
    /// assert!(!both.except(others).matches(&foreign), "whoever is not `legacy` is taken away");
    /// # Ok::<(), spiffe_peer::parse::InvalidId>(())
    /// ```
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "`!` would promise everybody else, foreign trust domains included"
    )]
    pub fn not(self) -> Self {
        Self(match self.0 {
            Node::Not(set) => *set,
            set => Node::Not(Box::new(set)),
        })
    }

    /// Whether the ID belongs to the set. The ID of a trust domain, which is no workload's, never does.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        !id.path().is_empty() && self.0.has(id, Side::Granted)
    }
}

fn nodes<T: Into<IdMatcher>>(sets: impl IntoIterator<Item = T>) -> Vec<Node> {
    sets.into_iter().map(|set| set.into().0).collect()
}

/// What being in a set means for being in the whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Granted,
    Removed,
}

impl Node {
    /// On the side of what is granted, at most what plain sets would have; on the other, just that.
    fn has(&self, id: &SpiffeId, side: Side) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(id),
            Self::Members(trust_domain) => trust_domain == id.trust_domain(),
            Self::All(sets) => !sets.is_empty() && sets.iter().all(|set| set.has(id, side)),
            Self::Any(sets) => sets.iter().any(|set| set.has(id, side)),
            Self::Except { of, removed } => {
                of.has(id, side) && !removed.iter().any(|set| set.has(id, Side::Removed))
            }
            Self::Not(set) => {
                let in_reach = side == Side::Removed || set.reaches(id.trust_domain());
                in_reach && !set.has(id, Side::Removed)
            }
        }
    }

    /// Whether the set can have a member in this trust domain, judged by the names alone.
    fn reaches(&self, trust_domain: &TrustDomain) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.trust_domain_name() == trust_domain.as_str(),
            Self::Members(members) => members == trust_domain,
            Self::All(sets) => !sets.is_empty() && sets.iter().all(|set| set.reaches(trust_domain)),
            Self::Any(sets) => sets.iter().any(|set| set.reaches(trust_domain)),
            Self::Except { of: set, .. } | Self::Not(set) => set.reaches(trust_domain),
        }
    }
}

impl From<IdPattern> for IdMatcher {
    fn from(pattern: IdPattern) -> Self {
        Self(Node::Pattern(pattern))
    }
}

impl From<&SpiffeId> for IdMatcher {
    /// The set of this one ID.
    fn from(id: &SpiffeId) -> Self {
        Self(Node::Pattern(id.into()))
    }
}

#[cfg(test)]
mod tests;
