use http::Uri;
use spiffe_connector::{Connector, Failure as Refusal};
use spiffe_source::Source;

use super::report::Report;
use crate::failure::Failure;

/// Shakes hands with a server, and says who refused whom.
pub(super) async fn examine(
    source: Source,
    address: &str,
    expected: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    let uri: Uri = format!("https://{address}/")
        .parse()
        .map_err(|error| Failure::unusable(format!("--peer {address}: {error}")))?;
    if uri
        .authority()
        .is_none_or(|authority| authority.as_str() != address)
        || uri.port().is_none()
    {
        return Err(Failure::unusable(format!(
            "--peer {address}: write HOST:PORT"
        )));
    }
    let connector = Connector::new(source, expected).map_err(Failure::unusable)?;
    match connector.connect(&uri).await {
        Ok(stream) => report.good(
            "peer",
            format!("{address} is {}", stream.peer().spiffe_id()),
        ),
        Err(error) => {
            let advice = match &error {
                error if error.unexpected_server().is_some() => {
                    "either the wrong server answers, or the wrong ID is expected"
                }
                error if error.chain().is_some() => {
                    "name its trust domain with --trust, or look at what issued its SVID"
                }
                error if error.is_unreachable() => "is it running, and is the port right?",
                error if error.is_timeout() => {
                    "something between the two drops packets, or the server is overloaded"
                }
                _ => "the server's log says more",
            };
            report.fault("peer", format!("{}; {advice}", Refusal::of(&error)))
        }
    }
}
