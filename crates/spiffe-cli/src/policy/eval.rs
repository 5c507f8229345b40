use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use spiffe_authz::policy::review::{RecordedRequest, answer};

use super::excerpt::harmless;
use super::{Clock, File};
use crate::failure::Failure;

/// The longest line, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: File,
    /// A file with one object of JSON a line; `-` for the standard input
    #[arg(long, value_name = "FILE.jsonl")]
    requests: PathBuf,
    #[command(flatten)]
    clock: Clock,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = arguments.file.load()?;
    let now = arguments.clock.now();
    let name = harmless(&arguments.requests.display().to_string());
    let unusable = |error: io::Error| Failure::unusable(format!("cannot read {name}: {error}"));
    let mut lines = Lines::open(arguments).map_err(unusable)?;
    let mut output = BufWriter::new(io::stdout().lock());
    let mut write = |text: &str| writeln!(output, "{text}").map_err(Failure::failed);
    let read = loop {
        let number = lines.number + 1;
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(error) => break Err(Failure::unusable(format!("{name}:{number}: {error}"))),
        };
        match RecordedRequest::from_json(line) {
            Ok(request) => write(&answer(&policy, &request, now))?,
            Err(error) => {
                let column = error
                    .column()
                    .map_or_else(String::new, |column| format!(":{column}"));
                let message = harmless(&error.to_string());
                break Err(Failure::unusable(format!(
                    "{name}:{number}{column}: {message}"
                )));
            }
        }
    };
    output.flush().map_err(Failure::failed)?;
    read
}

struct Lines {
    reader: Box<dyn BufRead>,
    number: usize,
    line: Vec<u8>,
}

impl Lines {
    fn open(arguments: &Arguments) -> io::Result<Self> {
        let reader: Box<dyn BufRead> = if arguments.requests.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(fs::File::open(&arguments.requests)?))
        };
        Ok(Self {
            reader,
            number: 0,
            line: Vec::new(),
        })
    }

    /// The next line without its end; no more than the longest is ever held.
    fn next(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        let mut bounded = self.reader.by_ref().take(MAX_LINE + 1);
        if bounded.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        if u64::try_from(line.len()).is_ok_and(|length| length > MAX_LINE) {
            return Err(io::Error::other(format!(
                "the line has more than {MAX_LINE} bytes"
            )));
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        str::from_utf8(line)
            .map(Some)
            .map_err(|_| io::Error::other("the line is not UTF-8"))
    }
}
