//! What may be called: an `https` URL and no more.

use http::Uri;
use http::uri::Scheme;

use crate::failure::Failure;

/// Reads a URL. What is refused is not repeated: it may hold a password.
pub(super) fn read(text: &str) -> Result<Uri, Failure> {
    let refused = |why: &str| Err(Failure::unusable(format!("the URL {why}")));
    if text.contains('#') {
        return refused(
            "has a fragment, which no server gets to see: leave out `#` and what follows",
        );
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refused("has a character that none may have: write it as %XX");
    }
    if !text.contains("://") {
        return refused("has no scheme: write https://HOST:PORT/PATH");
    }
    let url: Uri = match text.parse() {
        Ok(url) => url,
        Err(error) => return refused(&format!("is none, {error}: write https://HOST:PORT/PATH")),
    };
    if url.scheme() != Some(&Scheme::HTTPS) {
        return refused("is not of the scheme https: a server proves its identity over TLS alone");
    }
    let Some(authority) = url
        .authority()
        .filter(|authority| !authority.host().is_empty())
    else {
        return refused("names no host: write https://HOST:PORT/PATH");
    };
    if authority.as_str().contains('@') {
        return refused(
            "has a user, whom a server knows by its SVID: leave out what ends with `@`",
        );
    }
    // What is no port is none to `Uri`, and the port of the scheme would be called in its place.
    let port = authority.as_str().strip_prefix(authority.host());
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_none_or(|port| !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port)) {
        return refused("has a port that is none: write a number from 1 to 65535");
    }
    Ok(url)
}

/// A gRPC method is named by an option, and its path follows from that.
pub(super) fn check_origin(url: &Uri) -> Result<(), Failure> {
    if url.path_and_query().is_none_or(|path| path == "/") {
        return Ok(());
    }
    Err(Failure::unusable(
        "the URL of a gRPC server has no path: write https://HOST:PORT",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn only_a_url_with_https_and_a_host_is_one() {
        for good in [
            "https://orders",
            "https://orders:8443/a?b=c",
            "HTTPS://[::1]:8443/%C3%A9",
            "https://10.0.0.1/",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_what_to_write_and_no_password_is_repeated() {
        for (bad, told) in [
            ("http://orders/", "scheme https"),
            ("spiffe://example.org/a", "scheme https"),
            ("orders:8443/a", "no scheme"),
            ("", "no scheme"),
            ("https://", "https://HOST:PORT/PATH"),
            ("https:///a", "https://HOST:PORT/PATH"),
            ("https://:8443/", "https://HOST:PORT/PATH"),
            ("https://me:secret@orders/", "has a user"),
            ("https://me@orders/", "has a user"),
            ("https://orders/a#b", "fragment"),
            ("https://orders/é", "%XX"),
            ("https://orders/a b", "%XX"),
            ("https://orders/\u{1b}[31m", "%XX"),
            ("https://orders:0/", "1 to 65535"),
            ("https://orders:65536/", "1 to 65535"),
            ("https://orders:/", "1 to 65535"),
        ] {
            let why = why(bad);
            assert!(why.contains(told), "{bad:?}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_grpc_server_has_no_path() {
        let check = |text| check_origin(&read(text).unwrap());
        assert!(check("https://orders:8443").is_ok());
        assert!(check("https://orders:8443/").is_ok());
        assert!(check("https://orders:8443/a").is_err());
        assert!(check("https://orders:8443/?a").is_err());
    }
}
