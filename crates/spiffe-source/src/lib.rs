//! Keeps SVIDs and trust bundles live.
//!
//! A [`Source`] follows a SPIFFE Workload API: it holds one stream open, verifies what arrives, and
//! hands out [`Snapshot`]s. Each part of an update stands on its own: a malformed foreign bundle
//! distrusts that trust domain and does not stop the own SVID from rotating; an own SVID that its
//! bundle does not verify, or whose key does not fit, is never published. When the agent says that
//! the process has no identity any more, everything is withdrawn.
//!
//! [`Source::files`] follows files that another program keeps fresh, and [`Source::fixed`] takes
//! material that is at hand: both in the same way, part by part.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use spiffe_source::Source;
//!
//! let source = Source::workload_api().connect().await?; // SPIFFE_ENDPOINT_SOCKET
//! let snapshot = source.snapshot();
//! println!("{} at revision {}", source.status(), snapshot.revision());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `aws-lc-rs` (default), `ring` | the cryptography where no provider is given |
//! | `prost` | the messages of the Workload API as `prost` types, for those who serve it |
//! | `serde` | `Serialize` for the status and the changes |
//! | `metrics` | gauges and counters through the `metrics` facade |
//! | `axum` | a router with `/live` and `/ready` |
//!
//! How to run it under SPIRE, and what to alert on, stands in [`operation`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bounded_file;
mod builder;
mod change;
mod clock;
#[cfg(feature = "serde")]
mod date;
mod deny;
mod endpoint;
mod error;
mod feed;
mod files;
mod fixed;
#[cfg(feature = "axum")]
mod health;
pub mod jwt;
mod keeper;
mod material;
mod observe;
#[doc = include_str!("../docs/operation.md")]
pub mod operation {}
mod picker;
mod snapshot;
mod source;
mod status;
pub mod workload_api;

pub use builder::Builder;
pub use change::{Cause, Change, Changes, SvidSummary};
pub use deny::{DenyEntry, DenyList, InvalidDenyList};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::{Closed, ConnectError, NotReady};
pub use feed::{Feed, Sink};
pub use files::pem::InvalidPem;
pub use files::{FilePermissions, Files};
pub use fixed::Fixed;
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub use health::health;
pub use material::{Material, SvidMaterial};
pub use snapshot::{Snapshot, Svid};
pub use source::Source;
pub use status::{BundleStatus, State, Status, Statuses};
pub use workload_api::WorkloadApi;
