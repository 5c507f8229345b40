//! What a text stands for, or what is wrong with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use spiffe_peer::{IdPattern, InvalidPattern, TrustDomain, parse};
use spiffe_source::Endpoint;

use super::policy::PeerPolicy;

/// Less than a network takes to answer, more than a server should wait.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Every address of the machine.
    Every(u16),
    One(SocketAddr),
}

impl Address {
    pub(super) const DEFAULT: Self =
        Self::One(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443));

    /// Whether two listeners cannot have these at the same time.
    pub(super) fn overlaps(self, other: SocketAddr) -> bool {
        let (ip, port) = match self {
            Self::Every(port) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            Self::One(address) => (address.ip(), address.port()),
        };
        port != 0
            && port == other.port()
            && (ip == other.ip() || ip.is_unspecified() || other.ip().is_unspecified())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(port) => write!(f, ":{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

pub(super) fn address(text: &str) -> Result<Address, String> {
    match port_alone(text) {
        Some(port) => Ok(Address::Every(port)),
        None => text
            .parse()
            .map(Address::One)
            .map_err(|_| no_address(text, "8443", "for every address")),
    }
}

pub(super) fn probes_address(text: &str) -> Result<SocketAddr, String> {
    match port_alone(text) {
        Some(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        None => text
            .parse()
            .map_err(|_| no_address(text, "9090", "for the loopback address")),
    }
}

fn port_alone(text: &str) -> Option<u16> {
    text.strip_prefix(':').and_then(port)
}

fn port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn no_address(text: &str, usual: &str, all: &str) -> String {
    let no = format!("`{}` is no address with a port", shown(text));
    if port(text).is_some() {
        return format!("{no}; write `:{text}` {all}, or `127.0.0.1:{text}`");
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        let whole = SocketAddr::new(ip, port(usual).unwrap_or_default());
        return format!("{no}: the port is missing; write `{whole}`");
    }
    if text.contains("://") {
        return format!("{no}: it has a scheme; write `127.0.0.1:{usual}`");
    }
    match text.split_once(':') {
        Some((_, named)) if port(named).is_some() => {
            format!(
                "{no}: names are not looked up; write the IP address, such as `127.0.0.1:{named}`"
            )
        }
        _ => format!("{no}; write `127.0.0.1:{usual}`, or `:{usual}` {all}"),
    }
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    // A bare `0` would be read; with a bare `30` it should be a bare mistake.
    let duration = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => None,
        false => humantime::parse_duration(text).ok(),
    };
    let duration = duration.ok_or_else(|| {
        format!(
            "`{}` is no duration; write a number with its unit, such as `30s`",
            shown(text)
        )
    })?;
    bounded(duration)
}

pub(super) fn bounded(duration: Duration) -> Result<Duration, String> {
    if TIMEOUTS.contains(&duration) {
        return Ok(duration);
    }
    let given = humantime::format_duration(duration);
    Err(format!(
        "`{given}` is no time to wait for a client; write one from `1ms` to `1h`, such as `30s`"
    ))
}

pub(super) fn policy(text: &str) -> Result<PeerPolicy, String> {
    PeerPolicy::ALL
        .into_iter()
        .find(|policy| policy.as_str() == text)
        .ok_or_else(|| {
            format!(
                "there is no policy `{}`; write `trust-domain`, `specific-id`, `one-of` or `any`",
                shown(text)
            )
        })
}

pub(super) fn id(text: &str) -> Result<IdPattern, String> {
    text.parse()
        .map_err(|error: InvalidPattern| match parse::workload_id(text) {
            Err(error) if !text.contains(['*', '{']) => error.to_string(),
            _ => error.to_string(),
        })
}

pub(super) fn trust_domain(text: &str) -> Result<TrustDomain, String> {
    parse::trust_domain(text).map_err(|error| error.to_string())
}

/// What an error shows of a text.
pub(super) fn shown(text: &str) -> String {
    parse::shortened(text, 60)
}

pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse()
        .map_err(|error: spiffe_source::InvalidEndpoint| error.to_string())
}

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("no directory is named; write its path, such as `/run/spiffe`".to_owned());
    }
    if text.contains("://") {
        return Err(format!(
            "`{}` is no directory; an agent's socket is written as `spire.socket_path`",
            shown(text)
        ));
    }
    Ok(text.into())
}
