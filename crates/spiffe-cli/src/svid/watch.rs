//! Shows rotation as it happens.

use spiffe_source::{Source, Status};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::print;

pub(super) async fn run(source: Source, json: bool) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let (mut changes, mut statuses) = (source.changes(), source.statuses());
    show(&source.status(), json)?;
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            change = changes.next() => {
                let change = change.map_err(Failure::failed)?;
                if change.missed() > 0 && !json {
                    print(&format!("{} changes were too fast to be shown\n", change.missed()))?;
                }
                if json {
                    print_json(&change)?;
                } else {
                    print(&format!("{change}\n"))?;
                }
            }
            status = statuses.next() => show(&status.map_err(Failure::failed)?, json)?,
        }
    }
}

fn show(status: &Status, json: bool) -> Result<(), Failure> {
    if json {
        print_json(status)
    } else {
        print(&format!("{status}\n"))
    }
}

fn print_json(what: &impl serde::Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(what).map_err(Failure::failed)?;
    print(&format!("{line}\n"))
}
