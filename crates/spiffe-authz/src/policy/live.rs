use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::error::InvalidPolicy;
use super::loaded::{Loader, Policy, read_bounded};
use crate::observe;

/// How often the file is looked at. What has changed counts once two looks agree.
const EVERY: Duration = Duration::from_millis(250);

/// A policy that follows its file.
///
/// The file is looked at four times a second and known by what it holds, so that neither the time of
/// a change nor the file that a link points at matters: one written in place, one renamed over the
/// old one and one that a Kubernetes volume exchanges are noticed alike. What is new counts once two
/// looks in a row have seen the same. Still, **write by rename**: half a file can be a shorter policy.
///
/// A file that is no policy, that would turn an enforced policy into one in shadow, or that a bound
/// router refuses, changes nothing: the policy before stays in force, and [`status`](Self::status), the
/// log and the gauge `spiffe_authz_policy_stale` tell of it until the file is mended. A file that
/// cannot be read is such a file.
///
/// Cloning copies one pointer; the file is followed until the last clone is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spiffe_authz::guard::AuthzLayer;
/// use spiffe_authz::policy::{LivePolicy, Policy};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("policy.yaml");
/// # std::fs::write(&path, "{ version: 1, name: orders, trust_domains: {}, rules: [] }")?;
/// let live = LivePolicy::follow(Policy::loader(), &path)?;
/// assert!(live.status().refused().is_none());
/// let layer = AuthzLayer::new(live)?;
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LivePolicy(Arc<Shared>);

struct Shared {
    path: PathBuf,
    loader: Loader,
    current: ArcSwap<Policy>,
    status: watch::Sender<PolicyStatus>,
    checks: Mutex<Vec<Check>>,
}

/// Somebody who can refuse a new policy.
pub(crate) type Check = Arc<dyn Fn(&Policy) -> Result<(), InvalidPolicy> + Send + Sync>;

impl LivePolicy {
    /// Loads a policy and follows its file from then on, on the current Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`InvalidPolicy`] where the first look finds no policy.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn follow(loader: Loader, path: impl Into<PathBuf>) -> Result<Self, InvalidPolicy> {
        let path = path.into();
        let bytes = read(&path)?;
        let policy = loader
            .load(&bytes)
            .map_err(|invalid| invalid.in_file(&path))?;
        let (status, _) = watch::channel(PolicyStatus {
            policy: policy.clone(),
            refused: None,
        });
        observe::stale(policy.name(), false);
        let shared = Arc::new(Shared {
            path,
            loader,
            current: ArcSwap::from_pointee(policy),
            status,
            checks: Mutex::default(),
        });
        tokio::spawn(follow(Arc::downgrade(&shared), Ok(bytes)));
        Ok(Self(shared))
    }

    /// The policy in force.
    #[must_use]
    pub fn current(&self) -> Policy {
        Policy::clone(&self.0.current.load())
    }

    /// The policy in force, and what was refused since.
    #[must_use]
    pub fn status(&self) -> PolicyStatus {
        self.0.status.borrow().clone()
    }

    /// A receiver that hears of every change of [`status`](Self::status).
    pub(crate) fn statuses(&self) -> watch::Receiver<PolicyStatus> {
        self.0.status.subscribe()
    }

    /// Waits until the status is another than `seen`, and gives it. Cancel safe.
    pub async fn changed(&self, seen: &PolicyStatus) -> PolicyStatus {
        let mut statuses = self.statuses();
        match statuses.wait_for(|status| !status.is_same(seen)).await {
            Ok(status) => status.clone(),
            // Not reached: this handle keeps the sender.
            Err(_) => std::future::pending().await,
        }
    }

    pub(crate) fn replaced(&self) -> Replaced {
        Replaced {
            seen: self.now().generation(),
            statuses: self.statuses(),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.0.current.load()
    }

    /// Lets somebody refuse what is loaded from now on, after looking at what is in force.
    #[cfg_attr(
        not(feature = "axum"),
        allow(dead_code, reason = "only the guarded router knows its routes")
    )]
    pub(crate) fn check(&self, check: Check) -> Result<(), InvalidPolicy> {
        let mut checks = self.0.checks();
        check(&self.0.current.load())?;
        checks.push(check);
        Ok(())
    }
}

impl Shared {
    fn checks(&self) -> std::sync::MutexGuard<'_, Vec<Check>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, contents: &Result<Vec<u8>, InvalidPolicy>) {
        let loaded = contents
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|bytes| self.loader.load(bytes))
            .and_then(|policy| self.approve(policy))
            .map_err(|invalid| invalid.in_file(&self.path));
        match loaded {
            Ok(policy) => {
                tracing::info!(target: "spiffe_authz", policy = policy.name(), generation = policy.generation(), "a new policy is in force");
                // An alarm was raised under the name of the policy before, which may be another.
                observe::stale(self.status.borrow().policy.name(), false);
                observe::stale(policy.name(), false);
                self.status.send_replace(PolicyStatus {
                    policy,
                    refused: None,
                });
            }
            Err(invalid) => self.refuse(invalid),
        }
    }

    /// Takes what was found, and outlives a panic of whoever looks at it: a file can then be mended.
    fn take_or_refuse(&self, contents: &Result<Vec<u8>, InvalidPolicy>) {
        let taken = catch_unwind(AssertUnwindSafe(|| self.take(contents)));
        if taken.is_err() {
            self.refuse(
                InvalidPolicy::plain("looking at the policy has panicked").in_file(&self.path),
            );
        }
    }

    fn refuse(&self, invalid: InvalidPolicy) {
        let name = self.current.load().name().to_owned();
        tracing::error!(target: "spiffe_authz", policy = name, error = %invalid, "a new policy is refused, the one before stays in force");
        observe::stale(&name, true);
        self.status
            .send_modify(|status| status.refused = Some(Arc::new(invalid)));
    }

    /// Puts a policy in force that everybody agrees to; nobody can join in between.
    fn approve(&self, policy: Policy) -> Result<Policy, InvalidPolicy> {
        let checks = self.checks();
        if policy.is_shadow() != self.current.load().is_shadow() {
            return Err(InvalidPolicy::plain(
                "`mode` has changed: whether a policy is enforced is decided when a service starts",
            ));
        }
        checks.iter().try_for_each(|check| check(&policy))?;
        self.current.store(Arc::new(policy.clone()));
        Ok(policy)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidPolicy> {
    read_bounded(path)
        .map_err(|error| InvalidPolicy::plain(&format!("cannot read {}: {error}", path.display())))
}

/// Looks at the file until nobody holds the policy any more.
async fn follow(shared: Weak<Shared>, mut taken: Result<Vec<u8>, InvalidPolicy>) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: Option<Result<Vec<u8>, InvalidPolicy>> = None;
    loop {
        looks.tick().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let looked = tokio::task::spawn_blocking(move || {
            let found = read(&shared.path);
            if found == taken {
                return (taken, None);
            }
            if seen.as_ref() != Some(&found) {
                return (taken, Some(found));
            }
            shared.take_or_refuse(&found);
            (found, None)
        });
        match looked.await {
            Ok(state) => (taken, seen) = state,
            // The runtime ends.
            Err(_) => return,
        }
    }
}

/// Waits for the next policy.
pub(crate) struct Replaced {
    seen: u64,
    statuses: watch::Receiver<PolicyStatus>,
}

impl Replaced {
    /// Comes back when another policy is in force; never, once nobody can load one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        let Self { seen, statuses } = self;
        let next = statuses.wait_for(|status| status.policy.generation() != *seen);
        let Ok(generation) = next.await.map(|status| status.policy.generation()) else {
            return std::future::pending().await;
        };
        *seen = generation;
    }
}

/// What a [`LivePolicy`] has to say of itself.
///
/// ```no_run
/// # async fn example(live: spiffe_authz::policy::LivePolicy) {
/// let status = live.changed(&live.status()).await;
/// match status.refused() {
///     Some(refused) => eprintln!("still generation {}: {refused}", status.policy().generation()),
///     None => println!("generation {}", status.policy().generation()),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PolicyStatus {
    policy: Policy,
    refused: Option<Arc<InvalidPolicy>>,
}

impl PolicyStatus {
    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Why the file as it is now is not in force, until it is mended.
    #[must_use]
    pub fn refused(&self) -> Option<&InvalidPolicy> {
        self.refused.as_deref()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.policy.generation() == other.policy.generation() && self.refused == other.refused
    }
}

impl fmt::Debug for LivePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LivePolicy")
            .field("path", &self.0.path)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_whoever_looks_at_a_new_policy_refuses_it_and_the_next_one_loads() {
        let text =
            |name: &str| format!("{{ version: 1, name: {name}, trust_domains: {{}}, rules: [] }}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.yaml");
        std::fs::write(&path, text("first")).unwrap();
        let live = LivePolicy::follow(Policy::loader(), &path).unwrap();
        live.check(Arc::new(|policy| {
            assert_ne!(policy.name(), "explosive");
            Ok(())
        }))
        .unwrap();

        let write = |name: &str| {
            std::fs::write(directory.path().join("new"), text(name)).unwrap();
            std::fs::rename(directory.path().join("new"), &path).unwrap();
        };
        let seen = live.status();
        write("explosive");
        let refused = live.changed(&seen).await;
        assert_eq!(refused.policy().name(), "first");
        assert!(refused.refused().unwrap().to_string().contains("panicked"));
        write("third");
        let mended = live.changed(&refused).await;
        assert_eq!(mended.policy().name(), "third");
        assert!(mended.refused().is_none());
    }
}
