//! The deny-list, which changes beside the material.

use super::{Keeper, lock};
use crate::change::Cause;
use crate::deny::{DenyList, DenyParts};
use crate::observe;

impl Keeper {
    /// Replaces the part of the deny-list that comes from code.
    pub(crate) fn deny(&self, list: DenyList) {
        let now = self.clock.now();
        let parts = lock(&self.held).deny.parts().clone();
        let prepared = parts.with_code(list);
        let mut held = lock(&self.held);
        held.deny.set_code(prepared);
        let news = self.publish(held, Cause::DenyList, now);
        self.outlet.tell(news);
        self.tell_deny_list();
    }

    /// Puts together what [`deny_file`](Self::deny_file) takes. It is no work for a runtime's worker
    /// where the lists are long.
    pub(crate) fn with_deny_file(&self, list: DenyList) -> DenyParts {
        let parts = lock(&self.held).deny.parts().clone();
        parts.with_file(list)
    }

    /// Replaces the part of the deny-list that comes from a file, or notes why that stays.
    pub(crate) fn deny_file(&self, read: Result<DenyParts, String>) {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        let cause = if read.is_ok() {
            Cause::DenyList
        } else {
            self.by_the_clock()
        };
        held.deny.set_file(read);
        let news = self.publish(held, cause, now);
        self.outlet.tell(news);
        self.tell_deny_list();
    }

    /// Says how the deny-list is to those who count.
    pub(crate) fn tell_deny_list(&self) {
        let (entries, file_is_stale) = {
            let held = lock(&self.held);
            (held.deny.both().len(), held.deny.file_is_stale())
        };
        observe::deny_list(entries, file_is_stale);
    }
}
