use std::path::Path;
use std::{fs, io};

use serde::Serialize;

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
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    ours: f64,
    peer: f64,
    peer_name: String,
    unit: &'static str,
    ratio: Option<f64>,
    gate: Option<String>,
    holds: Option<bool>,
}

/// What a comparison has to reach.
#[derive(Debug, Clone, Copy)]
pub enum Gate {
    /// Nothing: the numbers are for information.
    None,
    /// At most this much more than the peer, in the row's unit.
    AtMostMore(f64),
    /// At most this many times the peer.
    AtMostTimes(f64),
}

impl Row {
    /// A comparison of what is ours with what the peer of that name needs for the same.
    pub fn new(
        what: &str,
        ours: f64,
        (peer_name, peer): (&str, f64),
        unit: &'static str,
        gate: Gate,
    ) -> Self {
        let (gate, holds) = match gate {
            Gate::None => (None, None),
            Gate::AtMostMore(more) => (
                Some(format!("at most {more} {unit} more")),
                Some(ours - peer <= more),
            ),
            Gate::AtMostTimes(times) => (
                Some(format!("at most {times} times")),
                Some(ours <= times * peer),
            ),
        };
        let ratio = (peer != 0.0).then(|| ours / peer);
        Self {
            what: what.to_owned(),
            ours,
            peer,
            peer_name: peer_name.to_owned(),
            unit,
            ratio,
            gate,
            holds,
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
            "{:<44} {:>10} {:>10} {:<12} {:>6}  gate",
            "", "ours", "peer", "unit", "ratio"
        );
        for row in &self.results {
            let ratio = row
                .ratio
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let gate = match (&row.gate, row.holds) {
                (Some(gate), Some(true)) => format!("{gate}: holds"),
                (Some(gate), _) => format!("{gate}: FAILS"),
                (None, _) => "-".to_owned(),
            };
            println!(
                "{:<44} {:>10.1} {:>10.1} {:<12} {ratio:>6}  {gate}",
                row.what, row.ours, row.peer, row.unit
            );
            println!("    beside {}", row.peer_name);
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
