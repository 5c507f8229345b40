use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spiffe_peer::SpiffeId;

use crate::snapshot::Svid;

/// Chooses the own SVID that is used, where the feed gives several.
#[derive(Clone, Default)]
pub(crate) enum Picker {
    /// SPIFFE Workload API, section 8: the first is the default identity.
    #[default]
    First,
    Id(SpiffeId),
    Hint(String),
    Choice(Arc<Choice>),
}

type Choice = dyn Fn(&[Arc<Svid>]) -> Option<usize> + Send + Sync;

impl Picker {
    /// The index of the chosen one. `read` are the SVIDs in the feed's order, each usable or not;
    /// what is not usable is never replaced by another: a process does not change its identity
    /// because of a broken message.
    pub(crate) fn pick(&self, read: &[Candidate]) -> Result<usize, String> {
        let first = |fits: &dyn Fn(&Candidate) -> bool| read.iter().position(fits);
        match self {
            Self::First => (!read.is_empty())
                .then_some(0)
                .ok_or_else(|| "there is none".to_owned()),
            Self::Id(id) => {
                let id = id.to_string();
                first(&|candidate| candidate.id.as_deref() == Some(&id))
                    .ok_or_else(|| format!("none is of {id}, which is picked: {}", Offered(read)))
            }
            Self::Hint(hint) => first(&|candidate| candidate.hint.as_deref() == Some(hint))
                .ok_or_else(|| {
                    format!(
                        "none has the hint `{hint}`, which is picked: {}",
                        Offered(read)
                    )
                }),
            Self::Choice(choice) => {
                let (places, usable): (Vec<_>, Vec<_>) = read
                    .iter()
                    .enumerate()
                    .filter_map(|(place, candidate)| {
                        Some((place, candidate.svid.as_ref().ok()?.clone()))
                    })
                    .unzip();
                catch_unwind(AssertUnwindSafe(|| choice(&usable)))
                    .map_err(|_| "the picker has panicked".to_owned())?
                    .and_then(|chosen| places.get(chosen).copied())
                    .ok_or_else(|| format!("the picker picks none: {}", Offered(read)))
            }
        }
    }
}

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("First"),
            Self::Id(id) => f.debug_tuple("Id").field(&id.to_string()).finish(),
            Self::Hint(hint) => f.debug_tuple("Hint").field(hint).finish(),
            Self::Choice(_) => f.write_str("Choice"),
        }
    }
}

/// An own SVID that the feed offers.
pub(crate) struct Candidate {
    pub(crate) id: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) svid: Result<Arc<Svid>, String>,
}

/// Says what could have been picked, at a bounded length.
struct Offered<'a>(&'a [Candidate]);

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 5;
        write!(f, "there are {}", self.0.len())?;
        for (index, candidate) in self.0.iter().take(NAMED).enumerate() {
            f.write_str(if index == 0 { ", " } else { " and " })?;
            match &candidate.svid {
                Ok(svid) => write!(f, "{}", svid.spiffe_id())?,
                Err(_) => f.write_str("an unusable one")?,
            }
            if let Some(hint) = &candidate.hint {
                let hint: String = hint.chars().take(80).collect();
                write!(f, " (hint `{}`)", hint.escape_debug())?;
            }
        }
        if self.0.len() > NAMED {
            f.write_str(" and more")?;
        }
        Ok(())
    }
}
