use std::error::Error;
use std::fmt;
use std::io;

use spiffe_tls::{UnexpectedServer, refused_with, rustls};
use spiffe_verify::X509Error;

use crate::error::ConnectError;

/// The longest text of an error that is repeated, in characters.
const MAX_TEXT: usize = 600;

const REFUSED: &str = "the server refused this client";

/// What the error of a client means: who refused whom, and why.
///
/// In TLS 1.3 a server judges the client's certificate after the client has finished its handshake,
/// so its refusal comes back as an error of the first request, wrapped by whatever made the request.
///
/// ```
/// use spiffe_connector::Failure;
///
/// let error = std::io::Error::other("connection reset");
/// assert_eq!(Failure::of(&error).to_string(), "connection reset");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    RefusedByClient(String),
    RefusedByServer(String),
    Other(String),
}

impl Failure {
    /// Explains an error of `hyper`, `tonic`, `reqwest` or this crate.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let connect = refused_with::<ConnectError>(error);
        if let Some(why) = own_refusal(error) {
            return Self(Kind::RefusedByClient(connect.map_or_else(
                || format!("refused the server: {why}"),
                ToString::to_string,
            )));
        }
        if let Some(rustls::Error::AlertReceived(alert)) = refused_with(error) {
            return Self(Kind::RefusedByServer(RefusedByServer(*alert).to_string()));
        }
        if let Some(connect) = connect {
            return Self(Kind::Other(connect.to_string()));
        }
        // The text tells it from a file that may not be read, say, and was to be sent.
        match refused_with::<io::Error>(error).map(ToString::to_string) {
            Some(refused) if refused.starts_with(REFUSED) => Self(Kind::RefusedByServer(refused)),
            _ => Self(Kind::Other(innermost(error))),
        }
    }

    /// Whether this client has refused the server: it is not the expected one, or has proved nothing.
    #[must_use]
    pub fn is_refused_by_client(&self) -> bool {
        matches!(self.0, Kind::RefusedByClient(_))
    }

    /// Whether the server has refused this client in the handshake.
    #[must_use]
    pub fn is_refused_by_server(&self) -> bool {
        matches!(self.0, Kind::RefusedByServer(_))
    }
}

/// With what this client has refused the server, if it has.
fn own_refusal(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(unexpected) = refused_with::<UnexpectedServer>(error) {
        return Some(unexpected.to_string());
    }
    if let Some(chain) = refused_with::<X509Error>(error) {
        return Some(chain.to_string());
    }
    match refused_with(error) {
        Some(rustls::Error::InvalidCertificate(why)) => Some(why.to_string()),
        _ => None,
    }
}

/// Makes the server's refusal of this client an error that keeps its meaning on the way up: HTTP/2
/// hands on the kind and the text of an I/O error, and drops what is inside.
pub(crate) fn keep_refusal(error: io::Error) -> io::Error {
    match refused_with(&error) {
        Some(rustls::Error::AlertReceived(alert)) => {
            io::Error::new(io::ErrorKind::PermissionDenied, RefusedByServer(*alert))
        }
        _ => error,
    }
}

/// A fatal alert from the server.
#[derive(Debug)]
struct RefusedByServer(rustls::AlertDescription);

impl fmt::Display for RefusedByServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use rustls::AlertDescription as Alert;
        let why = match self.0 {
            Alert::CertificateRequired => "it demands a certificate",
            Alert::CertificateExpired => "the certificate has expired",
            Alert::UnknownCA => "it does not know the authority behind the certificate",
            Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::AccessDenied => "it does not accept the certificate; its log says why",
            Alert::NoApplicationProtocol => {
                "it speaks none of the protocols that this client offers"
            }
            Alert::ProtocolVersion => "it does not speak TLS 1.3",
            Alert::InternalError => "it has no identity at the moment, or another fault of its own",
            _ => "it has ended the connection; its log says why",
        };
        write!(f, "{REFUSED}: {why}")
    }
}

impl Error for RefusedByServer {}

fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // A server may say much with its goodbye.
    innermost.to_string().chars().take(MAX_TEXT).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::RefusedByClient(why) => write!(f, "this client {why}"),
            Kind::RefusedByServer(why) | Kind::Other(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_everything_that_is_denied_is_a_refusal_by_the_server() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        let kept = keep_refusal(io::Error::other(alert));
        assert!(Failure::of(&kept).is_refused_by_server());
        let text_of_it = io::Error::new(kept.kind(), kept.to_string());
        assert!(Failure::of(&text_of_it).is_refused_by_server());

        let file = io::Error::new(io::ErrorKind::PermissionDenied, "a file to send");
        assert!(!Failure::of(&file).is_refused_by_server());
        assert_eq!(Failure::of(&file).to_string(), "a file to send");
    }

    #[test]
    fn what_a_server_says_is_repeated_within_bounds() {
        let long = io::Error::other("a long goodbye ".repeat(1000));
        assert_eq!(Failure::of(&long).to_string().len(), MAX_TEXT);
    }
}
