//! One record for every decision: who asked for what, what was decided, by which rule, and why.
//!
//! Records go to `tracing`, as events of the target `spiffe_authz::audit` (level `INFO` for what is
//! denied, `DEBUG` for what is allowed), and to a [sink](AuditSink) if the layer has one.
//! [`JsonLines`] writes them into a file without making a request wait. A record holds identifiers
//! only: no header, no token, no body (invariant 13 of the design).

mod correlation;
mod file;
mod record;

pub use file::{JsonLines, JsonLinesBuilder};
pub use record::{AuditRecord, AuditSink, Lost, Tenant};

pub(crate) use correlation::correlation_id;
