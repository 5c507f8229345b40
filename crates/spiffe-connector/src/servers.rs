use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use http::uri::Authority;
use spiffe_peer::IdMatcher;
use spiffe_tls::{ExpectedServer, InvalidExpectation};

use crate::dial::Target;

/// The most servers that a map may name.
const MAX_SERVERS: usize = 1024;

/// Whom to expect where: a map from what is dialled, `host:port`, to the server's SPIFFE ID. The port
/// is 443 where none is said. What is not in the map is not dialled.
///
/// ```
/// use spiffe_connector::ServersByAuthority;
///
/// let servers = ServersByAuthority::new([
///     ("orders.internal:8443", "spiffe://example.org/service/orders"),
///     ("stock.internal", "spiffe://example.org/service/stock"),
/// ])?;
/// # let _ = servers;
/// assert!(ServersByAuthority::new::<&str, &str>([]).is_err(), "nobody named is not everybody");
/// # Ok::<(), spiffe_connector::InvalidServers>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersByAuthority(BTreeMap<String, ExpectedServer>);

impl ServersByAuthority {
    /// A map of these entries; each value is an ID, an ID pattern, or an [`ExpectedServer`].
    ///
    /// # Errors
    ///
    /// [`InvalidServers`] where there is no entry or there are more than 1024, a key is no
    /// `host:port` or comes twice, or a value is no expectation.
    pub fn new<A, E>(servers: impl IntoIterator<Item = (A, E)>) -> Result<Self, InvalidServers>
    where
        A: AsRef<str>,
        E: TryInto<ExpectedServer>,
        E::Error: Into<InvalidExpectation>,
    {
        let mut by_authority = BTreeMap::new();
        for (authority, expected) in servers {
            let authority = authority.as_ref();
            let key = key(authority).ok_or_else(|| Why::Authority(authority.to_owned()))?;
            let expected = expected
                .try_into()
                .map_err(|error| Why::Expectation(key.clone(), error.into()))?;
            if by_authority.len() == MAX_SERVERS {
                return Err(Why::TooMany.into());
            }
            if by_authority.insert(key.clone(), expected).is_some() {
                return Err(Why::Twice(key).into());
            }
        }
        if by_authority.is_empty() {
            return Err(Why::Empty.into());
        }
        Ok(Self(by_authority))
    }

    pub(crate) fn at(&self, target: &Target) -> Option<&ExpectedServer> {
        self.0.get(&target.to_string())
    }

    /// All of them: whom a client with this map can be connected to at most.
    pub(crate) fn all(&self) -> ExpectedServer {
        IdMatcher::any_of(self.0.values().cloned().map(IdMatcher::from)).into()
    }

    /// The map where only the host is known; none where two ports of a host are two servers'.
    #[cfg(feature = "reqwest")]
    pub(crate) fn by_host(&self) -> Result<BTreeMap<String, ExpectedServer>, InvalidServers> {
        let mut by_host = BTreeMap::new();
        for (authority, expected) in &self.0 {
            let host = authority.rsplit_once(':').map_or("", |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let before = by_host.insert(host.to_owned(), expected.clone());
            if before.is_some_and(|before| before != *expected) {
                return Err(Why::SeveralAt(host.to_owned()).into());
            }
        }
        Ok(by_host)
    }
}

fn key(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    // A port that is none would otherwise be taken for 443.
    if authority.as_str().len() != authority.host().len() {
        authority.port_u16()?;
    }
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(authority)
        .path_and_query("/")
        .build()
        .ok()?;
    Some(Target::of(&uri).ok()?.to_string())
}

/// A [`ServersByAuthority`] that names nobody, or names somebody in a way that means nothing.
///
/// ```
/// use spiffe_connector::ServersByAuthority;
///
/// let servers = [("https://orders/", "spiffe://example.org/service/orders")];
/// let error = ServersByAuthority::new(servers).unwrap_err();
/// assert!(error.to_string().contains("host:port"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidServers(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    Empty,
    TooMany,
    Authority(String),
    Twice(String),
    Expectation(String, InvalidExpectation),
    #[cfg(feature = "reqwest")]
    SeveralAt(String),
}

impl From<Why> for InvalidServers {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl fmt::Display for InvalidServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("servers by authority: ")?;
        match &self.0 {
            Why::Empty => {
                f.write_str("nobody is named; an empty map never means that any server is expected")
            }
            Why::TooMany => write!(f, "there are more than {MAX_SERVERS}"),
            Why::Authority(text) => {
                let text: String = text.chars().take(256).collect();
                write!(f, "`{}` is no `host:port`", text.escape_debug())
            }
            Why::Twice(key) => write!(f, "{key} comes twice"),
            Why::Expectation(key, error) => write!(f, "{key}: {error}"),
            #[cfg(feature = "reqwest")]
            Why::SeveralAt(host) => write!(
                f,
                "two ports of {host} are two servers', and this client does not tell ports apart"
            ),
        }
    }
}

impl Error for InvalidServers {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Why::Expectation(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "spiffe://example.org/service/orders";
    const STOCK: &str = "spiffe://example.org/service/stock";

    fn at<'a>(servers: &'a ServersByAuthority, uri: &str) -> Option<&'a ExpectedServer> {
        servers.at(&Target::of(&uri.parse().unwrap()).unwrap())
    }

    #[test]
    fn what_is_dialled_is_found_however_it_is_written_and_nothing_else() {
        let servers = ServersByAuthority::new([
            ("Orders:8443", ORDERS),
            ("orders", STOCK),
            ("[::1]:1", STOCK),
        ])
        .unwrap();
        let (orders, stock) = (ORDERS.parse().unwrap(), STOCK.parse().unwrap());
        assert_eq!(at(&servers, "https://orders:8443/x"), Some(&orders));
        assert_eq!(at(&servers, "https://ORDERS:8443/x"), Some(&orders));
        assert_eq!(at(&servers, "https://me@orders:8443/x"), Some(&orders));
        assert_eq!(at(&servers, "https://orders/x"), Some(&stock));
        assert_eq!(at(&servers, "https://[::1]:1/x"), Some(&stock));
        for other in [
            "https://orders:8444/",
            "https://orders.:8443/",
            "https://stock:8443/",
        ] {
            assert_eq!(at(&servers, other), None, "{other}");
        }
    }

    #[test]
    fn a_map_that_means_nothing_is_none() {
        let refused =
            |servers: Vec<(&str, &str)>| ServersByAuthority::new(servers).unwrap_err().to_string();
        assert!(refused(vec![]).contains("nobody"));
        for key in [
            "",
            "https://orders",
            "me@orders:1",
            "orders:x",
            "orders:99999",
            "orders/x",
            "orders:",
        ] {
            let error = refused(vec![(key, ORDERS)]);
            assert!(error.contains("host:port"), "{key}: {error}");
        }
        assert!(refused(vec![("a:1", ORDERS), ("A:1", STOCK)]).contains("twice"));
        assert!(refused(vec![("a:1", "orders")]).contains("a:1"));
        let many = (1..=u16::try_from(MAX_SERVERS).unwrap() + 1)
            .map(|port| (format!("orders:{port}"), ORDERS));
        assert!(ServersByAuthority::new(many).is_err());
    }
}
