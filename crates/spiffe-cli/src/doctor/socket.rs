use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use spiffe_source::Endpoint;

use super::report::Report;
use crate::failure::Failure;

/// Looks at the socket's file, where the endpoint is one.
pub(super) fn examine(endpoint: &Endpoint, report: &mut Report) -> Result<(), Failure> {
    let endpoint = endpoint.to_string();
    let Some(path) = endpoint.strip_prefix("unix://").map(Path::new) else {
        return report.doubt(
            "socket",
            "a TCP endpoint: make sure that only this host's workloads can reach it",
        );
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
            match replaceable_in(path) {
                Some(directory) => report.doubt(
                    "socket",
                    format!(
                        "anybody can put another socket in its place: {} is writable for all; chmod o-w it",
                        directory.display()
                    ),
                ),
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

/// The directory above in which everybody may replace what lies there.
fn replaceable_in(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|directory| {
        fs::metadata(directory).is_ok_and(|metadata| {
            let is_sticky = metadata.mode() & 0o1000 != 0;
            metadata.mode() & 0o002 != 0 && !is_sticky
        })
    })
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
