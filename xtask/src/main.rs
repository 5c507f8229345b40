//! Chores of this workspace: `cargo xtask --help` lists them.

#![allow(
    clippy::print_stdout,
    reason = "a chore tells the person at the terminal what it does"
)]

mod ci;
mod controls;
mod corpus;
mod satellite;

use std::path::{Path, PathBuf};

use xshell::Shell;

mod flags {
    #![allow(unreachable_pub, reason = "the macro writes `pub`")]

    use std::ffi::OsString;
    use std::path::PathBuf;

    xflags::xflags! {
        /// Chores of this workspace.
        cmd xtask {
            /// Everything that a change has to pass: format, clippy, ring, docs, dependencies,
            /// satellites, interop, tests.
            cmd ci {
                /// Runs this step alone; may be given several times.
                repeated --only step: String
            }
            /// Removes the checks that keep the invariants of CONTRIBUTING.md, one after another in a
            /// copy of the workspace (target/controls), and demands that the test of each then fails.
            /// All of them, or those that are named.
            cmd controls {
                repeated name: String
            }
            /// Runs the project's programs against curl and other implementations of SPIFFE
            /// (tests/interop). What follows `--` goes to the test runner.
            cmd interop {
                repeated args: OsString
            }
            /// Writes the corpus of good and bad SVIDs (tests/corpus) into a folder, with a manifest that
            /// other libraries can read.
            cmd corpus {
                /// The folder; target/corpus unless given.
                optional --out directory: PathBuf
                /// Writes nothing, and verifies so many mutated chains instead.
                optional --mutations count: u32
            }
            /// Runs the benches in tests/bench, all of them or those that are named. Each prints a
            /// table and writes target/bench/NAME.json.
            cmd bench {
                repeated name: String
            }
            /// Runs the load programs in tests/load, all of them or those that are named: rotation,
            /// clients that rotate as well, withdrawal, stalled handshakes, no file descriptors left, ends
            /// under load, and half an hour of soak.
            cmd load {
                repeated name: String
                /// Seconds, trials or rounds, whatever the program counts; what is usual unless given.
                optional --amount amount: u32
            }
            /// Runs the fuzz targets in tests/fuzz, all of them or those that are named, guided by
            /// coverage. What they learn is kept in tests/fuzz/target/corpus.
            cmd fuzz {
                repeated name: String
                /// Seconds for each target; 60 unless given.
                optional --seconds seconds: u32
            }
        }
    }
}

fn main() -> anyhow::Result<()> {
    let chore = flags::Xtask::from_env_or_exit();
    let shell = Shell::new()?;
    shell.change_dir(root());
    match chore.subcommand {
        flags::XtaskCmd::Ci(ci) => ci::run(&shell, &ci.only),
        flags::XtaskCmd::Controls(controls) => controls::run(&shell, &controls.name),
        flags::XtaskCmd::Interop(interop) => satellite::interop(&shell, &interop.args),
        flags::XtaskCmd::Corpus(chosen) => match chosen.mutations {
            Some(count) => corpus::mutate(&shell, count),
            None => {
                let here = std::env::current_dir()?;
                corpus::write(&shell, chosen.out.map(|out| here.join(out)).as_deref())
            }
        },
        flags::XtaskCmd::Bench(bench) => satellite::bench(&shell, &bench.name),
        flags::XtaskCmd::Load(load) => satellite::load(&shell, &load.name, load.amount),
        flags::XtaskCmd::Fuzz(fuzz) => {
            satellite::fuzz(&shell, &fuzz.name, fuzz.seconds.unwrap_or(60))
        }
    }
}

/// The directory of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
