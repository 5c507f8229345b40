//! Counts instructions: runs this program under callgrind, twice, and takes the difference, in which
//! everything but the work itself cancels out.

use std::error::Error;
use std::process::{Command, Stdio};

type Failure = Box<dyn Error + Send + Sync>;

/// Where valgrind is not to be found.
pub const ABSENT: &str = "valgrind is not installed";

/// How often the work is done in the shorter and in the longer run.
const COUNTS: [u32; 2] = [4, 12];

/// Whether there is valgrind.
pub fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// Instructions for one piece of the work that these arguments and `--count N` let this program do.
/// Only those in functions of such names are counted, and in what they call.
///
/// # Errors
///
/// Where a run fails.
pub fn instructions_each(args: &[&str], functions: &[&str]) -> Result<f64, Failure> {
    let [few, many] = COUNTS;
    let (of_few, of_many) = (run(args, functions, few)?, run(args, functions, many)?);
    let more = of_many.checked_sub(of_few).ok_or("more work took less")?;
    Ok(more as f64 / f64::from(many - few))
}

fn run(args: &[&str], functions: &[&str], count: u32) -> Result<u64, Failure> {
    let toggles = functions
        .iter()
        .map(|name| format!("--toggle-collect=*{name}*"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(toggles)
        .arg(std::env::current_exe()?)
        .args(args)
        .args(["--count", &count.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {said}").into());
    }
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let number = collected.and_then(|(_, number)| number.trim().parse().ok());
    number.ok_or_else(|| format!("valgrind gives no number: {said}").into())
}
