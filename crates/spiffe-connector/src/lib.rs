//! Clients that speak mutual TLS with SPIFFE identities and know whom they call.
//!
//! A [`Connector`] presents the own X.509-SVID and accepts one server: the expected one. Whom to
//! expect has to be said, as an ID, an ID pattern, an `IdMatcher`, a trust domain by name, or a map
//! from what is dialled to an ID ([`ServersByAuthority`]); nothing here accepts any server. The server
//! is refused before this client has shown its certificate or sent a byte of a request.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use http_body_util::Empty;
//! use spiffe_connector::{Connector, PeerIdentity};
//! use spiffe_source::Source;
//!
//! let source = Source::workload_api().connect().await?; // SPIFFE_ENDPOINT_SOCKET
//! let orders = Connector::new(source, "spiffe://example.org/service/orders")?;
//! let client = orders.http_client::<Empty<hyper::body::Bytes>>();
//! let response = client.get("https://orders.internal:8443/orders/1".parse()?).await?;
//! let server = response.extensions().get::<PeerIdentity>();
//! println!("{} from {server:?}", response.status());
//! # Ok(())
//! # }
//! ```
//!
//! # Clients
//!
//! | client | made by | feature |
//! |---|---|---|
//! | HTTP/1.1 and HTTP/2 | [`Connector::http_client`] | |
//! | tonic's | `Connector::grpc_channel` | `tonic` |
//! | reqwest's, as far as it goes | `Connector::reqwest` | `reqwest` |
//! | HTTP, to servers of the web | `Connector::web` | `web` |
//! | anything over hyper-util | a [`Connector`] is a `tower::Service<Uri>` | |
//!
//! [`JwtSvidLayer`] shows a JWT-SVID with each request.
//!
//! # The end of a connection
//!
//! A connection closes at once, with what is in flight, when its server's identity ends or the trust in
//! it is withdrawn. Before that comes to pass by time alone, the clients of this crate retire it: it
//! gets no more requests and finishes those that it has. It is also retired some time after the own
//! SVID has been replaced ([`Connector::retire_after`]), so that no server sees the old one end. A
//! client that somebody builds over hyper-util on a [`Connector`] has the first half of this, not the
//! second: only its maker knows which request went to which connection.
//!
//! # Errors
//!
//! In TLS 1.3 the server judges this client after the handshake. [`Failure`] says of any error who
//! refused whom, and why.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempts;
mod body;
mod call_error;
mod connector;
mod dial;
mod error;
mod failure;
#[cfg(feature = "tonic")]
mod grpc;
mod guarded;
mod http_client;
mod jwt;
mod life;
mod replay;
#[cfg(feature = "reqwest")]
mod reqwest_builder;
mod servers;
mod settings;
mod stream;
#[cfg(feature = "web")]
mod web;

pub use body::ResponseBody;
pub use call_error::CallError;
pub use connector::Connector;
pub use error::{ConnectError, ConnectorError};
pub use failure::Failure;
#[cfg(feature = "tonic")]
pub use grpc::{GrpcChannel, InvalidOrigin};
pub use http_client::HttpClient;
pub use jwt::{JwtSvid, JwtSvidLayer, TokenError, VerifiesServer};
#[cfg(feature = "reqwest")]
#[doc(no_inline)]
pub use reqwest;
pub use servers::{InvalidServers, ServersByAuthority};
#[doc(no_inline)]
pub use spiffe_peer::PeerIdentity;
pub use spiffe_tls::{ExpectedServer, InvalidExpectation, UnexpectedServer};
pub use stream::Stream;
#[cfg(feature = "web")]
pub use web::{WebConnector, WebStream};
