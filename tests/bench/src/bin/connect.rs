//! What a whole visit costs the server, beside nginx: connect, mutual TLS, `GET`, close.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bench::clients::{self, Sessions, visit};
use bench::pki::{CLIENT, Root, SERVER, Svid};
use bench::process::Server;
use bench::{Gate, Report, Row, nginx, publish, servers, taking_turns};
use rustls::ClientConfig;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 9;
const VISITS: usize = 800;
/// Clients at a time, each with an SVID of its own.
const CLIENTS: usize = 4;
const GATE: Gate = Gate::AtMostTimes(0.2);
const BARE: &str = "hyper-util on plain tokio-rustls, no resumption";

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind, directory] = &args[..]
        && serve == "serve"
    {
        servers::serve(kind, Path::new(directory))?;
        return Ok(ExitCode::SUCCESS);
    }

    let directory = tempfile::tempdir()?;
    let issuer = Root::new()?.intermediate(0)?;
    issuer.issue(SERVER)?.write(directory.path())?;
    let svids = (0..CLIENTS)
        .map(|_| issuer.issue(CLIENT))
        .collect::<Result<Vec<_>, _>>()?;
    let ours = child("ours", directory.path())?;
    let bare = child("bare", directory.path())?;
    let nginx = match nginx::installed() {
        Some((program, version)) => Some((nginx::start(&program, directory.path())?, version)),
        None => None,
    };

    ours.keep_apart()?;
    bare.keep_apart()?;
    if let Some((nginx, _)) = &nginx {
        nginx.keep_apart()?;
    }

    let mut rows = Vec::new();
    for sessions in [Sessions::None, Sessions::Kept] {
        rows.extend(compare(sessions, &svids, &ours, &bare, nginx.as_ref())?);
    }
    Ok(publish(&Report::new("connect", ROUNDS, rows))?)
}

fn child(kind: &str, directory: &Path) -> Result<Server, Failure> {
    Server::this_program([Path::new("serve"), Path::new(kind), directory])
}

fn compare(
    sessions: Sessions,
    svids: &[Svid],
    ours: &Server,
    bare: &Server,
    nginx: Option<&(Server, String)>,
) -> Result<Vec<Row>, Failure> {
    let what = match sessions {
        Sessions::None => "a visit, full handshake",
        Sessions::Kept => "a visit, resumed handshake",
    };
    let mut ours = Visits::new(ours, svids, sessions)?;
    // Without resumption there is nothing to set beside a resumed handshake.
    let mut bare = Visits::new(bare, svids, Sessions::None)?;
    let Some((server, version)) = nginx else {
        let medians = taking_turns(ROUNDS, &mut [&mut || ours.micros(), &mut || bare.micros()])?;
        return Ok(vec![
            Row::absent(what, "nginx", nginx::ABSENT, GATE),
            Row::new(
                what,
                medians[0],
                (BARE, medians[1]),
                "µs of CPU",
                Gate::None,
            ),
        ]);
    };
    let mut theirs = Visits::new(server, svids, sessions)?;
    let medians = taking_turns(
        ROUNDS,
        &mut [&mut || ours.micros(), &mut || theirs.micros(), &mut || {
            bare.micros()
        }],
    )?;
    if let Some(why) = ours.shortfall() {
        return Ok(vec![Row::unmet(what, version, &why, GATE)]);
    }
    if let Some(why) = theirs.shortfall() {
        return Ok(vec![Row::absent(what, version, &why, GATE)]);
    }
    Ok(vec![
        Row::new(what, medians[0], (version, medians[1]), "µs of CPU", GATE),
        Row::new(
            what,
            medians[0],
            (BARE, medians[2]),
            "µs of CPU",
            Gate::None,
        ),
    ])
}

/// Visits to one server, round after round, by clients that come again and again.
struct Visits<'a> {
    server: &'a Server,
    clients: Vec<Arc<ClientConfig>>,
    sessions: Sessions,
    full: usize,
    resumed: usize,
}

impl<'a> Visits<'a> {
    fn new(server: &'a Server, svids: &[Svid], sessions: Sessions) -> Result<Self, Failure> {
        let provider = clients::only_the_common(rustls::crypto::aws_lc_rs::default_provider());
        let provider = Arc::new(provider);
        let clients = svids
            .iter()
            .map(|svid| Ok::<_, Failure>(Arc::new(clients::config(svid, &provider, sessions)?)))
            .collect::<Result<Vec<_>, _>>()?;
        // Everybody has been there once.
        let first = visit(server.address(), &clients, |visits| visits == 1);
        if let Some(why) = first.failed.last() {
            return Err(why.clone().into());
        }
        Ok(Self {
            server,
            clients,
            sessions,
            full: 0,
            resumed: 0,
        })
    }

    fn micros(&mut self) -> Result<f64, Failure> {
        let each = VISITS / self.clients.len();
        let before = self.server.cpu()?;
        let tally = visit(self.server.address(), &self.clients, |visits| {
            visits == each
        });
        let spent = self.server.cpu()? - before;
        if let Some(why) = tally.failed.last() {
            return Err(format!("{} visits failed: {why}", tally.failed.len()).into());
        }
        self.full += tally.full;
        self.resumed += tally.resumed;
        Ok(spent.as_secs_f64() * 1e6 / (tally.full + tally.resumed) as f64)
    }

    /// Why this was not what it should have been.
    fn shortfall(&self) -> Option<String> {
        let all = self.full + self.resumed;
        let wanted = match self.sessions {
            Sessions::Kept => all,
            Sessions::None => 0,
        };
        (self.resumed != wanted).then(|| {
            format!(
                "{} of {all} handshakes were resumed, not {wanted}",
                self.resumed
            )
        })
    }
}
