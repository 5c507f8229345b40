//! `spiffectl svid`: the identity of the one who asks, as the Workload API gives it.

mod files;
mod show;
mod watch;

pub(crate) use show::left;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use spiffe_source::Source;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::print;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the own SVIDs, and the bundles that are trusted
    Show {
        #[command(flatten)]
        agent: Agent,
    },
    /// Print what happens to the own SVIDs, until it is interrupted
    Watch {
        #[command(flatten)]
        agent: Agent,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Write svid.pem, svid_key.pem and bundle.pem, all three changed at once, and DOMAIN.pem for each
    /// domain that is trusted as well; they stay where the identity is withdrawn
    Write {
        #[command(flatten)]
        agent: Agent,
        /// The directory; made if it is absent
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Stay, and write anew with every change
        #[arg(long)]
        follow: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Agent {
    /// The agent's socket; SPIFFE_ENDPOINT_SOCKET, or else SPIRE_AGENT_SOCKET, where it is not given
    #[arg(long, value_name = "ENDPOINT")]
    socket: Option<String>,
    /// A foreign trust domain to trust as well; may be said for several
    #[arg(long, value_name = "TRUST_DOMAIN")]
    trust: Vec<String>,
    /// The ID of the SVID to use, where there are several; the first without this
    #[arg(long, value_name = "SPIFFE_ID", conflicts_with = "hint")]
    id: Option<String>,
    /// The hint of the SVID to use, where there are several
    #[arg(long, value_name = "HINT")]
    hint: Option<String>,
    /// How many seconds to wait for the first SVID
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
}

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    Runtime::new().map_err(Failure::failed)?.block_on(async {
        match command {
            Command::Show { agent } => print(&show::describe(&connect(agent).await?.snapshot())),
            Command::Watch { agent, json } => watch::run(connect(agent).await?, json).await,
            Command::Write { agent, dir, follow } => {
                write(connect(agent).await?, dir, follow).await
            }
        }
    })
}

pub(crate) async fn connect(agent: Agent) -> Result<Source, Failure> {
    let mut source = Source::workload_api().first_update_within(Duration::from_secs(agent.wait));
    for trust_domain in agent.trust {
        source = source.trust(trust_domain);
    }
    if let Some(socket) = agent.socket {
        source = source.endpoint(socket);
    }
    if let Some(id) = agent.id {
        source = source.pick_id(id);
    }
    if let Some(hint) = agent.hint {
        source = source.pick_hint(hint);
    }
    source.connect().await.map_err(|error| {
        if error.is_configuration() {
            Failure::unusable(error)
        } else {
            Failure::failed(error)
        }
    })
}

async fn write(mut source: Source, dir: PathBuf, follow: bool) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let directory = files::Directory::open(dir).map_err(Failure::failed)?;
    let mut written = None;
    loop {
        let snapshot = source.snapshot();
        // A withdrawn identity is not taken out of files: who reads them sees its end in the SVID.
        if let Some(svid) = snapshot.svid() {
            let bundles: Vec<_> = snapshot.bundles().cloned().collect();
            let set = Some((svid.clone(), bundles.clone()));
            if set != written {
                directory.write(svid, &bundles).map_err(Failure::failed)?;
                print(&show::line(svid))?;
                written = set;
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            changed = source.changed() => { changed.map_err(Failure::failed)?; }
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}
