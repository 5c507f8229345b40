use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::Serializer;

/// What is recorded of one decision.
///
/// Serialised, its keys are in camel case and absent values are left out.
///
/// ```
/// use spiffe_authz::audit::{AuditRecord, AuditSink, Lost};
///
/// /// Counts what is denied.
/// #[derive(Default)]
/// struct Denied(std::sync::atomic::AtomicU64);
///
/// impl AuditSink for Denied {
///     fn record(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
///         if record.decision == "deny" {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AuditRecord<'a> {
    /// `WORKLOAD_AUTHENTICATED` where the peer has an identity, else `WORKLOAD_UNAUTHENTICATED`.
    pub event_type: &'static str,
    /// The peer's SPIFFE ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<&'a str>,
    /// The peer's trust domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<&'a str>,
    /// The last segment of the peer's ID, by which people call a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_service: Option<&'a str>,
    /// The service that decided, as it was named to the layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_service: Option<&'a str>,
    /// How the peer proved its identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_method: Option<String>,
    /// The end user, by issuer and subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_subject: Option<&'a str>,
    /// The issuer of the end user's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_issuer: Option<&'a str>,
    /// `allow` or `deny`.
    #[serde(rename = "authorizationDecision")]
    pub decision: &'static str,
    /// The method of the request, as in `POST`.
    pub action: &'a str,
    /// The path of the request as it arrived, without its query; shortened where it is long.
    pub resource: &'a str,
    /// The tenant, where the request's extensions hold one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<&'a str>,
    /// The trace or request ID that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<&'a str>,
    /// When it was decided; serialised as seconds since 1970 with their fraction.
    #[serde(serialize_with = "seconds")]
    pub occurred_at: SystemTime,
    /// The policy that decided.
    pub policy: &'a str,
    /// The generation of that policy.
    pub generation: u64,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// The reason in one word.
    pub reason: &'a str,
    /// More about the reason: a condition that could not be evaluated, an objection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    /// The decision with everything counted that is in shadow, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_decision: Option<&'static str>,
    /// The rule behind [`shadow_decision`](Self::shadow_decision).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_rule: Option<&'a str>,
    /// How long the decision took, where that was measured; serialised in microseconds.
    #[serde(
        rename = "latencyMicros",
        serialize_with = "micros",
        skip_serializing_if = "Option::is_none"
    )]
    pub latency: Option<Duration>,
}

fn seconds<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    serializer.serialize_f64(since.as_secs_f64())
}

fn micros<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(whole_micros).serialize(serializer)
}

fn whole_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl AuditRecord<'_> {
    pub(crate) fn latency_micros(&self) -> Option<u64> {
        self.latency.map(whole_micros)
    }
}

/// Where records go beside `tracing`.
///
/// It is called before the request passes, in the request's own task: it must not block.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes a record.
    ///
    /// # Errors
    ///
    /// [`Lost`] where the record is lost and the request is not to pass without it.
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), Lost>;
}

/// A sink that is looked at from elsewhere too, as for [`JsonLines::dropped`](super::JsonLines::dropped).
impl<T: AuditSink + ?Sized> AuditSink for std::sync::Arc<T> {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        (**self).record(record)
    }
}

/// A record is lost that must not be: the request is denied.
///
/// ```
/// assert!(spiffe_authz::audit::Lost::new().to_string().contains("record"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lost;

impl Lost {
    /// The loss of one record.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the audit record could not be kept")
    }
}

impl std::error::Error for Lost {}

/// Whose request it is, for the audit record: put it into a request's extensions in a layer outside.
///
/// Where the [resource](crate::guard::ResourceProvider) has a `tenant` of another name, a denial also
/// counts as one across tenants (`spiffe_authz_cross_tenant_denied_total`).
///
/// ```
/// use spiffe_authz::audit::Tenant;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Tenant::new("acme"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(std::sync::Arc<str>);

impl Tenant {
    /// A tenant by its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
