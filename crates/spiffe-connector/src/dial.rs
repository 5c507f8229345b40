//! The way to a server, whoever it has to be.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use socket2::{SockRef, TcpKeepalive};
use spiffe_tls::rustls::ClientConfig;
use spiffe_tls::rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{ConnectError, ConnectFailure, Stage};
use crate::settings::Settings;

const FIRST_WORD: Duration = Duration::from_secs(1);
const HTTPS_PORT: u16 = 443;

/// The one protocol that a handshake offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn alpn(self) -> Vec<u8> {
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
        let dial = TcpStream::connect((self.host(), self.port));
        let tcp = timeout(within, dial)
            .await
            .map_err(|_| ConnectFailure::Timeout(Stage::Dial, within))?
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
    use super::*;

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
