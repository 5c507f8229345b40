use std::sync::Arc;

use super::list::DenyList;

/// The deny-list in its two parts, what code has set and what the watched file says. Who is on
/// either of them is denied.
#[derive(Debug, Default)]
pub(crate) struct DenyLists {
    code: Arc<DenyList>,
    file: Arc<DenyList>,
    both: Arc<DenyList>,
    /// Why the file is not what is in force.
    file_problem: Option<String>,
}

impl DenyLists {
    pub(crate) fn new(code: DenyList, file: DenyList) -> Self {
        let mut lists = Self::default();
        lists.set_code(code);
        lists.set_file(Ok(file));
        lists
    }

    /// Whoever is denied.
    pub(crate) fn both(&self) -> &Arc<DenyList> {
        &self.both
    }

    /// What is wrong with the file beside what else is wrong. It hides behind no other problem:
    /// nothing else shows that denials are missing.
    pub(crate) fn and_file_problem(&self, other: Option<String>) -> Option<String> {
        match (other, &self.file_problem) {
            (Some(other), Some(file)) => Some(format!("{other}; {file}")),
            (other, file) => other.or_else(|| file.clone()),
        }
    }

    pub(crate) fn set_code(&mut self, list: DenyList) {
        // An equal list stays the same one, so that nothing is compared entry by entry for it.
        if *self.code != list {
            self.code = Arc::new(list);
            self.unite();
        }
    }

    /// What the file says now, or why it cannot be used: then it says what it said before.
    pub(crate) fn set_file(&mut self, read: Result<DenyList, String>) {
        match read {
            Ok(list) => {
                self.file_problem = None;
                if *self.file != list {
                    self.file = Arc::new(list);
                    self.unite();
                }
            }
            Err(problem) => self.file_problem = Some(problem),
        }
    }

    fn unite(&mut self) {
        self.both = match (self.code.is_empty(), self.file.is_empty()) {
            (_, true) => self.code.clone(),
            (true, false) => self.file.clone(),
            (false, false) => Arc::new(self.code.union(&self.file)),
        };
    }
}
