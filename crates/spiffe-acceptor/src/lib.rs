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
//!   under the bundle of its own trust domain, and only while that identity is current. Resumed
//!   sessions are no exception. Without an identity ([`AcceptorBuilder::anonymous_clients`]) a request
//!   carries none, whoever else may have put one into it.
//! - Handshakes run beside each other. A client that stays silent costs a place among the pending
//!   handshakes until the deadline, and never makes another client wait. One address cannot take all
//!   places.
//! - A handshake uses one revision of the source from start to end, so rotation fails none.
//! - Each handshake is told once, whatever becomes of it: one event (target `spiffe_acceptor`; a
//!   refusal at debug, with its reason, the peer's address and the ID that it claimed without proof),
//!   one count, one call of [`AcceptorBuilder::on_handshake`].
//! - A connection ends with the trust in its peer. [`serve`] drains it: GOAWAY or `Connection: close`,
//!   then the time of [`Serve::drain_within`], then a clean cut. Under every other server the
//!   [`Stream`] itself fails after [`AcceptorBuilder::grace`], also where it carries a WebSocket or a
//!   response without end; until then each request is answered with 401 or `UNAUTHENTICATED`. The peer
//!   gets a close_notify. A handler that has taken a WebSocket over and neither reads nor writes is
//!   told when it next does: nothing passes, but the socket stays with it.
//! - Identity comes from the connection alone: headers that pretend to carry one
//!   (`x-forwarded-client-cert`, `x-spiffe-id`, with `_` for any `-`) are removed.
//!
//! # What it does not do
//!
//! It decides who a peer is, not what the peer may do: that is `spiffe-authz`. Only [`serve`] can ask
//! a peer to leave before the end (no other server gives a way to); a connection of an anonymous
//! client has no identity that could end, so it ends with the own. tonic's `Request::peer_certs` is empty: the
//! [`PeerIdentity`] says more.
//!
//! # What bounds it
//!
//! | what | default | why | set by |
//! |---|---|---|---|
//! | a whole handshake | 10 s | long enough for a bad mobile line | [`AcceptorBuilder::handshake_timeout`] |
//! | pending handshakes | 1024 | 8 to 20 KiB each; the oldest gives way | [`AcceptorBuilder::max_pending_handshakes`] |
//! | … of one IPv4 address or IPv6 `/64` | 128 | an eighth of all; the oldest of the address gives way | [`AcceptorBuilder::max_pending_handshakes_per_address`] |
//! | a refused client reading why; an HTTP/2 peer reading a goodbye | 1 s, 1 MiB unread | a reset can overtake an alert, or the GOAWAY that says what may be sent again | – |
//! | a handshake that is under way when the server stops | 1 s | its client may have sent a request already | – |
//! | a stream whose peer is no longer trusted | 10 s | as `drain_within` | [`AcceptorBuilder::grace`] |
//! | open connections | 10 000 | about 260 MiB of idle ones; at the limit none is accepted, only what has begun is finished | [`Serve::max_connections`] |
//! | the first request; the head of one and the pause between two over HTTP/1.1 | 30 s | clients send them at once | [`Serve::header_timeout`] |
//! | a connection with nothing in flight | 120 s | longer than clients keep one in their pools | [`Serve::idle_timeout`] |
//! | what is in flight at an end | 10 s | a third of what Kubernetes gives a pod to stop | [`Serve::drain_within`] |
//! | the age of a connection | none | for fleets behind a balancer of connections; up to a tenth less, so that not all return at once | [`Serve::max_connection_age`] |
//! | leaving before either identity ends | a tenth of what is left, at most 30 s, up to twice that | no request meets the end, and a fleet does not return at once | – |
//! | a quiet HTTP/2 peer | a PING each 30 s, 30 s to answer | finds those that are gone | – |
//! | the head of a request | 16 KiB, 100 headers over HTTP/1.1 | also bounds CONTINUATION frames | [`Serve::max_header_bytes`] |
//! | requests at a time over HTTP/2 | 128 | | [`Serve::max_concurrent_streams`] |
//! | streams that an HTTP/2 peer resets unseen | 20 pending, 128 by its faults | rapid reset; then GOAWAY | – |
//! | a response that its client does not read | the end of the identity | what is in flight is not idle | – |
//! | unread bytes | 64 KiB over HTTP/1.1; 1 MiB a connection over HTTP/2 | | – |
//! | errors of `accept` (no descriptors, say) | a pause of 50 ms to 1 s, one warning | handshakes go on meanwhile | – |
//!
//! # Plugs
//!
//! | server | how |
//! |---|---|
//! | ours | [`serve`]`(listener, app)` |
//! | `axum::serve` | `axum::serve(listener, app.into_make_service_with_peer())` |
//! | axum-server | `axum_server::bind(addr).acceptor(AxumServerAcceptor::from(acceptor))` |
//! | tonic's own | `.layer(PeerIdentityLayer::new()).serve_with_incoming(listener.into_incoming())` |
//! | hyper by hand | [`Acceptor::accept_from`] and [`WithPeer`] |
//!
//! Connections come from any [`Incoming`]: TCP, Unix sockets, or what wraps one to read a PROXY
//! header. gRPC and REST share a port: an axum router that is made of tonic's `Routes`. The address of
//! the other end is where axum and tonic look for it after `with_connect_info` and
//! `with_tonic_connect_info` of [`Serve`], and `with_connect_info` of the make-service for
//! `axum::serve`; tonic's own server has it anyway.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `aws-lc-rs` (default), `ring` | the crypto provider; both may be on |
//! | `axum` (default) | the plug for `axum::serve`, and the extractor for [`PeerIdentity`] |
//! | `axum-server` | `AxumServerAcceptor` |
//! | `tonic` | `Listener::into_incoming`, `PeerIdentityLayer`, `Serve::with_tonic_connect_info` |
//! | `config` | `config::Config`: addresses, peers and the source, from a YAML file, the environment and code |
//! | `probes` | `Probes`: `/live`, `/ready` and metrics without TLS, on an address of their own |
//! | `tls12` | `AcceptorBuilder::tls12` |
//! | `metrics` | the figures below, through the `metrics` facade |
//!
//! # Metrics
//!
//! | name | labels |
//! |---|---|
//! | `spiffe_handshakes_total` | `result` (`accepted`, `refused`); `reason`: `full`, `resumed`, or [`HandshakeError::reason`] |
//! | `spiffe_handshake_duration_seconds` | `result` |
//! | `spiffe_connections_open` | |
//! | `spiffe_connections_closed_total` | `reason`: `served`, `peer`, `error`, `identity`, `idle`, `age`, `asked`, `shutdown` |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "axum-server")]
mod axum_server;
mod builder;
#[cfg(feature = "config")]
pub mod config;
mod cut;
mod ending;
mod error;
mod faults;
mod gathering;
mod handshake;
mod incoming;
mod listener;
mod observe;
mod pending;
#[cfg(feature = "probes")]
mod probes;
mod serve;
mod stream;
#[cfg(feature = "tonic")]
mod tonic;
mod with_peer;

#[cfg(feature = "axum")]
pub use self::axum::{MakeServiceWithConnectInfo, MakeServiceWithPeer, ServeWithPeer};
#[cfg(feature = "axum-server")]
pub use self::axum_server::AxumServerAcceptor;
#[cfg(feature = "tonic")]
pub use self::tonic::{IncomingStreams, PeerIdentityLayer, PeerIdentityService, SpiffeConnectInfo};
pub use attempt::Handshake;
pub use builder::AcceptorBuilder;
pub use error::{AcceptorError, HandshakeError, ServeError};
pub use handshake::Acceptor;
pub use incoming::Incoming;
pub use listener::Listener;
#[cfg(feature = "probes")]
pub use probes::Probes;
pub use serve::{Serve, serve};
pub use spiffe_peer::{Connection, PeerIdentity};
#[doc(no_inline)]
pub use spiffe_tls::rustls;
pub use spiffe_tls::{Admission, InvalidAdmission, TlsError, WebCertificate};
pub use stream::{HasPeer, Stream};
pub use with_peer::{ResponseFuture, WithPeer};
