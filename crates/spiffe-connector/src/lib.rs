//! Clients that speak mutual TLS with SPIFFE identities and know whom they call.
//!
//! A [`Connector`] presents the own X.509-SVID and accepts one server: the expected one. Whom to
//! expect has to be said; nothing here accepts any server. The server is refused before this client
//! has shown its certificate or sent a byte of a request.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use http_body_util::Empty;
//! use spiffe_connector::Connector;
//! use spiffe_peer::PeerIdentity;
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
//! A tonic channel takes the same connector. Its URI says `http`, since tonic would refuse `https`
//! with a connector of one's own where any crate turns its TLS features on; the connector speaks
//! TLS whatever the scheme:
//!
//! ```text
//! let channel = Endpoint::from_static("http://orders.internal:8443").connect_with_connector(orders).await?;
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod connector;
mod error;
mod failure;
mod stream;

pub use connector::Connector;
pub use error::{ConnectError, ConnectorError};
pub use failure::Failure;
pub use spiffe_tls::{ExpectedServer, InvalidExpectation, UnexpectedServer};
pub use stream::Stream;
