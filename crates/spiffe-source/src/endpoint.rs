use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::workload_api::socket::replaceable;

/// The environment variables that name the agent's socket, in the order in which they are asked.
/// The first is the specification's (SPIFFE Workload Endpoint, section 4), the second an alias.
const VARIABLES: [&str; 2] = ["SPIFFE_ENDPOINT_SOCKET", "SPIRE_AGENT_SOCKET"];

/// Where a Workload API is reached: `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8081`.
///
/// The text form is that of the SPIFFE Workload Endpoint specification, section 4, taken strictly.
///
/// ```
/// use spiffe_source::Endpoint;
///
/// let endpoint: Endpoint = "unix:///run/spire/agent.sock".parse()?;
/// assert_eq!(endpoint.to_string(), "unix:///run/spire/agent.sock");
///
/// let error = "unix://run/spire/agent.sock".parse::<Endpoint>().unwrap_err();
/// assert!(error.to_string().contains("write `unix:///run/spire/agent.sock`"));
/// # Ok::<(), spiffe_source::InvalidEndpoint>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Address);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Endpoint {
    /// The endpoint that `SPIFFE_ENDPOINT_SOCKET` names or, where that is unset,
    /// `SPIRE_AGENT_SOCKET`.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`] where neither is set, or the one that is holds no endpoint. No path is
    /// ever guessed.
    pub fn from_env() -> Result<Self, InvalidEndpoint> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(read: impl Fn(&str) -> Option<OsString>) -> Result<Self, InvalidEndpoint> {
        for name in VARIABLES {
            if let Some(value) = read(name).filter(|value| !value.is_empty()) {
                let value = value.to_string_lossy();
                return value
                    .parse()
                    .map_err(|error: InvalidEndpoint| error.named_by(name));
            }
        }
        Err(InvalidEndpoint::new(
            "",
            "SPIFFE_ENDPOINT_SOCKET is not set; set it to the agent's socket, for instance `unix:///run/spire/sockets/agent.sock`",
            None,
        ))
    }

    /// The path of the agent's socket, where it is a Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.0 {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        }
    }

    /// What speaks against the directories above the agent's socket: whoever can put another socket
    /// in its place hands out identities.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        self.socket().and_then(replaceable)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid =
            |why: &str, suggestion: Option<String>| InvalidEndpoint::new(text, why, suggestion);
        if text.contains(['?', '#']) {
            return Err(invalid("an endpoint has neither query nor fragment", None));
        }
        match text.split_once(':') {
            Some(("unix", rest)) => {
                unix(rest).map_err(|(why, suggestion)| invalid(why, suggestion))
            }
            Some(("tcp", rest)) => tcp(rest).map_err(|why| invalid(why, None)),
            _ if text.starts_with('/') => Err(invalid(
                "the scheme is missing",
                Some(format!("unix://{text}")),
            )),
            Some((scheme, _))
                if scheme.eq_ignore_ascii_case("unix") || scheme.eq_ignore_ascii_case("tcp") =>
            {
                Err(invalid("the scheme is written in lower case", None))
            }
            _ => Err(invalid("its scheme is neither `unix` nor `tcp`", None)),
        }
    }
}

fn unix(rest: &str) -> Result<Endpoint, (&'static str, Option<String>)> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some("") | None if rest.trim_start_matches('/').is_empty() => {
            return Err(("the path is missing", None));
        }
        Some(path) => {
            return Err((
                "after two slashes comes a host, which a Unix socket has none of",
                Some(format!("unix:///{path}")),
            ));
        }
        None if rest.starts_with('/') => rest,
        None => return Err(("the path is not absolute", Some(format!("unix:///{rest}")))),
    };
    if path.trim_start_matches('/').is_empty() {
        return Err(("the path is missing", None));
    }
    if path.contains('\0') {
        return Err(("the path holds a NUL", None));
    }
    Ok(Endpoint(Address::Unix(Path::new(path).to_owned())))
}

fn tcp(rest: &str) -> Result<Endpoint, &'static str> {
    let authority = rest
        .strip_prefix("//")
        .ok_or("`tcp` is followed by `://`, an IP address and a port")?;
    let address = authority.parse::<SocketAddr>().map_err(
        |_| "a TCP endpoint is an IP address and a port, for instance `tcp://127.0.0.1:8081`",
    )?;
    Ok(Endpoint(Address::Tcp(address)))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// A text that names no Workload API endpoint, or no text at all.
///
/// ```
/// let error = "http://127.0.0.1".parse::<spiffe_source::Endpoint>().unwrap_err();
/// assert!(error.to_string().contains("neither `unix` nor `tcp`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidEndpoint {
    text: String,
    variable: Option<&'static str>,
    why: String,
    suggestion: Option<String>,
}

impl InvalidEndpoint {
    fn new(text: &str, why: &str, suggestion: Option<String>) -> Self {
        let text = text
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        Self {
            text,
            variable: None,
            why: why.to_owned(),
            suggestion,
        }
    }

    fn named_by(mut self, name: &'static str) -> Self {
        self.variable = Some(name);
        self
    }
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.variable {
            write!(f, "{name}: ")?;
        }
        if !self.text.is_empty() {
            write!(f, "`{}` is no Workload API endpoint: ", self.text)?;
        }
        f.write_str(&self.why)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; write `{suggestion}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InvalidEndpoint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conformance_59_unix_endpoints() {
        for good in ["unix:///a/b.sock", "unix:/a/b.sock"] {
            assert_eq!(
                good.parse::<Endpoint>().unwrap(),
                Endpoint(Address::Unix("/a/b.sock".into())),
                "{good}"
            );
        }
        for bad in [
            "unix://a/b.sock",
            "unix:///a?x",
            "unix:///a#x",
            "unix:",
            "unix://",
            "unix:///",
            "unix:a",
            "/a/b.sock",
            "UNIX:///a",
            "",
            "a",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn two_slashes_and_a_bare_path_get_a_suggestion() {
        for (bad, good) in [
            ("unix://tmp/x", "unix:///tmp/x"),
            ("/tmp/x", "unix:///tmp/x"),
            ("unix:tmp/x", "unix:///tmp/x"),
        ] {
            let error = bad.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("write `{good}`")), "{error}");
            assert!(good.parse::<Endpoint>().is_ok());
        }
    }

    #[test]
    fn conformance_60_tcp_endpoints() {
        for good in ["tcp://127.0.0.1:8000", "tcp://[::1]:8000"] {
            assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
        }
        for bad in [
            "tcp://localhost:8000",
            "tcp://1.2.3.4",
            "tcp://1.2.3.4:1/foo",
            "tcp://u@1.2.3.4:1",
            "tcp://1.2.3.4:1?x",
            "tcp://1.2.3.4:1#x",
            "tcp:1.2.3.4:1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn conformance_57_the_specification_s_variable_comes_first_and_nothing_is_guessed() {
        let from = |set: &[(&str, &str)]| {
            Endpoint::from_variables(|name| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            })
        };
        let both = [
            ("SPIRE_AGENT_SOCKET", "unix:///b"),
            ("SPIFFE_ENDPOINT_SOCKET", "unix:///a"),
        ];
        assert_eq!(from(&both).unwrap().to_string(), "unix:///a");
        assert_eq!(from(&both[..1]).unwrap().to_string(), "unix:///b");
        assert!(
            from(&[])
                .unwrap_err()
                .to_string()
                .contains("SPIFFE_ENDPOINT_SOCKET is not set")
        );
        assert!(
            from(&[("SPIFFE_ENDPOINT_SOCKET", "unix://a/b")])
                .unwrap_err()
                .to_string()
                .starts_with("SPIFFE_ENDPOINT_SOCKET: ")
        );
    }
}
