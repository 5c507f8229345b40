use std::future::Future;
use std::pin::Pin;

use http::request::Parts;
use serde_json::Value;

/// Any error of the service's own code.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells what the service knows of the thing that a request is about: `resource` in a rule's `when`.
///
/// It is asked only where the decision depends on a rule that reads `resource`. An error, or no answer
/// in time, is as if there were no resource: a rule that allows does not match then, one that denies does.
/// Dropping the request drops the future.
///
/// ```
/// use http::request::Parts;
/// use serde_json::{Value, json};
/// use spiffe_authz::guard::ResourceProvider;
///
/// struct Documents;
///
/// impl ResourceProvider for Documents {
///     type Error = std::convert::Infallible;
///
///     async fn resource(&self, request: &Parts) -> Result<Option<Value>, Self::Error> {
///         let draft = request.uri.path().starts_with("/documents/draft-");
///         Ok(Some(json!({ "state": if draft { "draft" } else { "final" } })))
///     }
/// }
/// ```
pub trait ResourceProvider: Send + Sync + 'static {
    /// Why it cannot tell; shown in the audit record.
    type Error: Into<Box<dyn std::error::Error + Send + Sync>>;

    /// What is known of the thing, or `None` where there is no such thing.
    fn resource(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<Value>, Self::Error>> + Send;
}

pub(super) trait AnyProvider: Send + Sync {
    fn ask<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Option<Value>, BoxError>>;
}

impl<T: ResourceProvider> AnyProvider for T {
    fn ask<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Option<Value>, BoxError>> {
        Box::pin(async { self.resource(request).await.map_err(Into::into) })
    }
}
