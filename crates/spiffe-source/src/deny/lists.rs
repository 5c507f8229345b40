use std::sync::Arc;

use super::list::DenyList;

/// The deny-list in its two parts, what code has set and what the watched file says. Who is on
/// either of them is denied.
#[derive(Debug, Clone, Default)]
pub(crate) struct DenyParts {
    code: Arc<DenyList>,
    file: Arc<DenyList>,
    both: Arc<DenyList>,
}

impl DenyParts {
    fn of(code: Arc<DenyList>, file: Arc<DenyList>) -> Self {
        let both = match (code.is_empty(), file.is_empty()) {
            (_, true) => code.clone(),
            (true, false) => file.clone(),
            (false, false) => Arc::new(code.union(&file)),
        };
        Self { code, file, both }
    }

    /// These parts with another one from code. Long lists take a while: hold no lock.
    pub(crate) fn with_code(&self, list: DenyList) -> Self {
        // An equal list stays the same one, so that nothing is compared entry by entry for it.
        if *self.code == list {
            return self.clone();
        }
        Self::of(Arc::new(list), self.file.clone())
    }

    /// These parts with another one from the file. Long lists take a while: hold no lock.
    pub(crate) fn with_file(&self, list: DenyList) -> Self {
        if *self.file == list {
            return self.clone();
        }
        Self::of(self.code.clone(), Arc::new(list))
    }
}

/// The deny-list in force, and how its file is.
#[derive(Debug, Default)]
pub(crate) struct DenyLists {
    parts: DenyParts,
    has_file: bool,
    /// Why the file is not what is in force.
    file_problem: Option<String>,
}

impl DenyLists {
    pub(crate) fn new(code: DenyList, file: Option<DenyList>) -> Self {
        Self {
            has_file: file.is_some(),
            parts: DenyParts::of(Arc::new(code), Arc::new(file.unwrap_or_default())),
            file_problem: None,
        }
    }

    pub(crate) fn parts(&self) -> &DenyParts {
        &self.parts
    }

    /// Whoever is denied.
    pub(crate) fn both(&self) -> &Arc<DenyList> {
        &self.parts.both
    }

    /// Whether the file says something else than what is in force; none without a file.
    pub(crate) fn file_is_stale(&self) -> Option<bool> {
        self.has_file.then_some(self.file_problem.is_some())
    }

    /// What is wrong with the file beside what else is wrong. It hides behind no other problem:
    /// nothing else shows that denials are missing.
    pub(crate) fn and_file_problem(&self, other: Option<String>) -> Option<String> {
        match (other, &self.file_problem) {
            (Some(other), Some(file)) => Some(format!("{other}; {file}")),
            (other, file) => other.or_else(|| file.clone()),
        }
    }

    /// Takes the part from code. The other one may have changed since this was prepared.
    pub(crate) fn set_code(&mut self, prepared: DenyParts) {
        self.parts = if Arc::ptr_eq(&prepared.file, &self.parts.file) {
            prepared
        } else {
            DenyParts::of(prepared.code, self.parts.file.clone())
        };
    }

    /// What the file says now, or why it cannot be used: then it says what it said before.
    pub(crate) fn set_file(&mut self, read: Result<DenyParts, String>) {
        match read {
            Ok(prepared) => {
                self.file_problem = None;
                self.parts = if Arc::ptr_eq(&prepared.code, &self.parts.code) {
                    prepared
                } else {
                    DenyParts::of(self.parts.code.clone(), prepared.file)
                };
            }
            Err(problem) => self.file_problem = Some(problem),
        }
    }
}
