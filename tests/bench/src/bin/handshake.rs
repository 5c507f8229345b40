//! What a mutual TLS handshake costs the server, beside `spiffe-rustls` and plain rustls.

use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use bench::clients::Sessions;
use bench::contenders::{Contender, Contenders, Provider};
use bench::handshake::{Batch, shake};
use bench::pki::Svid;
use bench::{Gate, Report, Row, callgrind, publish, servers, taking_turns};
use rustls::ClientConfig;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 81;
const BATCH: usize = 12;
const THEIRS: &str = "spiffe-rustls 0.11";
const PLAIN: &str = "plain rustls with a static verifier";
const COUNTED: [&str; 2] = ["server_answers_hello", "server_concludes_handshake"];

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args {
        ["--measure", provider] => {
            let rows = measure(provider_called(provider)?)?;
            println!("{}", serde_json::to_string(&rows)?);
            Ok(ExitCode::SUCCESS)
        }
        ["--only", variant, "--provider", provider, "--count", count] => {
            only(variant, provider_called(provider)?, count.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => all(),
    }
}

/// Each provider in a process of its own, since it is the process that has a default.
fn all() -> Result<ExitCode, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    for provider in Provider::ALL {
        let measured = Command::new(std::env::current_exe()?)
            .args(["--measure", provider.name()])
            .stderr(Stdio::inherit())
            .output()?;
        if !measured.status.success() {
            return Err(format!("the run with {} failed", provider.name()).into());
        }
        rows.append(&mut serde_json::from_slice(&measured.stdout)?);
        // A run under valgrind takes seconds, so there are no more of them than needed.
        if provider == Provider::AwsLcRs {
            rows.extend(instructions(provider)?);
        }
    }
    Ok(publish(&Report::new("handshake", ROUNDS, rows))?)
}

fn provider_called(name: &str) -> Result<Provider, Failure> {
    let provider = Provider::ALL.into_iter().find(|known| known.name() == name);
    provider.ok_or_else(|| format!("there is no provider `{name}`").into())
}

/// Whom the server meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// Peers that this revision has seen.
    Seen,
    /// Peers that it has not, each under an intermediate that it has not seen either.
    Strangers,
    /// Peers that it has not seen, under an intermediate that it has.
    Known,
    /// Peers that resume their session.
    Resumed,
}

impl Meeting {
    const ALL: [Self; 4] = [Self::Seen, Self::Strangers, Self::Known, Self::Resumed];

    fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Strangers => "strangers",
            Self::Known => "known",
            Self::Resumed => "resumed",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Seen => "a peer seen before",
            Self::Strangers => "a peer never seen",
            Self::Known => "a peer never seen, intermediate known",
            Self::Resumed => "resumed and verified again",
        }
    }

    fn gate(self) -> Gate {
        Gate::AtMostTimes(match self {
            Self::Seen => 0.60,
            Self::Strangers => 1.03,
            Self::Known => 0.82,
            Self::Resumed => 0.30,
        })
    }

    /// Client certificates for so many handshakes, before the clock starts.
    fn svids(self, contenders: &Contenders, handshakes: usize) -> Result<Vec<Svid>, Failure> {
        match self {
            Self::Seen | Self::Resumed => contenders.known(BATCH),
            Self::Known => contenders.known(handshakes),
            Self::Strangers => contenders.strangers(handshakes),
        }
    }
}

/// One contender in one kind of meeting, batch after batch.
struct Meetings<'a> {
    contender: &'a Contender,
    clients: Vec<Arc<ClientConfig>>,
    batch: usize,
    next: usize,
    resumed: usize,
    all: usize,
}

impl<'a> Meetings<'a> {
    fn new(
        contender: &'a Contender,
        meeting: Meeting,
        svids: &[Svid],
        batch: usize,
    ) -> Result<Self, Failure> {
        let sessions = if meeting == Meeting::Resumed {
            Sessions::Kept
        } else {
            Sessions::None
        };
        let clients = svids.iter().map(|svid| contender.client(svid, sessions));
        let meetings = Self {
            contender,
            clients: clients.collect::<Result<_, _>>()?,
            batch,
            next: 0,
            resumed: 0,
            all: 0,
        };
        // Those that are not to be new have been there; so has the intermediate.
        match meeting {
            Meeting::Seen | Meeting::Resumed => drop(shake(&contender.side, &meetings.clients)?),
            Meeting::Known | Meeting::Strangers => {}
        }
        Ok(meetings)
    }

    fn next(&mut self) -> Result<Batch, Failure> {
        if self.next == self.clients.len() {
            self.next = 0;
        }
        let end = (self.next + self.batch).min(self.clients.len());
        let batch = shake(&self.contender.side, &self.clients[self.next..end])?;
        self.next = end;
        self.resumed += batch.resumed;
        self.all += batch.all;
        Ok(batch)
    }

    fn micros(&mut self) -> Result<f64, Failure> {
        Ok(self.next()?.each.as_secs_f64() * 1e6)
    }

    /// Why this was not what it should have been.
    fn shortfall(&self, meeting: Meeting) -> Option<String> {
        let wanted = if meeting == Meeting::Resumed {
            self.all
        } else {
            0
        };
        (self.resumed != wanted).then(|| {
            format!(
                "{} of {} handshakes were resumed, not {wanted}",
                self.resumed, self.all
            )
        })
    }
}

fn measure(provider: Provider) -> Result<Vec<Row>, Failure> {
    let runtime = servers::runtime()?;
    let contenders = Contenders::new(&runtime, provider)?;
    let mut rows = Vec::new();
    for meeting in Meeting::ALL {
        rows.extend(compare(&contenders, provider, meeting)?);
    }
    Ok(rows)
}

fn compare(
    contenders: &Contenders,
    provider: Provider,
    meeting: Meeting,
) -> Result<Vec<Row>, Failure> {
    let svids = meeting.svids(contenders, (ROUNDS + 1) * BATCH)?;
    let met = |contender, meeting| Meetings::new(contender, meeting, &svids, BATCH);
    let mut ours = met(&contenders.ours, meeting)?;
    // It has no other mode than a full handshake.
    let full = if meeting == Meeting::Resumed {
        Meeting::Seen
    } else {
        meeting
    };
    let mut theirs = met(&contenders.spiffe_rustls, full)?;
    let mut plain = met(&contenders.plain, meeting)?;
    let medians = taking_turns(
        ROUNDS,
        &mut [&mut || ours.micros(), &mut || theirs.micros(), &mut || {
            plain.micros()
        }],
    )?;

    let what = format!("{}, {}", meeting.what(), provider.name());
    let gate = if provider == Provider::Defaults {
        Gate::None
    } else {
        meeting.gate()
    };
    let beside_theirs = match (provider, meeting) {
        (Provider::Defaults, _) => format!("{THEIRS} with its defaults (ring, X25519, AES-256)"),
        (_, Meeting::Resumed) => format!("{THEIRS}, whose only mode is a full handshake"),
        _ => THEIRS.to_owned(),
    };
    let row = |name: &str, theirs: f64, gate| match ours.shortfall(meeting) {
        Some(why) => Row::unmet(&what, name, &why, gate),
        None => Row::new(&what, medians[0], (name, theirs), "µs of CPU", gate),
    };
    let mut rows = vec![row(&beside_theirs, medians[1], gate)];
    if let Some(why) = theirs.shortfall(full) {
        rows = vec![Row::absent(&what, THEIRS, &why, gate)];
    }
    if provider != Provider::Defaults {
        rows.push(match plain.shortfall(meeting) {
            Some(why) => Row::absent(&what, PLAIN, &why, Gate::None),
            None => row(PLAIN, medians[2], Gate::None),
        });
    }
    Ok(rows)
}

// ===== instructions =====

fn instructions(provider: Provider) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for meeting in Meeting::ALL {
        let what = format!("{}, {}", meeting.what(), provider.name());
        if !callgrind::is_installed() {
            rows.push(Row::absent(
                &what,
                THEIRS,
                callgrind::ABSENT,
                meeting.gate(),
            ));
            continue;
        }
        let full = if meeting == Meeting::Resumed {
            Meeting::Seen
        } else {
            meeting
        };
        let ours = counted("ours", meeting, provider);
        let theirs = counted("spiffe-rustls", full, provider)?;
        rows.push(match ours {
            Ok(ours) => {
                let unit = "k instructions";
                Row::new(&what, ours, (THEIRS, theirs), unit, meeting.gate())
            }
            Err(why) => Row::unmet(&what, THEIRS, &last_line(&why.to_string()), meeting.gate()),
        });
    }
    Ok(rows)
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| line.starts_with("Error"));
    line.unwrap_or(text).to_owned()
}

fn counted(who: &str, meeting: Meeting, provider: Provider) -> Result<f64, Failure> {
    let variant = format!("{who}/{}", meeting.name());
    let args = ["--only", &variant, "--provider", provider.name()];
    Ok(callgrind::instructions_each(&args, &COUNTED)? / 1e3)
}

/// One variant alone, so many times: to be watched by a tool.
fn only(variant: &str, provider: Provider, count: usize) -> Result<(), Failure> {
    let known = |name: &str| Meeting::ALL.into_iter().find(|known| known.name() == name);
    let parts = variant.split_once('/');
    let Some((who, meeting)) = parts.and_then(|(who, name)| Some((who, known(name)?))) else {
        return Err(format!("there is no variant `{variant}`: ours/seen is one").into());
    };
    let runtime = servers::runtime()?;
    let contenders = Contenders::new(&runtime, provider)?;
    let contender = match who {
        "ours" => &contenders.ours,
        "spiffe-rustls" => &contenders.spiffe_rustls,
        "plain" => &contenders.plain,
        other => return Err(format!("there is no contender `{other}`").into()),
    };
    // One more, which is not among those that are counted: it makes the intermediate known.
    let svids = meeting.svids(&contenders, count + 1)?;
    let mut meetings = Meetings::new(contender, meeting, &svids, 1)?;
    for _ in 0..=count {
        meetings.next()?;
    }
    match meetings.shortfall(meeting) {
        Some(why) => Err(why.into()),
        None => Ok(()),
    }
}
