//! What guards have decided of a request whose answer is watched, so that the same is decided again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::shared::Scope;
use crate::rule::Rule;

/// A layer, in all the places that it is put in, and whether anybody watches what it allows.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<AtomicBool>);

impl Watch {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Notes for whoever watches this layer by which scope it decides.
    #[inline]
    pub(super) fn note(&self, extensions: &Extensions, scope: Scope<'_>) {
        if self.0.load(Ordering::Relaxed) {
            self.note_watched(extensions, scope);
        }
    }

    #[inline(never)]
    fn note_watched(&self, extensions: &Extensions, scope: Scope<'_>) {
        let mut next = extensions.get::<Decided>();
        while let Some(decided) = next {
            if Arc::ptr_eq(&decided.by.0, &self.0) {
                decided.add(scope);
            }
            next = decided.outer.as_deref();
        }
    }
}

/// By which scopes the guards of one layer have decided.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    by: Watch,
    /// A rule in code that can only be kept out, or everything.
    scopes: Arc<Mutex<Vec<Option<Rule>>>>,
    /// For whoever watches further out, mostly another layer.
    outer: Option<Arc<Self>>,
}

impl Decided {
    /// What is still to be decided by a layer, told to its guards further in.
    pub(super) fn told(extensions: &mut Extensions, by: &Watch) -> Self {
        let decided = Self {
            by: by.clone(),
            scopes: Arc::default(),
            outer: extensions.remove().map(Arc::new),
        };
        extensions.insert(decided.clone());
        decided
    }

    fn add(&self, scope: Scope<'_>) {
        let rule = match scope {
            Scope::Everything => None,
            Scope::KeepingOut(rule) => Some(rule),
        };
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = scopes.iter().any(|known| match (known, rule) {
            (Some(known), Some(rule)) => known.is(rule),
            (known, rule) => known.is_none() && rule.is_none(),
        });
        if !is_known {
            scopes.push(rule.cloned());
        }
    }

    /// Every scope that has to be decided again; everything, where no guard further in has said.
    pub(super) fn scopes(&self) -> Vec<Option<Rule>> {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.is_empty() {
            vec![None]
        } else {
            scopes.clone()
        }
    }
}
