//! An embedded SPIFFE Workload API and certificate authority for development and tests.
//!
//! An [`Agent`] stands in for SPIRE: it has an authority for each trust domain, gives SVIDs to those
//! who ask on its sockets, renews them, and fails in whatever way a test wants it to.
//!
//! ```
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! use std::time::Duration;
//! use spiffe_devkit::{Agent, Code, Entry, Fault, TrustDomainSpec};
//! use spiffe_peer::parse;
//!
//! let agent = Agent::builder()
//!     .trust_domain(TrustDomainSpec::new("example.org")?.federates_with("partner.test"))
//!     .trust_domain(TrustDomainSpec::new("partner.test")?)
//!     .entry(Entry::new("spiffe://example.org/service/orders")?.on("orders").ttl(Duration::from_secs(60)))
//!     .entry(Entry::new("spiffe://partner.test/service/stock")?.on("stock"))
//!     .unix("orders")
//!     .unix("stock")
//!     .start()
//!     .await?;
//!
//! // Where the two services ask. One process can be both.
//! let (orders, stock) = (agent.endpoint("orders"), agent.endpoint("stock"));
//! assert!(orders.is_some() && orders != stock);
//!
//! // What may happen to a service on any day.
//! agent.rotate_svids();
//! agent.rotate_authority(&parse::trust_domain("example.org")?)?;
//! agent.withdraw(&parse::workload_id("spiffe://partner.test/service/stock")?)?;
//! agent.fault("orders", Fault::Error { code: Code::Unavailable, message: "starting".into() })?;
//! agent.heal("orders")?;
//!
//! for record in agent.log() {
//!     println!("{record}");
//! }
//! agent.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `spiffectl dev agent --config FILE` runs one from a file ([`AgentBuilder::from_file`]), and
//! `spiffectl dev ctl` gives it [`Command`]s.
//!
//! # What it serves
//!
//! - `FetchX509SVID`, `FetchX509Bundles` and `FetchJWTBundles`: an answer at once, the full set in
//!   each message, another message when and only when the answer has changed for this caller. The
//!   stream of a caller who has no identity left ends with `PermissionDenied`.
//! - `FetchJWTSVID` and `ValidateJWTSVID`, against the own and the federated bundles.
//! - Every call needs the metadata `workload.spiffe.io: true`. Every other method is unimplemented.
//!
//! X.509-SVIDs are P-256, each with a key of its own, and come with one intermediate. JWT-SVIDs are
//! ES256 and live for five minutes at most.
//!
//! # What it does not do
//!
//! It keeps nothing: each start makes new authorities. It knows a caller by the user, group and
//! executable of its process when it connected, and by the socket that it came to, which is no
//! attestation. It is not for production.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod authority;
mod builder;
mod caller;
mod check;
mod command;
mod config;
mod control;
mod core;
mod directory;
mod entry;
mod error;
mod fault;
mod log;
mod random;
mod server;
mod state;
mod trust_domain;
mod workload_api;

pub use agent::Agent;
pub use authority::{Authority, IssueError, IssueSpec, IssuedSvid};
pub use builder::AgentBuilder;
pub use caller::Caller;
pub use command::{Command, InvalidCommand};
pub use config::InvalidConfig;
pub use control::{ControlError, send_command};
pub use entry::Entry;
pub use error::{OperationError, StartError};
pub use fault::{Code, Fault, UnknownCode};
pub use log::Record;
pub use trust_domain::TrustDomainSpec;
