//! rustls configurations that follow a SPIFFE source: one per revision, built off the handshake
//! path, swapped at once, and pinned by each handshake from start to end.
//!
//! [`ServerTls`] and [`ClientTls`] are what acceptors and connectors are built on; [`WebClientTls`] is
//! for servers that authorities of the web vouch for. A peer's chain is verified against the bundle of
//! its own trust domain by `spiffe-verify`, and held against the deny-list; a chain that a revision has
//! verified before costs a look-up. TLS 1.3 alone unless asked otherwise, and no early data.
//!
//! # Resumption
//!
//! rustls verifies nobody who resumes a session. Here sessions end with the revision under which
//! they were begun, and whoever takes a connection asks the revision who the peer is
//! ([`ServerRevision::identify`], [`ClientRevision::identify`]) after every handshake: a resumed
//! session is accepted only where a full handshake would be. That holds whatever session store
//! somebody puts into a copy of a configuration.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use spiffe_source::Source;
//! use spiffe_tls::ServerTls;
//!
//! let tls = ServerTls::new(Source::workload_api().connect().await?)?;
//! let revision = tls.current().ok_or("the identity was withdrawn")?;
//! let config: std::sync::Arc<rustls::ServerConfig> = revision.config().clone();
//! # drop(config);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod client;
mod config;
mod error;
mod expected;
mod live;
mod peers;
mod server;
mod sessions;
mod trust;
mod untrusted;
mod watches;

pub use admission::{Admission, InvalidAdmission};
pub use client::{ClientRevision, ClientTls, ClientTlsBuilder, WebClientRevision, WebClientTls};
pub use error::{TlsError, refused_with};
pub use expected::{ExpectedServer, InvalidExpectation, UnexpectedServer};
#[doc(no_inline)]
pub use rustls;
pub use server::{ServerRevision, ServerTls, ServerTlsBuilder, WebCertificate};
pub use trust::TrustWatch;
pub use untrusted::UntrustedServer;
