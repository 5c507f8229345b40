//! Keeps the own tokens, and fetches them before anybody waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spiffe_peer::SpiffeId;
use spiffe_verify::{JwtFault, JwtVerifier};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::audience::{Audience, InvalidAudience};
use super::bounded::BoundedAuthority;
use super::error::{JwtAuthorityError, JwtSvidError, Why};
use super::own::{BadToken, OwnJwtSvid};
use super::slots::{Departure, Found, Key, Moment, Outcome, Pace, Slots};
use super::{JwtAuthority, VouchedJwtSvid};
use crate::change::Change;
use crate::keeper::Keeper;
use crate::observe;
use crate::snapshot::Snapshot;

/// How many tokens are held at most.
const CAPACITY: usize = 1024;

/// How often it is looked which tokens have to be refreshed.
const TICK: Duration = Duration::from_secs(1);

/// How long a new key may take from the token that it has signed to the bundle here: they come on
/// different streams.
const BUNDLE_LAG: Duration = Duration::from_secs(1);

/// A token is refreshed after half of its life, a tenth earlier or later, so that what was fetched
/// together is not refreshed together.
const EARLIEST_REFRESH: u32 = 450;
const REFRESH_SPREAD: u32 = 100;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The longest that a failure is told without another attempt, to callers who have no token.
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);

/// The tokens of one source. A caller who finds one takes no turn behind anybody who waits.
pub(crate) struct Cache {
    keeper: Arc<Keeper>,
    authority: BoundedAuthority,
    runtime: Handle,
    stop: CancellationToken,
    slots: Mutex<Slots>,
}

impl Cache {
    /// Starts the cache. Its tasks end when `stop` is cancelled, and then it holds nothing.
    pub(crate) fn start(
        keeper: &Arc<Keeper>,
        authority: Arc<dyn JwtAuthority>,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let cache = Arc::new(Self {
            keeper: keeper.clone(),
            authority: BoundedAuthority::new(authority),
            runtime: Handle::current(),
            stop: stop.clone(),
            slots: Mutex::new(Slots::new(CAPACITY)),
        });
        let changes = keeper.changes();
        let follower = cache.clone();
        tokio::spawn(async move {
            let stop = follower.stop.clone();
            stop.run_until_cancelled(follower.follow(changes)).await;
            follower.slots().withdraw(u64::MAX);
            follower.observe();
        });
        cache
    }

    /// The token of an own identity, or of the one in use, for these audiences.
    pub(super) async fn get(
        self: &Arc<Self>,
        id: Option<&SpiffeId>,
        audience: Audience,
    ) -> Outcome {
        let id = self.own_id(id)?;
        let key = Key {
            id: id.clone(),
            audience,
        };
        let at = self.moment();
        let (found, departure) = self.slots().ask(key, at);
        if let Some(departure) = departure {
            self.begin(departure);
        }
        let mut landing = match found {
            Found::Token(token) => return Ok(token),
            Found::Refusal(error) => return Err(error),
            Found::Fetch(landing) => landing,
        };
        let landed = landing.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        // A fetch that never lands was dropped with its runtime, or with the source.
        let outcome = outcome.unwrap_or_else(|| Err(Why::Closed.into()));
        let token = self.own_id(Some(&id)).and(outcome)?;
        if token.expires_at() <= self.keeper.now() {
            return Err(expired());
        }
        Ok(token)
    }

    pub(super) async fn validate(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<VouchedJwtSvid, JwtAuthorityError> {
        self.authority.validate(token, audience).await
    }

    /// An ID as far as this process has it at this moment.
    fn own_id(&self, id: Option<&SpiffeId>) -> Result<SpiffeId, JwtSvidError> {
        let snapshot = self.keeper.current();
        if self.stop.is_cancelled() {
            return Err(Why::Closed.into());
        }
        let in_use = snapshot.svid().ok_or(Why::NoIdentity)?;
        let id = id.unwrap_or_else(|| in_use.spiffe_id());
        if has(&snapshot, id) {
            Ok(id.clone())
        } else {
            Err(Why::NotOwn(id.clone()).into())
        }
    }

    fn begin(self: &Arc<Self>, departure: Departure) {
        let cache = self.clone();
        self.runtime.spawn(async move {
            let fetched = cache.fetch(&departure);
            let Some(outcome) = cache.stop.run_until_cancelled(fetched).await else {
                return;
            };
            let outcome = cache.settle(&departure, outcome);
            departure.landing.send_replace(Some(outcome));
        });
    }

    async fn fetch(&self, departure: &Departure) -> Outcome {
        tokio::select! {
            biased;
            () = departure.withdrawn.cancelled() => Err(Why::NoIdentity.into()),
            fetched = self.issue(&departure.key) => fetched.map(Arc::new),
        }
    }

    async fn issue(&self, key: &Key) -> Result<OwnJwtSvid, JwtSvidError> {
        let issued = self.authority.fetch(&key.id, key.audience.as_slice());
        let token = issued.await.map_err(Why::Authority)?.into_token();
        let audience = key.audience.as_slice();
        let verifier = JwtVerifier::new(self.keeper.provider().clone(), audience)
            .map_err(|_| Why::Audience(InvalidAudience::Blank))?;
        let deadline = Instant::now() + BUNDLE_LAG;
        let mut snapshots = self.keeper.snapshots();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            let bundle = snapshot.jwt_bundle(key.id.trust_domain());
            match OwnJwtSvid::check(&token, key, bundle, &verifier, self.keeper.now()) {
                Ok(svid) => return Ok(svid),
                Err(bad) if bad.may_be_ahead_of_the_bundle() => {
                    let Ok(Ok(())) = timeout_at(deadline, snapshots.changed()).await else {
                        return Err(Why::BadToken(bad).into());
                    };
                }
                Err(bad) => return Err(Why::BadToken(bad).into()),
            }
        }
    }

    /// Holds what was fetched, unless the identity has gone meanwhile.
    fn settle(&self, departure: &Departure, outcome: Outcome) -> Outcome {
        let key = &departure.key;
        let at = self.moment();
        let mut slots = self.slots();
        let outcome = if departure.withdrawn.is_cancelled() {
            Err(Why::NoIdentity.into())
        } else {
            outcome
        };
        slots.settle(key, departure.number, &outcome, at, |failures| {
            self.pace(failures)
        });
        drop(slots);
        let id = &key.id;
        match &outcome {
            Ok(svid) => observe::jwt_svid_fetched(id, svid.expires_at()),
            Err(error) => observe::jwt_svid_missing(id, error.result(), error),
        }
        self.observe();
        outcome
    }

    /// Refreshes what has to be, and drops what is withdrawn, until nothing can change any more.
    async fn follow(self: &Arc<Self>, mut changes: broadcast::Receiver<Change>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                change = changes.recv() => match change {
                    Ok(change) => self.changed(Some(&change)),
                    Err(RecvError::Lagged(_)) => self.changed(None),
                    Err(RecvError::Closed) => return,
                },
                _ = tick.tick() => {
                    let at = self.moment();
                    let due = self.slots().look_at_the_clock(at);
                    due.into_iter().for_each(|departure| self.begin(departure));
                }
            }
            self.observe();
        }
    }

    fn changed(&self, change: Option<&Change>) {
        let snapshot = self.keeper.current();
        let mut slots = self.slots();
        // An identity that has gone and come back since then has new tokens.
        if let Some(gone) = change.filter(|change| change.after().is_none()) {
            slots.withdraw(gone.revision());
        }
        slots.keep_ids(|id| has(&snapshot, id));
        slots.keep_tokens(|token| {
            let bundle = snapshot.jwt_bundle(token.spiffe_id().trust_domain());
            bundle.is_none_or(|bundle| token.is_signed_by_one_of(bundle))
        });
    }

    /// A random part of each time, so that many processes do not ask in one instant.
    fn pace(&self, failures: u32) -> Pace {
        let mut random = [0_u8; 2];
        // Without random bytes there is no jitter, which is no reason not to go on.
        let _ = self.keeper.provider().secure_random.fill(&mut random);
        let random = u32::from(u16::from_be_bytes(random));
        let part_of = |whole: u32| whole * random / u32::from(u16::MAX);
        let step = FIRST_RETRY.saturating_mul(1 << failures.min(16));
        let jittered = |step: Duration| step / 2 + step / 2000 * part_of(1000);
        Pace {
            refresh_after: EARLIEST_REFRESH + part_of(REFRESH_SPREAD),
            retry_after: jittered(step.min(LONGEST_RETRY)),
            refuse_for: jittered(step.min(LONGEST_REFUSAL)),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.keeper.now(),
            instant: Instant::now(),
            revision: self.keeper.current().revision(),
        }
    }

    fn observe(&self) {
        observe::jwt_svids_held(|| self.slots().held());
    }

    /// A panic while the lock was held is no reason to stop: a slot is whole at any time.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this process has an identity, by a snapshot. One on the deny-list is not in it.
fn has(snapshot: &Snapshot, id: &SpiffeId) -> bool {
    let mut own = snapshot.svids().iter();
    own.any(|svid| svid.spiffe_id() == id)
}

fn expired() -> JwtSvidError {
    Why::BadToken(BadToken::Invalid(JwtFault::Expired.into())).into()
}
