//! The server side of mutual TLS with SPIFFE identities.
//!
//! An [`Acceptor`] shakes hands with the own X.509-SVID, takes no client without a verified one, and
//! puts its [`PeerIdentity`] into the extensions of every request. [`serve`] runs any Tower service
//! on it; with the feature `axum`, its [`Listener`] plugs into `axum::serve` as well.
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use spiffe_acceptor::{Acceptor, PeerIdentity, serve};
//! use spiffe_source::Source;
//!
//! let source = Source::workload_api().connect().await?; // SPIFFE_ENDPOINT_SOCKET
//! let app = Router::new().route("/", get(|peer: PeerIdentity| async move { format!("hello, {peer}\n") }));
//! let listener = Acceptor::builder(source).bind("127.0.0.1:8443").await?;
//! serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it guarantees
//!
//! - A request is handed on only with the identity of a peer that has proved it in the handshake,
//!   under the bundle of its own trust domain, and only while that identity is current.
//! - Handshakes run beside each other. A client that stays silent costs a place among the pending
//!   handshakes until the deadline, and never makes another client wait.
//! - A handshake uses one revision of the source from start to end, so rotation fails none.
//! - Identity comes from the connection alone: headers that pretend to carry one
//!   (`x-forwarded-client-cert`, `x-spiffe-id`) are removed.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `axum` (default) | [`Listener`] as a listener of `axum::serve`, and the peer in each of its requests |
//! | `config` | `config::Config`: addresses, peers and the source, from a YAML file, the environment and code |
//! | `probes` | `Probes`: `/live`, `/ready` and metrics without TLS, on an address of their own |
//! | `aws-lc-rs` (default), `ring` | the cryptography |
//!
//! # What it does not do
//!
//! It decides who a peer is, not what the peer may do: that is `spiffe-authz`. Under plain
//! `axum::serve` nobody can end a connection, so a peer whose identity has ended is refused with each
//! request; [`serve`] closes its connection as well.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "config")]
pub mod config;
mod error;
mod handshake;
mod listener;
#[cfg(feature = "probes")]
mod probes;
mod serve;
mod stream;
mod with_peer;

#[cfg(feature = "axum")]
pub use self::axum::{MakeServiceWithPeer, ServeWithPeer};
pub use error::{AcceptorError, HandshakeError, ServeError};
pub use handshake::{Acceptor, AcceptorBuilder};
pub use listener::Listener;
#[cfg(feature = "probes")]
pub use probes::Probes;
pub use serve::{Serve, serve};
pub use spiffe_peer::{Connection, PeerIdentity};
pub use stream::{HasPeer, Stream};
pub use with_peer::{ResponseFuture, WithPeer};
