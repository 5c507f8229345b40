//! Policies from files, and what is wrong with them.

use std::path::Path;

use spiffe_authz::Policy;
use spiffe_authz::policy::InvalidPolicy;

use super::excerpt::{Excerpts, harmless};
use super::{File, Service};
use crate::failure::Failure;

/// So many problems are shown; the rest are counted.
const SHOWN: usize = 20;

impl File {
    pub(super) fn load(&self) -> Result<Policy, Failure> {
        self.service.load(&self.file)
    }
}

impl Service {
    pub(super) fn load(&self, path: &Path) -> Result<Policy, Failure> {
        self.read(path).map_err(|invalid| unusable(path, &invalid))
    }

    pub(super) fn read(&self, path: &Path) -> Result<Policy, InvalidPolicy> {
        let mut loader = Policy::loader();
        if let Some(own) = &self.trust_domain {
            loader = loader.own_trust_domain(own.clone());
        }
        loader.from_path(path)
    }
}

/// Everything that is wrong with the file, each with the line that it is about.
pub(super) fn unusable(path: &Path, invalid: &InvalidPolicy) -> Failure {
    let excerpts = Excerpts::of(path);
    let problems = invalid.problems();
    let mut text = format!(
        "{} is no policy that can be used\n",
        harmless(&path.display().to_string())
    );
    for problem in problems.iter().take(SHOWN) {
        text.push_str(&excerpts.message(problem.line(), problem.column(), problem.message()));
    }
    if let Some(more) = problems.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("and {more} more"));
    }
    Failure::unusable(text.trim_end())
}
