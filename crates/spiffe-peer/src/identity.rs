use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use spiffe::{SpiffeId, TrustDomain};

use crate::{Connection, IdPattern};

/// The verified identity of the other end of a connection.
///
/// It exists only as the outcome of a verification, and it knows its connection: once the trust
/// behind it is withdrawn, or its chain has expired, [`is_current`](Self::is_current) is false for
/// every clone. Cloning copies one pointer.
///
/// `spiffe-rustls-tokio` has a type of the same name whose ID is optional; here there is no
/// `PeerIdentity` without one.
///
/// ```
/// use spiffe_peer::PeerIdentity;
///
/// // With the feature `axum`, a handler takes it as an argument.
/// async fn whoami(peer: PeerIdentity) -> String {
///     format!("{} of {}", peer.path(), peer.trust_domain())
/// }
/// ```
#[derive(Clone)]
pub struct PeerIdentity(Arc<Inner>);

struct Inner {
    peer: SharedPeer,
    connection: Connection,
    resolved: Slot,
}

/// What policies have worked out for a peer.
#[derive(Default)]
struct Slot {
    first: OnceLock<Resolved>,
    last: ArcSwapOption<Resolved>,
}

type Resolved = Box<dyn Any + Send + Sync>;

/// What a verification found out: the parts of a [`PeerIdentity`].
///
/// Having one proves nothing, since anybody can write these fields down;
/// [`PeerIdentity::assume_verified`] is where somebody vouches for them.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use spiffe_peer::{AuthMethod, Fingerprint, VerifiedPeer, parse};
///
/// let peer = VerifiedPeer {
///     spiffe_id: parse::workload_id("spiffe://example.org/service/orders")?,
///     not_after: SystemTime::now() + Duration::from_secs(3600),
///     fingerprint: Fingerprint::from_sha256([7; 32]),
///     method: AuthMethod::MtlsX509Svid,
/// };
/// assert!(peer.fingerprint.to_string().starts_with("07:07"));
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    /// The ID in the SVID.
    pub spiffe_id: SpiffeId,
    /// The earliest end of the whole chain, root included; from then on the identity is none.
    pub not_after: SystemTime,
    /// The fingerprint of the document that proved the identity.
    pub fingerprint: Fingerprint,
    /// How the identity was established.
    pub method: AuthMethod,
}

/// A [`VerifiedPeer`] for any number of connections: what they can share is there once.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use spiffe_peer::{AuthMethod, Fingerprint, VerifiedPeer, parse};
/// use spiffe_peer::{Connection, PeerIdentity, SharedPeer};
///
/// # let peer = VerifiedPeer {
/// #     spiffe_id: parse::workload_id("spiffe://example.org/service/orders")?,
/// #     not_after: SystemTime::now() + Duration::from_secs(3600),
/// #     fingerprint: Fingerprint::from_sha256([7; 32]),
/// #     method: AuthMethod::MtlsX509Svid,
/// # };
/// let peer = SharedPeer::from(peer);
/// let [one, other] = [(); 2].map(|()| PeerIdentity::assume_verified(peer.clone(), Connection::new()));
/// assert_eq!(one.spiffe_id(), other.spiffe_id());
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPeer(Arc<Shared>);

#[derive(Debug, PartialEq, Eq)]
struct Shared {
    peer: VerifiedPeer,
    text: Box<str>,
}

impl From<VerifiedPeer> for SharedPeer {
    fn from(peer: VerifiedPeer) -> Self {
        let text = peer.spiffe_id.to_string().into_boxed_str();
        Self(Arc::new(Shared { peer, text }))
    }
}

impl Deref for SharedPeer {
    type Target = VerifiedPeer;

    fn deref(&self) -> &VerifiedPeer {
        &self.0.peer
    }
}

impl PeerIdentity {
    /// Vouches that `peer` comes out of a completed verification.
    ///
    /// This is the one way to make an identity. Everything that is decided later rests on it, so
    /// outside a verifier it belongs into tests alone. Search for its name to audit a code base.
    #[must_use]
    pub fn assume_verified(peer: impl Into<SharedPeer>, connection: Connection) -> Self {
        Self(Arc::new(Inner {
            peer: peer.into(),
            connection,
            resolved: Slot::default(),
        }))
    }

    /// The peer's SPIFFE ID.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.0.peer.spiffe_id
    }

    /// The peer's SPIFFE ID as a text, `spiffe://trust-domain/path`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.peer.0.text
    }

    /// The peer's trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        self.spiffe_id().trust_domain()
    }

    /// The path of the peer's ID, with its leading `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.spiffe_id().path()
    }

    /// The segments of the path: `ns`, `shop`, `sa`, `orders` of `/ns/shop/sa/orders`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path().split('/').skip(1)
    }

    /// Whether the peer's ID is among those that the pattern describes.
    #[must_use]
    pub fn matches(&self, pattern: &IdPattern) -> bool {
        pattern.matches(self.spiffe_id())
    }

    /// When the identity ends: the earliest `notAfter` of the chain that proved it.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.0.peer.not_after
    }

    /// The time that is left until [`not_after`](Self::not_after); zero after it.
    #[must_use]
    #[inline]
    pub fn expires_in(&self) -> Duration {
        self.not_after()
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    /// The fingerprint of the certificate or token that proved the identity.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.peer.fingerprint
    }

    /// How the identity was established.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        self.0.peer.method
    }

    /// Whether the identity still holds: nobody has withdrawn it and it has not expired.
    ///
    /// A request that arrives on an old connection is to be refused once this is false. One atomic
    /// load where the connection's owner keeps the time, as our acceptor and connector do.
    #[must_use]
    #[inline]
    pub fn is_current(&self) -> bool {
        self.0.connection.is_current(self.not_after())
    }

    /// Waits until the trust in the peer is withdrawn; at once if that has happened. Whoever keeps the
    /// time of the connection withdraws it when the identity expires.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped: a later call sees the same withdrawal.
    pub async fn withdrawn(&self) {
        self.0.connection.withdrawn().await;
    }

    /// Asks that the connection be closed once what is in flight has been answered.
    pub fn close(&self) {
        self.0.connection.request_close();
    }

    /// What a policy worked out for this peer before any other did, if it is of type `T`.
    ///
    /// Two slots spare policies from resolving the same caller with every request: this one is filled
    /// once and for good, since most connections see one policy and reading what never changes is
    /// cheapest. Whoever else has something to remember shares the other.
    #[inline]
    #[must_use]
    pub fn first_resolved<T: Any>(&self) -> Option<&T> {
        self.0.resolved.first.get()?.downcast_ref()
    }

    /// The same; made now if nobody was before.
    pub fn resolve_first<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        let first = &self.0.resolved.first;
        first.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// What was stored for this peer last, if it is of type `T`.
    pub fn last_resolved<T: Any, R>(&self, find: impl FnOnce(&T) -> R) -> Option<R> {
        let last = self.0.resolved.last.load();
        last.as_ref()?.downcast_ref().map(find)
    }

    /// Stores what has been worked out for this peer in place of what was stored last.
    pub fn set_last_resolved<T: Any + Send + Sync>(&self, value: T) {
        self.0.resolved.last.store(Some(Arc::new(Box::new(value))));
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerIdentity")
            .field("spiffe_id", &self.as_str())
            .field("not_after", &self.not_after())
            .field("fingerprint", &self.fingerprint())
            .field("method", &self.method())
            .field("connection", &self.0.connection)
            .finish()
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an identity was established. The text form is the one for audit records.
///
/// ```
/// assert_eq!(spiffe_peer::AuthMethod::MtlsX509Svid.to_string(), "mtls-x509-svid");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// The peer proved in a TLS handshake that it holds the key of an X.509-SVID.
    MtlsX509Svid,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MtlsX509Svid => f.write_str("mtls-x509-svid"),
        }
    }
}

/// The SHA-256 fingerprint of a certificate, for logs and audit records.
///
/// ```
/// let text = spiffe_peer::Fingerprint::from_sha256([0xab; 32]).to_string();
/// assert_eq!(text.len(), 95);
/// assert!(text.starts_with("ab:ab:"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// A fingerprint from a SHA-256 digest.
    #[must_use]
    pub const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A peer whom nobody has verified, and its connection.
#[cfg(test)]
pub(crate) fn test_peer(id: &str, not_after: SystemTime) -> (PeerIdentity, Connection) {
    let connection = Connection::new();
    let peer = VerifiedPeer {
        spiffe_id: crate::parse::workload_id(id).unwrap(),
        not_after,
        fingerprint: Fingerprint::from_sha256([1; 32]),
        method: AuthMethod::MtlsX509Svid,
    };
    let identity = PeerIdentity::assume_verified(peer, connection.clone());
    (identity, connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(not_after: SystemTime) -> (PeerIdentity, Connection) {
        test_peer("spiffe://example.org/ns/shop/sa/orders", not_after)
    }

    #[test]
    fn it_ends_with_its_chain() {
        assert!(
            peer(SystemTime::now() + Duration::from_secs(60))
                .0
                .is_current()
        );
        assert!(
            !peer(SystemTime::now() - Duration::from_secs(1))
                .0
                .is_current()
        );
    }

    #[test]
    fn a_withdrawal_reaches_every_clone_and_asks_for_the_end_of_the_connection() {
        let (peer, connection) = peer(SystemTime::now() + Duration::from_secs(60));
        let clone = peer.clone();
        connection.withdraw();
        assert!(!peer.is_current() && !clone.is_current());
    }

    #[tokio::test]
    async fn a_wish_to_close_is_seen_before_and_after_somebody_waits() {
        let (peer, connection) = peer(SystemTime::now() + Duration::from_secs(60));
        let waiter = tokio::spawn({
            let connection = connection.clone();
            async move { connection.close_requested().await }
        });
        tokio::task::yield_now().await;
        peer.close();
        waiter.await.unwrap();
        connection.close_requested().await;
        assert!(peer.is_current(), "a wish to close is no withdrawal");
    }

    #[test]
    fn one_slot_is_filled_once_and_the_other_holds_what_came_last() {
        let (peer, _connection) = peer(SystemTime::now() + Duration::from_secs(60));
        assert_eq!(peer.first_resolved::<u32>(), None);
        assert_eq!(peer.last_resolved(|value: &u32| *value), None);
        for value in [7_u32, 8] {
            assert_eq!(peer.clone().resolve_first(|| value), Some(&7));
            assert_eq!(peer.first_resolved(), Some(&7_u32));
            peer.clone().set_last_resolved(value);
            assert_eq!(peer.last_resolved(|value: &u32| *value), Some(value));
        }
        assert_eq!(peer.resolve_first(|| "a text"), None, "of another type");
        peer.set_last_resolved("a text");
        assert_eq!(peer.last_resolved(|value: &u32| *value), None);
        assert_eq!(peer.last_resolved(|text: &&str| *text), Some("a text"));
    }
}
