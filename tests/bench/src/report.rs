use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// What a bench found: printed as a table, written as JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    bench: &'static str,
    machine: String,
    versions: Vec<String>,
    rounds: usize,
    results: Vec<Row>,
}

/// One comparison, in medians.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    what: String,
    ours: Option<f64>,
    peer: Option<f64>,
    peer_name: String,
    unit: String,
    ratio: Option<f64>,
    gate: Option<String>,
    holds: Option<bool>,
    /// Why there are no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// What a comparison has to reach.
#[derive(Debug, Clone, Copy)]
pub enum Gate {
    /// Nothing: the numbers are for information.
    None,
    /// At most this much, in the row's unit, whatever the peer needs.
    AtMost(f64),
    /// At most this much more than the peer, in the row's unit.
    AtMostMore(f64),
    /// At most this many times the peer.
    AtMostTimes(f64),
}

impl Gate {
    fn wanted(self, unit: &str) -> Option<String> {
        match self {
            Self::None => None,
            Self::AtMost(most) => Some(format!("at most {most} {unit}")),
            Self::AtMostMore(more) => Some(format!("at most {more} {unit} more")),
            Self::AtMostTimes(times) => Some(format!("at most {times} times")),
        }
    }

    fn holds(self, ours: f64, peer: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtMost(most) => Some(ours <= most),
            Self::AtMostMore(more) => Some(ours - peer <= more),
            Self::AtMostTimes(times) => Some(ours <= times * peer),
        }
    }
}

impl Row {
    /// A comparison of what is ours with what the peer of that name needs for the same.
    pub fn new(
        what: &str,
        ours: f64,
        (peer_name, peer): (&str, f64),
        unit: &str,
        gate: Gate,
    ) -> Self {
        Self {
            what: what.to_owned(),
            ours: Some(ours),
            peer: Some(peer),
            peer_name: peer_name.to_owned(),
            unit: unit.to_owned(),
            ratio: (peer != 0.0).then(|| ours / peer),
            gate: gate.wanted(unit),
            holds: gate.holds(ours, peer),
            missing: None,
        }
    }

    /// A figure that stands for itself.
    pub fn alone(what: &str, ours: f64, unit: &str, gate: Gate) -> Self {
        Self {
            peer: None,
            ratio: None,
            ..Self::new(what, ours, ("", 0.0), unit, gate)
        }
    }

    /// A comparison that could not be made because something has to be installed. It counts neither
    /// for nor against.
    pub fn absent(what: &str, peer_name: &str, why: &str, gate: Gate) -> Self {
        Self {
            what: what.to_owned(),
            ours: None,
            peer: None,
            peer_name: peer_name.to_owned(),
            unit: String::new(),
            ratio: None,
            gate: gate.wanted(""),
            holds: None,
            missing: Some(why.to_owned()),
        }
    }

    /// A comparison that could not be made because what is ours did not do what is measured: its
    /// gate does not hold.
    pub fn unmet(what: &str, peer_name: &str, why: &str, gate: Gate) -> Self {
        let holds = gate.wanted("").map(|_| false);
        Self {
            holds,
            ..Self::absent(what, peer_name, why, gate)
        }
    }
}

impl Report {
    /// A report on the bench of that name.
    pub fn new(bench: &'static str, rounds: usize, results: Vec<Row>) -> Self {
        let versions = vec![
            format!("spiffe-tower {}", env!("CARGO_PKG_VERSION")),
            compiler(),
        ];
        Self {
            bench,
            machine: machine(),
            versions,
            rounds,
            results,
        }
    }

    /// Prints the table, writes `NAME.json` into the directory, and says whether every gate holds.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn publish(&self, directory: &Path) -> io::Result<bool> {
        println!("{}, {}", self.machine, self.versions.join(", "));
        println!(
            "{:<66} {:>10} {:>10} {:<16} {:>6}  gate",
            "", "ours", "peer", "unit", "ratio"
        );
        for row in &self.results {
            let shown = |number: Option<f64>, digits| {
                number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
            };
            let (ours, peer) = (shown(row.ours, 1), shown(row.peer, 1));
            let ratio = shown(row.ratio, 2);
            let gate = match (&row.gate, row.holds) {
                (Some(gate), Some(true)) => format!("{gate}: holds"),
                (Some(gate), Some(false)) => format!("{gate}: FAILS"),
                (Some(gate), None) => format!("{gate}: not measured"),
                (None, _) => "-".to_owned(),
            };
            println!(
                "{:<66} {ours:>10} {peer:>10} {:<16} {ratio:>6}  {gate}",
                row.what, row.unit
            );
            if let Some(why) = &row.missing {
                println!("    no figures: {why}");
            } else if row.peer.is_some() {
                println!("    beside {}", row.peer_name);
            }
        }
        fs::create_dir_all(directory)?;
        fs::write(
            directory.join(format!("{}.json", self.bench)),
            serde_json::to_vec_pretty(self)?,
        )?;
        Ok(self.results.iter().all(|row| row.holds != Some(false)))
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, {}",
        model.unwrap_or(std::env::consts::ARCH),
        std::env::consts::OS
    )
}

fn compiler() -> String {
    let rustc = std::process::Command::new("rustc")
        .arg("--version")
        .output();
    rustc
        .ok()
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map_or_else(|| "rustc unknown".to_owned(), |text| text.trim().to_owned())
}
