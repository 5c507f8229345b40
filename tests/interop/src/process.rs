use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// A program that runs, and is killed when this is dropped.
pub struct Running {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stdout: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Running {
    /// Starts a program.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts a program that [`ask`](Self::ask) talks with.
    #[must_use]
    pub fn converse(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    fn start_with(command: &mut Command, stdin: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));

        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            // A program that is killed leaves what it wrote until then.
            stderr.read_to_end(&mut text).ok();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            name,
            stdin: child.stdin.take(),
            child,
            lines,
            stdout: Vec::new(),
            stderr: Some(stderr),
        }
    }

    /// Waits for a line that begins so, and returns the rest of it.
    pub fn line(&mut self, beginning: &str) -> String {
        self.find(beginning, |line| line.strip_prefix(beginning))
    }

    /// Waits for a line with this in it, and returns what follows.
    pub fn line_with(&mut self, words: &str) -> String {
        self.find(words, |line| Some(line.split_once(words)?.1))
    }

    fn find(&mut self, wanted: &str, rest: impl Fn(&str) -> Option<&str>) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.stdout.push(line.clone());
                    if let Some(rest) = rest(&line) {
                        return rest.trim().to_owned();
                    }
                }
                Err(cause) => {
                    let what = match cause {
                        RecvTimeoutError::Timeout => "did not say",
                        RecvTimeoutError::Disconnected => "ended without saying",
                    };
                    let until_then = self.kill();
                    panic!("{} {what} `{wanted}…`: {until_then:#?}", self.name);
                }
            }
        }
    }

    /// Writes a line to its standard input and waits for the next line that it writes.
    pub fn ask(&mut self, line: &str) -> String {
        let stdin = self.stdin.as_mut().expect("the program is talked with");
        // One that has ended is found out by the answer that it does not give.
        writeln!(stdin, "{line}").ok();
        self.line("")
    }

    /// Sends SIGTERM and waits for the end.
    #[must_use]
    pub fn terminate(self) -> Finished {
        let sent = self.signal("TERM");
        assert!(sent, "{} has ended before it was told to", self.name);
        self.finish()
    }

    /// Sends a signal, such as `HUP`, and says whether there is still somebody to get it.
    pub fn signal(&self, signal: &str) -> bool {
        let kill = format!("kill -{signal} {}", self.child.id());
        let sent = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("sh runs");
        sent.success()
    }

    /// Waits for the end. Its standard input ends at once.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        self.stdin = None;
        let deadline = Instant::now() + PATIENCE;
        while self
            .child
            .try_wait()
            .expect("the program can be waited for")
            .is_none()
        {
            if Instant::now() > deadline {
                let until_then = self.kill();
                panic!("{} does not end: {until_then:#?}", self.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.collect()
    }

    fn kill(&mut self) -> Finished {
        self.child.kill().ok();
        self.collect()
    }

    fn collect(&mut self) -> Finished {
        let status = self.child.wait().expect("the program can be waited for");
        self.stdout.extend(self.lines.iter());
        let stderr = self
            .stderr
            .take()
            .map(|reader| reader.join().expect("the reader does not panic"));
        Finished {
            status,
            stdout: self.stdout.join("\n"),
            stderr: stderr.unwrap_or_default(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Finished {
    /// What it wrote to its standard output, if it ended well.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.status.success(), "{self:#?}");
        self.stdout
    }
}
