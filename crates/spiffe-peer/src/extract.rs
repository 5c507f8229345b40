use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::PeerIdentity;

/// The refusal of a handler that needs a [`PeerIdentity`] where there is none, or one that has
/// ended: 401 with a constant body.
///
/// ```
/// # use axum_core::response::IntoResponse;
/// use spiffe_peer::NoPeerIdentity;
///
/// assert_eq!(NoPeerIdentity::default().into_response().status(), 401);
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct NoPeerIdentity;

impl IntoResponse for NoPeerIdentity {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, "unauthenticated\n").into_response()
    }
}

impl std::fmt::Display for NoPeerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request comes from a peer without a current identity")
    }
}

impl std::error::Error for NoPeerIdentity {}

/// The identity that the acceptor put into the request; 401 where there is none.
impl<S: Sync> FromRequestParts<S> for PeerIdentity {
    type Rejection = NoPeerIdentity;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        current(parts).ok_or(NoPeerIdentity)
    }
}

/// `None` where the request comes from a peer without a current identity.
impl<S: Sync> OptionalFromRequestParts<S> for PeerIdentity {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(current(parts))
    }
}

fn current(parts: &Parts) -> Option<PeerIdentity> {
    parts
        .extensions
        .get::<PeerIdentity>()
        .filter(|peer| peer.is_current())
        .cloned()
}
