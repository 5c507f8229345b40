//! A policy around any Tower service.
//!
//! [`AuthzLayer`] decides every request that passes it, by the canonical path as it arrived at the
//! server: it belongs outside everything that rewrites paths, and inside nothing that adds routes behind
//! its back. With axum, prefer [`guard`](crate::axum::guard) or the guarded router of
//! [`spiffe_authz::axum`](crate::axum): they leave nothing outside.
//!
//! **Where it may be mounted:** around a whole router, a tonic server, any service whose requests
//! carry a [`PeerIdentity`](spiffe_peer::PeerIdentity) in their extensions. Inside a nested router of
//! axum it decides by the whole path all the same, which axum keeps as `OriginalUri` (feature `axum`).
//! Behind anything else that strips a prefix, or that rewrites paths, rules that speak of the whole path
//! do not meet the request: what they allow is denied there, and **what they deny is not**.
//!
//! It decides in one synchronous step before the inner service is called. Only where a rule reads the
//! [resource](ResourceProvider), or where a [decision point](DecisionPoint) is set, does a request
//! wait, for no longer than a deadline.

mod decided;
mod decision_point;
mod error;
mod future;
mod layer;
mod provider;
mod recorded;
mod service;
mod shared;
mod streams;

pub use decision_point::{DecisionPoint, Verdict};
pub use error::InvalidGuard;
pub use future::ResponseFuture;
pub use layer::{AuthzLayer, Constant, Respond, With};
pub use provider::ResourceProvider;
pub use service::Authz;
pub use streams::{Streams, StreamsLayer, WatchedBody, WatchedFuture};

#[cfg(feature = "axum")]
pub(crate) use provider::BoxFuture;
#[cfg(feature = "axum")]
pub(crate) use shared::{Entry, Guard, Scope};
