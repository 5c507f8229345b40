#![cfg_attr(
    not(feature = "axum"),
    allow(
        dead_code,
        reason = "only the guarded router decides where there is no rule"
    )
)]

use http::{Extensions, Request};
use spiffe_peer::PeerIdentity;

use crate::canonical::NotCanonical;
use crate::refusal::Refusal;
use crate::rule::Rule;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    NoIdentity,
    EndedIdentity,
    NotAllowed,
    NoRule,
    NotCanonical(NotCanonical),
    /// A rule of a policy denies.
    Rule,
    /// No rule of a policy allows.
    Default,
    BadUser,
    ConditionError,
    /// The decision point objects, or says nothing.
    DecisionPoint,
    /// The record of the decision could not be kept.
    NoRecord,
}

/// Where in a service a request is decided, for the event alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    pub(crate) route: Option<&'a str>,
    pub(crate) rpc: Option<&'a str>,
}

/// Decides on a request: the identity that the acceptor vouches for, and nothing that a client can set.
pub(crate) fn decide<B>(
    request: &Request<B>,
    rule: &Rule,
    place: Place<'_>,
) -> Result<(), Refusal> {
    let judged = match peer(request) {
        Some(peer) if !peer.is_current() => Err(Reason::EndedIdentity),
        peer => rule.judge(peer, None),
    };
    judged.map_err(|reason| refuse(request, Some(rule), place, reason))
}

/// Refuses a request for which there is no rule.
pub(crate) fn refuse_without_rule<B>(request: &Request<B>, place: Place<'_>) -> Refusal {
    refuse(request, None, place, without_rule(request))
}

/// Why a request without a rule is refused.
pub(crate) fn without_rule<B>(request: &Request<B>) -> Reason {
    match peer(request) {
        Some(peer) if !peer.is_current() => Reason::EndedIdentity,
        Some(_) => Reason::NoRule,
        None => Reason::NoIdentity,
    }
}

/// Refuses a request whose caller has lost its identity since it was let in.
pub(crate) fn refuse_ended<B>(request: &Request<B>) -> Refusal {
    refuse(request, None, Place::default(), Reason::EndedIdentity)
}

/// Refuses a request that can be read in more than one way.
pub(crate) fn refuse_not_canonical<B>(request: &Request<B>, why: NotCanonical) -> Refusal {
    refuse(request, None, Place::default(), Reason::NotCanonical(why))
}

fn peer<B>(request: &Request<B>) -> Option<&PeerIdentity> {
    request.extensions().get::<PeerIdentity>()
}

/// Makes the refusal and tells of it. A connection whose peer has no identity any more is asked to end.
#[cold]
fn refuse<B>(
    request: &Request<B>,
    rule: Option<&Rule>,
    place: Place<'_>,
    reason: Reason,
) -> Refusal {
    let peer = peer(request);
    if let (Reason::EndedIdentity, Some(peer)) = (reason, peer) {
        peer.close();
    }
    let refusal = Refusal::new(reason, request.headers());
    tracing::info!(
        target: "spiffe_authz",
        {
            peer.spiffe_id = peer.map(PeerIdentity::as_str),
            http.method = request.method().as_str(),
            http.route = place.route.or_else(|| matched_path(request.extensions())),
            rpc.method = place.rpc.or_else(|| asked_rpc(&refusal, request)),
            rule = rule.map(tracing::field::display),
            reason = refusal.reason(),
        },
        "request denied"
    );
    refusal
}

/// The longest name of an RPC that a client may have written into a log.
const LONGEST_RPC: usize = 200;

/// The RPC that a request asks for. Where no rule is found for it, whoever reads the log sees that the rule
/// speaks of another name. Of what a peer sends nothing else is repeated.
fn asked_rpc<'r, B>(refusal: &Refusal, request: &'r Request<B>) -> Option<&'r str> {
    let rpc = request.uri().path().strip_prefix('/')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/');
    let may_be_told = refusal.is_rpc() && rpc.len() <= LONGEST_RPC && rpc.bytes().all(is_name);
    may_be_told.then_some(rpc)
}

#[cfg(feature = "axum")]
fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions
        .get::<::axum::extract::MatchedPath>()
        .map(::axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn matched_path(_: &Extensions) -> Option<&str> {
    None
}
