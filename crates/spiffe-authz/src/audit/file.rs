use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use super::record::{AuditRecord, AuditSink, Lost};

/// How many records wait for the disk at most, unless a setting says otherwise.
const CAPACITY: usize = 8192;

/// Writes records into a file, one JSON object a line.
///
/// A thread of its own writes: no request waits for the disk. Where more records wait than the
/// capacity, further ones are dropped and [counted](Self::dropped), or the request is denied, by
/// setting. Dropping the sink writes what still waits.
///
/// ```
/// use spiffe_authz::audit::JsonLines;
///
/// let directory = tempfile::tempdir()?;
/// let sink = JsonLines::builder().deny_when_full().append_to(directory.path().join("audit.jsonl"))?;
/// assert_eq!(sink.dropped(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JsonLines {
    lines: Option<SyncSender<Vec<u8>>>,
    shared: Arc<Shared>,
    deny_when_full: bool,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    failing: AtomicBool,
}

/// Settings of a [`JsonLines`].
///
/// ```
/// let settings = spiffe_authz::audit::JsonLines::builder().capacity(1024);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder opens nothing by itself"]
pub struct JsonLinesBuilder {
    capacity: usize,
    deny_when_full: bool,
}

impl JsonLines {
    /// A sink that holds 8192 records and drops further ones.
    pub fn builder() -> JsonLinesBuilder {
        JsonLinesBuilder {
            capacity: CAPACITY,
            deny_when_full: false,
        }
    }

    /// How many records were lost: the queue was full, or the file could not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    fn lose(&self) -> Result<(), Lost> {
        self.shared.lose(1);
        if self.deny_when_full {
            Err(Lost::new())
        } else {
            Ok(())
        }
    }
}

impl JsonLinesBuilder {
    /// How many records may wait for the disk; at least one.
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records.max(1);
        self
    }

    /// Denies a request whose record cannot be kept, in place of dropping the record.
    pub fn deny_when_full(mut self) -> Self {
        self.deny_when_full = true;
        self
    }

    /// Opens a file, or makes it, and appends to it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be opened, or no thread can be started.
    pub fn append_to(self, path: impl AsRef<Path>) -> io::Result<JsonLines> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        self.write_to(file)
    }

    /// Writes to anything. A write that fails loses its records; what follows is tried again.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn write_to(self, out: impl Write + Send + 'static) -> io::Result<JsonLines> {
        let (lines, waiting) = sync_channel(self.capacity);
        let shared = Arc::new(Shared::default());
        let writer = std::thread::Builder::new()
            .name("spiffe-audit".to_owned())
            .spawn({
                let shared = shared.clone();
                move || write_all(&waiting, io::BufWriter::new(out), &shared)
            })?;
        Ok(JsonLines {
            lines: Some(lines),
            shared,
            deny_when_full: self.deny_when_full,
            writer: Some(writer),
        })
    }
}

impl AuditSink for JsonLines {
    fn record(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        if self.deny_when_full && self.shared.failing.load(Ordering::Relaxed) {
            // The thread goes on trying: the record is queued, and the request pays for the disk.
            self.queue(record).ok();
            return Err(Lost::new());
        }
        self.queue(record)
    }
}

impl JsonLines {
    fn queue(&self, record: &AuditRecord<'_>) -> Result<(), Lost> {
        let Ok(mut line) = serde_json::to_vec(record) else {
            return self.lose();
        };
        line.push(b'\n');
        match &self.lines {
            Some(lines) if lines.try_send(line).is_ok() => Ok(()),
            _ => self.lose(),
        }
    }
}

impl Shared {
    fn lose(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }
}

/// Writes until nobody sends any more; flushes whenever nothing waits.
fn write_all(waiting: &Receiver<Vec<u8>>, mut out: impl Write, shared: &Shared) {
    while let Ok(mut line) = waiting.recv() {
        let outcome = loop {
            if let Err(error) = out.write_all(&line) {
                shared.lose(1);
                break Err(error);
            }
            match waiting.try_recv() {
                Ok(next) => line = next,
                // What cannot be flushed stays in the buffer and is tried again.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break out.flush(),
            }
        };
        let failed = outcome.is_err();
        if shared.failing.swap(failed, Ordering::Relaxed) == failed {
            continue;
        }
        match outcome {
            Ok(()) => {
                tracing::info!(target: "spiffe_authz", "audit records can be written again");
            }
            Err(error) => {
                tracing::error!(target: "spiffe_authz", %error, "audit records cannot be written");
            }
        }
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            // It panics nowhere; and nobody is left to tell.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines")
            .field("dropped", &self.dropped())
            .field("deny_when_full", &self.deny_when_full)
            .finish_non_exhaustive()
    }
}
