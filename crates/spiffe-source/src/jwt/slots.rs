use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use spiffe_peer::SpiffeId;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use super::error::{JwtSvidError, Why};
use super::own::OwnJwtSvid;

/// The longest time that must be left of a token that is handed out, so that it arrives before its
/// end; of a token that lives shortly, a tenth of its life.
const MARGIN: Duration = Duration::from_secs(10);

/// Whose token it is, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) id: SpiffeId,
    pub(super) audience: Audience,
}

pub(super) type Outcome = Result<Arc<OwnJwtSvid>, JwtSvidError>;

/// Where those who wait for a fetch see what became of it.
pub(super) type Landing = watch::Receiver<Option<Outcome>>;

/// A point in time by every clock that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// By the source's clock: what decides about validity.
    pub(super) now: SystemTime,
    /// By a clock that never jumps: what decides about attempts.
    pub(super) instant: Instant,
    /// The revision in force.
    pub(super) revision: u64,
}

/// What there is for a caller.
pub(super) enum Found {
    Token(Arc<OwnJwtSvid>),
    Fetch(Landing),
    Refusal(JwtSvidError),
}

/// A fetch that is to be begun.
pub(super) struct Departure {
    pub(super) key: Arc<Key>,
    pub(super) number: u64,
    pub(super) withdrawn: CancellationToken,
    pub(super) landing: watch::Sender<Option<Outcome>>,
}

/// How long a fetched token is good for, and what follows a fetch that failed.
pub(super) struct Pace {
    /// The part of its life after which a token is refreshed, in thousandths.
    pub(super) refresh_after: u32,
    /// How long after a failure the next attempt is made, where nobody waits for it.
    pub(super) retry_after: Duration,
    /// For how long callers are told of a failure before the next attempt.
    pub(super) refuse_for: Duration,
}

/// The tokens that are held and those that are being fetched: a bounded number, of which the one
/// that was not asked for the longest makes room.
pub(super) struct Slots {
    by_key: HashMap<Arc<Key>, Slot>,
    capacity: usize,
    asked: u64,
    fetches: u64,
}

#[derive(Default)]
struct Slot {
    held: Option<Held>,
    fetch: Option<Fetch>,
    /// What to tell callers instead of another attempt, and until when.
    refusal: Option<(JwtSvidError, Instant)>,
    /// When a refresh that has failed is tried again.
    retry_at: Option<Instant>,
    failures: u32,
    last_asked: u64,
    /// Whether anybody has asked since the last refresh was begun.
    is_wanted: bool,
}

struct Held {
    token: Arc<OwnJwtSvid>,
    since: SystemTime,
    refresh_at: SystemTime,
    margin: Duration,
    revision: u64,
}

struct Fetch {
    number: u64,
    landing: Landing,
    withdrawn: CancellationToken,
    revision: u64,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            capacity,
            asked: 0,
            fetches: 0,
        }
    }

    /// How many tokens are held.
    pub(super) fn held(&self) -> usize {
        let slots = self.by_key.values();
        slots.filter(|slot| slot.held.is_some()).count()
    }

    /// What there is for a caller, and the fetch that has to be begun for it.
    pub(super) fn ask(&mut self, key: Key, at: Moment) -> (Found, Option<Departure>) {
        let is_known = self.by_key.contains_key(&key);
        if !is_known && self.by_key.len() >= self.capacity && !self.make_room() {
            return (Found::Refusal(Why::Busy.into()), None);
        }
        self.asked += 1;
        let key = Arc::new(key);
        let slot = self.by_key.entry(key.clone()).or_default();
        slot.last_asked = self.asked;
        slot.is_wanted = true;
        if let Some(token) = slot.usable(at.now) {
            let is_due = slot.is_due(at);
            return (
                Found::Token(token),
                is_due.then(|| slot.refresh(&key, &mut self.fetches, at.revision)),
            );
        }
        if let Some(fetch) = &slot.fetch {
            return (Found::Fetch(fetch.landing.clone()), None);
        }
        if let Some((error, until)) = &slot.refusal
            && at.instant < *until
        {
            return (Found::Refusal(error.clone()), None);
        }
        let departure = slot.depart(&key, &mut self.fetches, at.revision);
        (Found::Fetch(departure.landing.subscribe()), Some(departure))
    }

    /// Forgets what has ended, and gives the fetches that are due.
    pub(super) fn look_at_the_clock(&mut self, at: Moment) -> Vec<Departure> {
        let mut due = Vec::new();
        for (key, slot) in &mut self.by_key {
            slot.held.take_if(|held| held.token.expires_at() <= at.now);
            slot.refusal.take_if(|(_, until)| *until <= at.instant);
            if slot.is_wanted && slot.is_due(at) {
                due.push(slot.refresh(key, &mut self.fetches, at.revision));
            }
        }
        self.by_key.retain(|_, slot| !slot.is_empty());
        due
    }

    /// Notes what became of a fetch, unless nobody waits for it any more.
    pub(super) fn settle(
        &mut self,
        key: &Key,
        number: u64,
        outcome: &Outcome,
        at: Moment,
        pace: impl FnOnce(u32) -> Pace,
    ) {
        let Some(slot) = self.by_key.get_mut(key) else {
            return;
        };
        let Some(fetch) = slot.fetch.take_if(|fetch| fetch.number == number) else {
            return;
        };
        let pace = pace(slot.failures);
        match outcome {
            Ok(token) => {
                slot.held = Some(Held::new(token, at.now, fetch.revision, pace.refresh_after));
                slot.refusal = None;
                slot.retry_at = None;
                slot.failures = 0;
            }
            Err(error) => {
                // Whoever issues the tokens says that the identity is gone.
                slot.held.take_if(|_| error.is_denied());
                slot.refusal = Some((error.clone(), at.instant + pace.refuse_for));
                slot.retry_at = Some(at.instant + pace.retry_after);
                slot.failures = slot.failures.saturating_add(1);
                // Nobody has got what it asked for.
                slot.is_wanted = true;
            }
        }
    }

    /// Forgets everything from before a revision, fetches included.
    pub(super) fn withdraw(&mut self, before: u64) {
        self.drop_where(|_, revision| revision < before);
    }

    /// Forgets everything of the identities that this process does not have.
    pub(super) fn keep_ids(&mut self, is_own: impl Fn(&SpiffeId) -> bool) {
        self.drop_where(|key, _| !is_own(&key.id));
    }

    /// Forgets the tokens that nobody would accept any more.
    pub(super) fn keep_tokens(&mut self, is_good: impl Fn(&OwnJwtSvid) -> bool) {
        for slot in self.by_key.values_mut() {
            slot.held.take_if(|held| !is_good(&held.token));
        }
    }

    fn drop_where(&mut self, is_gone: impl Fn(&Key, u64) -> bool) {
        self.by_key.retain(|key, slot| {
            slot.held.take_if(|held| is_gone(key, held.revision));
            slot.refusal.take_if(|_| is_gone(key, 0));
            if let Some(fetch) = slot.fetch.take_if(|fetch| is_gone(key, fetch.revision)) {
                fetch.withdrawn.cancel();
            }
            !slot.is_empty()
        });
    }

    /// Forgets the token that was not asked for the longest. What is being fetched is waited for.
    fn make_room(&mut self) -> bool {
        let resting = self.by_key.iter().filter(|(_, slot)| slot.fetch.is_none());
        let oldest = resting.min_by_key(|(_, slot)| slot.last_asked);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else {
            return false;
        };
        self.by_key.remove(&key).is_some()
    }
}

impl Slot {
    fn usable(&self, now: SystemTime) -> Option<Arc<OwnJwtSvid>> {
        let held = self.held.as_ref()?;
        let left = held.token.expires_at().duration_since(now).ok()?;
        (left > held.margin).then(|| held.token.clone())
    }

    fn is_due(&self, at: Moment) -> bool {
        let Some(held) = &self.held else {
            return false;
        };
        // A clock that went back tells nothing about how old the token is.
        let is_fresh = (held.since..held.refresh_at).contains(&at.now);
        let is_resting = self.retry_at.is_some_and(|retry_at| at.instant < retry_at);
        !is_fresh && !is_resting && self.fetch.is_none()
    }

    fn refresh(&mut self, key: &Arc<Key>, fetches: &mut u64, revision: u64) -> Departure {
        self.is_wanted = false;
        self.depart(key, fetches, revision)
    }

    fn depart(&mut self, key: &Arc<Key>, fetches: &mut u64, revision: u64) -> Departure {
        *fetches += 1;
        let departure = Departure {
            key: key.clone(),
            number: *fetches,
            withdrawn: CancellationToken::new(),
            landing: watch::Sender::new(None),
        };
        self.fetch = Some(Fetch {
            number: departure.number,
            landing: departure.landing.subscribe(),
            withdrawn: departure.withdrawn.clone(),
            revision,
        });
        departure
    }

    fn is_empty(&self) -> bool {
        self.held.is_none() && self.fetch.is_none() && self.refusal.is_none()
    }
}

impl Held {
    fn new(token: &Arc<OwnJwtSvid>, now: SystemTime, revision: u64, refresh_after: u32) -> Self {
        let life = token.expires_at().duration_since(now).unwrap_or_default();
        Self {
            token: token.clone(),
            since: now,
            refresh_at: now + life / 1000 * refresh_after,
            margin: MARGIN.min(life / 10),
            revision,
        }
    }
}
