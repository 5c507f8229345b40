use std::future::Future;

use http::request::Parts;

use super::provider::{BoxError, BoxFuture};

/// Somebody else who has to agree before a request passes: another policy engine, a remote service.
///
/// It is asked only after the policy has allowed the request, and it can only deny. An error, or no
/// answer in time, denies. Dropping the request drops the future.
///
/// ```
/// use http::request::Parts;
/// use spiffe_authz::guard::{DecisionPoint, Verdict};
///
/// struct OfficeHours;
///
/// impl DecisionPoint for OfficeHours {
///     type Error = std::convert::Infallible;
///
///     async fn verdict(&self, request: &Parts) -> Result<Verdict, Self::Error> {
///         let quiet = request.uri.path().starts_with("/reports/");
///         Ok(if quiet { Verdict::NoObjection } else { Verdict::deny("outside office hours") })
///     }
/// }
/// ```
pub trait DecisionPoint: Send + Sync + 'static {
    /// Why there is no verdict; shown in the audit record.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// Looks at a request that the policy has allowed.
    fn verdict(&self, request: &Parts)
    -> impl Future<Output = Result<Verdict, Self::Error>> + Send;
}

/// What a [`DecisionPoint`] says. There is no word that allows what a policy has not.
///
/// ```
/// use spiffe_authz::guard::Verdict;
///
/// assert_ne!(Verdict::deny("frozen account"), Verdict::NoObjection);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The decision of the policy stands.
    NoObjection,
    /// The request is refused, for a reason that the audit record shows and the peer does not learn.
    #[non_exhaustive]
    Deny {
        /// The reason in words.
        because: String,
    },
}

impl Verdict {
    /// An objection, with its reason.
    #[must_use]
    pub fn deny(because: impl Into<String>) -> Self {
        Self::Deny {
            because: because.into(),
        }
    }
}

pub(super) trait AnyDecisionPoint: Send + Sync {
    fn ask<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verdict, BoxError>>;
}

impl<T: DecisionPoint> AnyDecisionPoint for T {
    fn ask<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verdict, BoxError>> {
        Box::pin(async { self.verdict(request).await.map_err(Into::into) })
    }
}
