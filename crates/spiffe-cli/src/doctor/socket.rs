use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use spiffe_source::Endpoint;

use super::report::Report;
use crate::failure::Failure;

/// Looks at the socket's file, where the endpoint is one.
pub(super) fn examine(endpoint: &Endpoint, report: &mut Report) -> Result<(), Failure> {
    let Some(path) = endpoint.socket() else {
        return report.doubt(
            "socket",
            "a TCP endpoint: make sure that only this host's workloads can reach it",
        );
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
            match endpoint.doubt() {
                Some(doubt) => report.doubt("socket", format!("{doubt}; chmod o-w it")),
                None => report.good("socket", format!("of user {owner}, mode {mode:03o}")),
            }
        }
        Ok(_) => report.fault(
            "socket",
            format!(
                "{} is no socket: set the variable to the agent's",
                path.display()
            ),
        ),
        Err(error) => report.fault("socket", hint(path, &error)),
    }
}

fn hint(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "{path} does not exist: start the agent, or mount its socket into this container"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{path} cannot be seen by this user: its directory has to let it pass (chmod o+x)"
        ),
        _ => format!("{path}: {error}"),
    }
}
