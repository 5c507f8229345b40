use http::Uri;
use spiffe_connector::{Connector, Failure as Refusal};
use spiffe_source::Source;

use super::report::Report;
use crate::advice;
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
            let advice = advice::of(&error);
            report.fault("peer", format!("{}; {advice}", Refusal::of(&error)))
        }
    }
}
