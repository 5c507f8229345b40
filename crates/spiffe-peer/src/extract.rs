use std::convert::Infallible;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::{PathMismatch, PeerIdentity, SpiffePath};

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

/// The refusal of a handler that takes a [`SpiffePath`]: 401 where the request has no current
/// [`PeerIdentity`], 403 where its ID has another shape. Both bodies are constant; what was wrong is
/// for logs.
///
/// ```
/// use axum_core::response::IntoResponse;
/// use spiffe_peer::{NoPeerIdentity, TypedIdRejection};
///
/// let refusal = TypedIdRejection::from(NoPeerIdentity::default());
/// assert_eq!(refusal.into_response().status(), 401);
/// ```
#[derive(Debug)]
pub struct TypedIdRejection(Refused);

#[derive(Debug)]
enum Refused {
    Nobody(NoPeerIdentity),
    OtherShape(PathMismatch),
}

impl From<NoPeerIdentity> for TypedIdRejection {
    fn from(error: NoPeerIdentity) -> Self {
        Self(Refused::Nobody(error))
    }
}

impl From<PathMismatch> for TypedIdRejection {
    fn from(error: PathMismatch) -> Self {
        Self(Refused::OtherShape(error))
    }
}

impl IntoResponse for TypedIdRejection {
    fn into_response(self) -> Response {
        match self.0 {
            Refused::Nobody(error) => error.into_response(),
            Refused::OtherShape(_) => (StatusCode::FORBIDDEN, "forbidden\n").into_response(),
        }
    }
}

impl std::fmt::Display for TypedIdRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Refused::Nobody(error) => error.fmt(f),
            Refused::OtherShape(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TypedIdRejection {}

/// What a derived extractor does.
///
/// # Errors
///
/// [`TypedIdRejection`] where there is no current identity, or its ID has another shape.
pub fn typed_id<T: SpiffePath>(parts: &Parts) -> Result<T, TypedIdRejection> {
    let peer = current(parts).ok_or(NoPeerIdentity)?;
    Ok(T::from_id(peer.spiffe_id())?)
}

/// Here and not in the derive macro, since only this crate knows whether its feature is on.
#[doc(hidden)]
#[macro_export]
macro_rules! __typed_id_extractor {
    ($name:ident) => {
        impl<S: ::core::marker::Sync> $crate::__private::FromRequestParts<S> for $name {
            type Rejection = $crate::TypedIdRejection;

            async fn from_request_parts(
                parts: &mut $crate::__private::Parts,
                _state: &S,
            ) -> ::core::result::Result<Self, Self::Rejection> {
                $crate::__private::typed_id(parts)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::Connection;
    use crate::identity::test_peer;

    fn orders(not_after: SystemTime) -> (PeerIdentity, Connection) {
        test_peer("spiffe://example.org/ns/shop/sa/orders", not_after)
    }

    async fn extracted(peer: Option<PeerIdentity>) -> Option<PeerIdentity> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        if let Some(peer) = peer {
            parts.extensions.insert(peer);
        }
        let Ok(optional) =
            <PeerIdentity as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &())
                .await;
        let required =
            <PeerIdentity as FromRequestParts<()>>::from_request_parts(&mut parts, &()).await;
        match (&required, &optional) {
            (Ok(required), Some(optional)) => assert_eq!(required.as_str(), optional.as_str()),
            (required, optional) => assert!(required.is_err() && optional.is_none()),
        }
        optional
    }

    #[tokio::test]
    async fn a_current_identity_is_extracted() {
        let (peer, _connection) = orders(SystemTime::now() + Duration::from_secs(60));
        let found = extracted(Some(peer)).await.unwrap();
        assert_eq!(found.as_str(), "spiffe://example.org/ns/shop/sa/orders");
    }

    #[tokio::test]
    async fn an_identity_that_is_absent_expired_or_withdrawn_is_none() {
        assert!(extracted(None).await.is_none());
        let (expired, _connection) = orders(SystemTime::now() - Duration::from_secs(1));
        assert!(extracted(Some(expired)).await.is_none());
        let (withdrawn, connection) = orders(SystemTime::now() + Duration::from_secs(60));
        connection.withdraw();
        assert!(extracted(Some(withdrawn)).await.is_none());
    }
}
