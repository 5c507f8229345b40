//! Where the response goes.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::failure::Failure;

pub(super) struct Output {
    to: Box<dyn Write>,
    name: String,
}

impl Output {
    pub(super) fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file else {
            return Ok(Self {
                to: Box::new(io::stdout()),
                name: "stdout".to_owned(),
            });
        };
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self {
                to: Box::new(file),
                name,
            }),
            Err(error) => Err(unwritable(&name, &error)),
        }
    }

    /// Writes at once: who reads a stream of events waits for each.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.to.write_all(bytes).and_then(|()| self.to.flush());
        written.map_err(|error| unwritable(&self.name, &error))
    }
}

fn unwritable(name: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{name} cannot be written: {error}"))
}
