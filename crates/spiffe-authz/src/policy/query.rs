use std::time::SystemTime;

use http::request::Parts;
use http::uri::Authority;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use serde_json::Value;
use spiffe_peer::{EndUser, Fingerprint, PeerIdentity, SpiffeId};

/// What a policy is asked about: a request, who makes it, and what is known about both.
///
/// ```
/// use http::{HeaderMap, Method};
/// use spiffe_authz::policy::Query;
/// use spiffe_peer::parse;
///
/// let (headers, peer) = (HeaderMap::new(), parse::workload_id("spiffe://example.org/service/orders")?);
/// let query = Query::new(&Method::GET, "/documents/7", &headers).peer(&peer);
/// # let _ = query;
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a query is decided by a policy"]
pub struct Query<'a> {
    pub(super) method: &'a Method,
    /// As it arrived, with or without a query, which plays no part.
    target: &'a str,
    pub(super) authority: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Peer<'a>,
    pub(super) user: User<'a>,
    pub(crate) resource: Resource<'a>,
    pub(super) at: Option<SystemTime>,
    pub(crate) trailing_slash: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Peer<'a> {
    Nobody,
    /// Known by its ID alone, as on the command line.
    Id(&'a SpiffeId),
    Verified(&'a PeerIdentity),
}

/// The end user, looked for only where a policy asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum User<'a> {
    Known(Option<&'a EndUser>),
    In(&'a Extensions),
}

impl<'a> User<'a> {
    pub(super) fn get(self) -> Option<&'a EndUser> {
        match self {
            Self::Known(user) => user,
            Self::In(extensions) => extensions.get(),
        }
    }
}

/// What the service says of the thing that the request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource<'a> {
    Known(&'a Value),
    /// There is none, or nobody who could tell.
    Absent,
    /// Nobody has been asked yet.
    NotAsked,
}

impl<'a> Query<'a> {
    /// A request by nobody: its method, its target as it arrived (a query plays no part), its headers.
    pub fn new(method: &'a Method, target: &'a str, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            target,
            authority: None,
            headers,
            peer: Peer::Nobody,
            user: User::Known(None),
            resource: Resource::Absent,
            at: None,
            trailing_slash: false,
        }
    }

    /// A request as a server has it, with the [`PeerIdentity`] and the [`EndUser`] in its extensions.
    /// Whether that identity is current is not looked at.
    #[inline]
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Head::of(request).query()
    }

    /// The same request by the workload with this ID.
    pub fn peer(mut self, peer: &'a SpiffeId) -> Self {
        self.peer = Peer::Id(peer);
        self
    }

    /// The same request by the peer of a connection, of which a policy remembers what it has found out.
    /// Whether that identity is current is not looked at.
    pub fn verified_peer(mut self, peer: &'a PeerIdentity) -> Self {
        self.peer = Peer::Verified(peer);
        self
    }

    /// The same request on behalf of this user.
    pub fn user(mut self, user: &'a EndUser) -> Self {
        self.user = User::Known(Some(user));
        self
    }

    /// The same request about this thing.
    pub fn resource(mut self, resource: &'a Value) -> Self {
        self.resource = Resource::Known(resource);
        self
    }

    /// What is decided on: a path, and maybe a query after it.
    #[inline]
    pub(super) fn target(&self) -> &'a str {
        if !self.trailing_slash {
            return self.target;
        }
        match self.target.strip_suffix('/') {
            Some(path) if !matches!(path, "" | "/") => path,
            _ => self.target,
        }
    }

    /// The same request at another time than now.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.at = Some(time);
        self
    }
}

impl<'a> Peer<'a> {
    pub(super) fn id(self) -> Option<&'a SpiffeId> {
        match self {
            Self::Nobody => None,
            Self::Id(id) => Some(id),
            Self::Verified(peer) => Some(peer.spiffe_id()),
        }
    }

    /// The fingerprint of the peer's certificate, where there is one to compare with.
    pub(super) fn fingerprint(self) -> Option<Fingerprint> {
        match self {
            Self::Verified(peer) => Some(peer.fingerprint()),
            Self::Nobody | Self::Id(_) => None,
        }
    }
}

/// What a decision looks at of a request, before and after its body has been set aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) extensions: &'a Extensions,
    pub(crate) peer: Option<&'a PeerIdentity>,
}

impl<'a> Head<'a> {
    #[inline]
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self::new(
            request.method(),
            request.uri(),
            request.headers(),
            request.extensions(),
        )
    }

    #[inline]
    fn new(
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self {
            method,
            uri: as_it_arrived(extensions).unwrap_or(uri),
            headers,
            extensions,
            peer: extensions.get(),
        }
    }

    #[inline]
    pub(crate) fn query(self) -> Query<'a> {
        Query {
            method: self.method,
            target: self.uri.path(),
            authority: self.uri.authority().map(Authority::as_str),
            headers: self.headers,
            peer: self.peer.map_or(Peer::Nobody, Peer::Verified),
            user: User::In(self.extensions),
            resource: Resource::Absent,
            at: None,
            trailing_slash: false,
        }
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self::new(&parts.method, &parts.uri, &parts.headers, &parts.extensions)
    }
}

/// The target before a nested router of axum's took its prefix away.
#[cfg(feature = "axum")]
fn as_it_arrived(extensions: &Extensions) -> Option<&Uri> {
    extensions
        .get::<::axum::extract::OriginalUri>()
        .map(|original| &original.0)
}

#[cfg(not(feature = "axum"))]
fn as_it_arrived(_: &Extensions) -> Option<&Uri> {
    None
}
