//! Servers in processes of their own, and what the system says of them.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

type Failure = Box<dyn Error + Send + Sync>;

/// A server that runs until this is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
    /// The process that works, which need not be the child itself.
    worker: u32,
    says: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// This program once more, with these arguments. The first line that it prints is the address
    /// where it listens.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub fn this_program<A: AsRef<OsStr>>(
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut server = Self {
            worker: child.id(),
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            says: Some(BufReader::new(stdout)),
        };
        let first = server.hear()?;
        let address = first.parse();
        server.address = address.map_err(|_| format!("{first:?} is not where a server listens"))?;
        Ok(server)
    }

    /// Takes over a server that was started by other means.
    pub fn adopt(child: Child, worker: u32, address: SocketAddr) -> Self {
        Self {
            child,
            address,
            worker,
            says: None,
        }
    }

    /// What it computes, it computes in this process.
    pub fn works_in(&mut self, worker: u32) {
        self.worker = worker;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps the thread that started it on one processor from now on, and whoever asks on another: who
    /// wakes whom across processors is a large part of what a request costs, and has to be the same
    /// for all.
    ///
    /// # Errors
    ///
    /// Where there is but one processor.
    pub fn keep_apart(&self) -> io::Result<()> {
        let worker = i32::try_from(self.worker).ok().and_then(Pid::from_raw);
        for (process, processor) in [(worker, 0), (None, 1)] {
            let mut only = CpuSet::new();
            only.set(processor);
            sched_setaffinity(process, &only)?;
        }
        Ok(())
    }

    /// Tells it something: a line on its standard input.
    ///
    /// # Errors
    ///
    /// Where it does not listen any more.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.child.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| io::Error::other("it has no standard input"))?;
        writeln!(stdin, "{line}")?;
        stdin.flush()
    }

    /// The next line on its standard output.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(says) = &mut self.says {
            says.read_line(&mut line)?;
        }
        Ok(line.trim().to_owned())
    }

    /// What it has computed so far, in user space and in the kernel: the run time of its threads, as
    /// the scheduler counts it, in nanoseconds. `utime` and `stime` in `/proc/PID/stat` are the same in
    /// hundredths of a second.
    ///
    /// # Errors
    ///
    /// Where the process is gone, or the system does not tell.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.worker))? {
            let counted = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += first_number(&counted)?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The memory that it has in use, in bytes.
    ///
    /// # Errors
    ///
    /// Where the process is gone, or the system does not tell.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.worker))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(1024 * first_number(line.unwrap_or_default())?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to save. A worker ends with its master.
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(id) = Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// The processes that this one has started.
///
/// # Errors
///
/// Where the system does not tell.
pub fn children_of(parent: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for process in fs::read_dir("/proc")? {
        let name = process?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may be gone by now.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
        let its_parent = after_name.and_then(|rest| rest.split_whitespace().nth(1));
        if its_parent.and_then(|text| text.parse().ok()) == Some(parent) {
            children.push(id);
        }
    }
    Ok(children)
}

fn first_number(text: &str) -> io::Result<u64> {
    let first = text.split_whitespace().next();
    first
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::other("the system gives no number"))
}
