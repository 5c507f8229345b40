//! The way to a server, whoever it has to be.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use socket2::{SockRef, TcpKeepalive};
use spiffe_tls::rustls::ClientConfig;
use spiffe_tls::rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ConnectError, ConnectFailure, Stage};
use crate::settings::{FAR, Settings};

const FIRST_WORD: Duration = Duration::from_secs(1);
const HTTPS_PORT: u16 = 443;

/// The one protocol that a handshake offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(crate) fn alpn(self) -> Vec<u8> {
        match self {
            Self::Http1 => b"http/1.1".to_vec(),
            Self::Http2 => b"h2".to_vec(),
        }
    }
}

/// What is dialled, in the one form in which it is compared and shown: `host:port`, in lower case.
/// Not the authority as it stands, which may hold a password.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    host: String,
    port: u16,
}

impl Target {
    pub(crate) fn of(uri: &Uri) -> Result<Self, ConnectError> {
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ConnectError::new("", ConnectFailure::NoHost))?;
        // `http` reads a port that is too large as none, and none means another server.
        let authority = uri.authority().map_or("", Authority::as_str);
        let without_user = authority.rsplit('@').next().unwrap_or_default();
        let port = match (uri.port_u16(), without_user.strip_prefix(host)) {
            (Some(port), _) => port,
            (None, Some("" | ":")) => HTTPS_PORT,
            (None, _) => return Err(ConnectError::new(host, ConnectFailure::BadPort)),
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The host without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn failed(&self, failure: ConnectFailure) -> ConnectError {
        ConnectError::new(self.to_string(), failure)
    }

    pub(crate) async fn dial(&self, settings: &Settings) -> Result<TcpStream, ConnectFailure> {
        let within = settings.dial_timeout;
        let overdue = |_| ConnectFailure::Timeout(Stage::Dial, within);
        let until = Instant::now() + within.min(FAR);
        let addresses = timeout_at(until, lookup_host((self.host(), self.port)))
            .await
            .map_err(overdue)?
            .map_err(ConnectFailure::Dial)?;
        let tcp = one_of(&addresses.collect::<Vec<_>>(), until)
            .await
            .map_err(overdue)?
            .map_err(ConnectFailure::Dial)?;
        // Requests are small and complete: waiting to fill a segment only delays them. Neither
        // setting is worth losing the connection for.
        let _ = tcp.set_nodelay(true);
        let keep_alive = TcpKeepalive::new()
            .with_time(settings.keep_alive)
            .with_interval(settings.keep_alive);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&keep_alive);
        Ok(tcp)
    }

    /// The name for the handshake, where the host can be one: an IP address or a DNS name.
    pub(crate) fn name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host().to_owned()).ok()
    }
}

/// A connection to the first of the addresses that takes one. Each has an equal share of the time that
/// is left, so that one that swallows packets does not cost the others theirs.
async fn one_of(
    addresses: &[SocketAddr],
    until: Instant,
) -> Result<io::Result<TcpStream>, Elapsed> {
    let mut outcome = Ok(Err(io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "the name has no address",
    )));
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let time = until.saturating_duration_since(Instant::now());
        let share = time / u32::try_from(left).unwrap_or(u32::MAX);
        outcome = timeout(share, TcpStream::connect(address)).await;
        if let Ok(Ok(_)) = outcome {
            break;
        }
    }
    outcome
}

/// The name for a handshake whose server is known by its SVID: a hint for routers on the way.
pub(crate) fn name_or_address(
    target: &Target,
    tcp: &TcpStream,
) -> Result<ServerName<'static>, ConnectFailure> {
    match target.name() {
        Some(name) => Ok(name),
        None => {
            let address: IpAddr = tcp.peer_addr().map_err(ConnectFailure::Dial)?.ip();
            Ok(address.into())
        }
    }
}

pub(crate) async fn shake_hands(
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    tcp: TcpStream,
    only: Option<Protocol>,
    settings: &Settings,
) -> Result<TlsStream<TcpStream>, ConnectFailure> {
    let config = if let Some(protocol) = only {
        // The copy shares sessions, verifier and certificate with the original.
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![protocol.alpn()];
        Arc::new(config)
    } else {
        config.clone()
    };
    let within = settings.handshake_timeout;
    let handshake = TlsConnector::from(config).connect(name, tcp);
    let mut tls = timeout(within, handshake)
        .await
        .map_err(|_| ConnectFailure::Timeout(Stage::Handshake, within))?
        .map_err(ConnectFailure::Handshake)?;
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    if http2 {
        // In TLS 1.3 the server judges this client after the client's last message. Its first
        // word over HTTP/2 is unasked, so waiting for it tells acceptance from refusal before
        // a request is sent into the void. A server that waits for ours is not held up long.
        if let Ok(Err(error)) = timeout(FIRST_WORD, tls.fill_buf()).await {
            return Err(ConnectFailure::Handshake(error));
        }
    }
    if only == Some(Protocol::Http2) && !http2 {
        return Err(ConnectFailure::NoHttp2);
    }
    Ok(tls)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// An address that swallows packets: the queue of its listener is full.
    async fn swallows() -> (SocketAddr, impl Sized) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        let brief = Duration::from_millis(200);
        while let Ok(waiting) = timeout(brief, TcpStream::connect(address)).await {
            queue.push(waiting.unwrap());
        }
        (address, (listener, queue))
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_does_not_hide_the_next() {
        let (silent, _queue) = swallows().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dial = async |addresses: &[SocketAddr], within| {
            one_of(addresses, Instant::now() + Duration::from_millis(within)).await
        };
        let tcp = dial(&[silent, address], 5000).await.unwrap().unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), address);
        assert!(dial(&[silent, silent], 200).await.is_err(), "control");
        assert!(dial(&[], 200).await.unwrap().is_err());
    }

    #[test]
    fn what_is_dialled_has_one_form() {
        let form = |uri: &str| Target::of(&uri.parse().unwrap()).unwrap().to_string();
        assert_eq!(form("https://Orders.Internal/x"), "orders.internal:443");
        assert_eq!(form("https://orders.internal:8443"), "orders.internal:8443");
        assert_eq!(form("https://me:secret@orders:1/"), "orders:1");
        assert_eq!(form("https://[::1]:8443/"), "[::1]:8443");
        assert_eq!(form("https://orders:/"), "orders:443");
        for bad in [
            "/path",
            "https://orders:65536/",
            "https://65536:65536/",
            "https://me:1@orders:99999/",
        ] {
            assert!(Target::of(&Uri::from_static(bad)).is_err(), "{bad}");
        }
        let six = Target::of(&Uri::from_static("https://[::1]:8443/")).unwrap();
        assert_eq!(six.host(), "::1");
    }
}
