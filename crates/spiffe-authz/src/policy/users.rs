//! End users: whether a token may be believed here, and what a rule demands of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use spiffe_peer::EndUser;

use super::model::{Binding, UserDemand, UserLike, UserSource};
use super::query::Peer;

/// Whether a user's token comes from somebody that the policy listens to, is meant for this service,
/// and is bound to the workload that presents it.
pub(super) fn may_be_believed(sources: &[UserSource], user: &EndUser, peer: Peer<'_>) -> bool {
    sources.iter().any(|source| accepts(source, user, peer))
}

fn accepts(source: &UserSource, user: &EndUser, peer: Peer<'_>) -> bool {
    source.issuer == user.issuer()
        && is_meant_for(&source.audiences, user.claim("aud"))
        && is_bound(source.bound_to, user, peer)
}

fn is_meant_for(audiences: &[String], claimed: Option<&Value>) -> bool {
    let known = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| audiences.iter().any(|audience| audience == text))
    };
    match claimed {
        Some(Value::Array(many)) => many.iter().any(known),
        Some(one) => known(one),
        None => false,
    }
}

fn is_bound(binding: Binding, user: &EndUser, peer: Peer<'_>) -> bool {
    let names_peer = |claim: Option<&Value>| {
        let named = claim.and_then(Value::as_str);
        named.is_some() && named == peer.id().map(ToString::to_string).as_deref()
    };
    match binding {
        Binding::None => true,
        // RFC 8693, section 4.1.
        Binding::Actor => names_peer(user.claim("act").and_then(|actor| actor.get("sub"))),
        Binding::Azp => names_peer(user.claim("azp")),
        // RFC 8705, section 3.1.
        Binding::Cnf => {
            let thumbprint = user.claim("cnf").and_then(|cnf| cnf.get("x5t#S256"));
            match (peer, peer.fingerprint()) {
                (_, Some(fingerprint)) => {
                    let ours = URL_SAFE_NO_PAD.encode(fingerprint.as_bytes());
                    thumbprint.and_then(Value::as_str) == Some(ours.as_str())
                }
                // There is no certificate to compare with: what is asked is what a request would get.
                (Peer::Id(_), None) => true,
                (_, None) => false,
            }
        }
    }
}

impl UserDemand {
    /// Whether the user, who may be believed, is one of those that a rule speaks of.
    pub(super) fn is_met(&self, sources: &[UserSource], user: Option<&EndUser>) -> bool {
        match (self, user) {
            (Self::Absent, user) => user.is_none(),
            (Self::Required, user) => user.is_some(),
            (Self::Like(_), None) => false,
            (Self::Like(like), Some(user)) => like.is_met(sources, user),
        }
    }
}

impl UserLike {
    fn is_met(&self, sources: &[UserSource], user: &EndUser) -> bool {
        let issuer = self.issuer.is_none_or(|index| {
            sources
                .get(index)
                .is_some_and(|source| source.issuer == user.issuer())
        });
        issuer
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| subject == user.subject())
            && self
                .scopes
                .iter()
                .all(|wanted| user.scopes().contains(wanted))
            && self
                .claims
                .iter()
                .all(|(name, wanted)| user.claim(name).is_some_and(|claim| says(claim, wanted)))
    }
}

fn says(claim: &Value, wanted: &Value) -> bool {
    claim == wanted
        || claim
            .as_array()
            .is_some_and(|many| many.iter().any(|one| one == wanted))
}
