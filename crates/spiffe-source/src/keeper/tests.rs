use std::collections::BTreeSet;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};
use spiffe_peer::{TrustDomain, parse};

use super::*;
use crate::change::{Change, SvidSummary};
use crate::deny::DenyList;
use crate::material::SvidMaterial;
use crate::picker::Picker;
use crate::snapshot::Svid;
use crate::status::State;

mod deny;

const ID: &str = "spiffe://example.org/service/orders";

/// A keeper whose clock the test sets.
struct Kept {
    keeper: Keeper,
    time: Arc<StdMutex<SystemTime>>,
    changes: broadcast::Receiver<Change>,
}

impl Kept {
    fn new(picker: Picker) -> Self {
        let federated = BTreeSet::from([domain("partner.test")]);
        let provider = spiffe_verify::default_provider().unwrap();
        let time = Arc::new(StdMutex::new(SystemTime::now()));
        let clock = {
            let time = time.clone();
            Clock::new(move || *time.lock().unwrap())
        };
        let reader = Reader::new(provider, federated, picker);
        let keeper = Keeper::new(reader, clock, "a test".to_owned(), DenyLists::default());
        let changes = keeper.changes();
        Self {
            keeper,
            time,
            changes,
        }
    }

    fn set_clock(&self, time: SystemTime) {
        *self.time.lock().unwrap() = time;
        self.keeper.tick();
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.current()
    }

    fn status(&self) -> Status {
        self.keeper.status()
    }

    fn cause(&mut self) -> Option<Cause> {
        self.changes.try_recv().ok().map(|change| change.cause())
    }
}

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

fn authority(name: &str) -> Authority {
    Authority::new(name).unwrap()
}

fn issue(authority: &Authority, id: &str) -> IssuedSvid {
    authority.issue(&IssueSpec::new(id).unwrap()).unwrap()
}

fn svid(svid: &IssuedSvid, key: &IssuedSvid, bundle: &[u8]) -> SvidMaterial {
    SvidMaterial {
        claimed_id: Some(svid.spiffe_id().to_string()),
        ..SvidMaterial::from_der(svid.chain_der(), key.key_der(), bundle)
    }
}

fn good(authority: &Authority, id: &str) -> SvidMaterial {
    let issued = issue(authority, id);
    svid(&issued, &issued, &authority.bundle_der())
}

#[test]
fn invariant_8_an_unusable_own_part_leaves_the_own_material_and_lets_the_rest_apply() {
    let (own, other) = (authority("example.org"), authority("example.org"));
    let partner = authority("partner.test");
    let (first, second, stranger) = (issue(&own, ID), issue(&own, ID), issue(&other, ID));
    let bundle = own.bundle_der();

    let mut renamed = svid(&second, &second, &bundle);
    renamed.claimed_id = Some("spiffe://example.org/service/other".to_owned());
    let no_svid = Material::default();
    for (why, broken) in [
        ("holds none", no_svid),
        (
            "does not fit the certificate",
            Material::new(svid(&second, &first, &bundle)),
        ),
        ("the certificate is for", Material::new(renamed)),
        (
            "no authority of the ID's own trust domain",
            Material::new(svid(&stranger, &stranger, &bundle)),
        ),
        (
            "holds no certificate",
            Material::new(svid(&second, &second, b"")),
        ),
        ("not DER", Material::new(svid(&second, &second, b"garbage"))),
    ] {
        let kept = Kept::new(Picker::First);
        let before = Material::new(svid(&first, &first, &bundle))
            .foreign_bundle(&domain("partner.test"), partner.bundle_der());
        assert!(kept.keeper.update(&before), "control");
        let before = kept.snapshot();
        assert_eq!(before.bundles().len(), 2);
        assert_eq!(kept.status().state(), State::Ready);

        assert!(!kept.keeper.update(&broken), "{why}");
        let after = kept.snapshot();
        let status = kept.status();
        let said = status.last_error().unwrap_or_default();
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(after.svids(), before.svids(), "{why}: the own SVID stays");
        assert_eq!(
            after.bundles().len(),
            1,
            "{why}: what the update leaves out does not live on"
        );
        assert_eq!(status.state(), State::Stale, "{why}");
        assert!(status.is_ready(), "{why}: what is in force still works");
    }
}

#[test]
fn nothing_is_published_where_there_was_nothing_before() {
    let own = authority("example.org");
    let (one, other) = (issue(&own, ID), issue(&own, ID));
    let kept = Kept::new(Picker::First);
    assert!(
        !kept
            .keeper
            .update(&Material::new(svid(&one, &other, &own.bundle_der())))
    );
    assert!(kept.snapshot().svid().is_none() && kept.snapshot().bundles().len() == 0);
    assert!(!kept.status().is_ready());
}

#[test]
fn threats_70_an_expired_svid_is_not_put_in_force() {
    let own = authority("example.org");
    let (first, second) = (good(&own, ID), issue(&own, ID));
    let kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&Material::new(first)));
    let before = kept.snapshot();
    *kept.time.lock().unwrap() = second.not_after() - Duration::from_secs(1);
    let renewed = Material::new(svid(&second, &second, &own.bundle_der()));
    assert!(kept.keeper.update(&renewed), "control: one second before");
    *kept.time.lock().unwrap() = second.not_after();
    assert!(!kept.keeper.update(&renewed));
    let status = kept.status();
    assert!(
        status
            .last_error()
            .is_some_and(|error| error.contains("expired")),
        "{status}"
    );
    assert_ne!(before.revision(), kept.snapshot().revision());
}

#[test]
fn threats_81_an_identical_update_makes_no_revision() {
    let own = authority("example.org");
    let material = Material::new(good(&own, ID));
    let mut kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&material));
    assert_eq!(kept.cause(), Some(Cause::Update));
    let before = kept.snapshot();
    assert!(kept.keeper.update(&material));
    assert!(Arc::ptr_eq(&before, &kept.snapshot()));
    assert_eq!(kept.cause(), None);
    assert!(
        kept.keeper.update(&Material::new(good(&own, ID))),
        "control"
    );
    assert_eq!(kept.snapshot().revision(), before.revision() + 1);
}

#[test]
fn an_expiry_is_an_event_and_a_clock_that_comes_back_undoes_it() {
    let own = authority("example.org");
    let mut kept = Kept::new(Picker::First);
    let start = *kept.time.lock().unwrap();
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    assert_eq!(kept.cause(), Some(Cause::Update));
    let svid = kept.snapshot().svid().unwrap().clone();
    let end = svid.verified().not_after();

    kept.set_clock(end - Duration::from_secs(1));
    assert_eq!((kept.cause(), kept.status().state()), (None, State::Ready));
    kept.set_clock(end);
    assert_eq!(kept.cause(), Some(Cause::Expiry));
    assert!(kept.snapshot().svid().is_none());
    let status = kept.status();
    assert_eq!((status.state(), status.is_ready()), (State::Expired, false));
    assert_eq!(
        status.svid().map(SvidSummary::serial),
        Some(svid.verified().serial()),
        "one can see what has expired"
    );

    kept.set_clock(start);
    assert_eq!(kept.cause(), Some(Cause::ClockChange));
    assert_eq!(kept.snapshot().svid(), Some(&svid));
    assert_eq!(kept.status().state(), State::Ready);
}

#[test]
fn threats_98_a_clock_that_goes_back_takes_nothing_away_and_is_told() {
    let own = authority("example.org");
    let mut kept = Kept::new(Picker::First);
    let start = *kept.time.lock().unwrap();
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    assert_eq!(kept.cause(), Some(Cause::Update));
    kept.set_clock(start - Duration::from_secs(86_400));
    assert_eq!(kept.cause(), None);
    assert!(kept.snapshot().svid().is_some());
    let status = kept.status();
    assert!(
        !status.is_ready(),
        "a peer's certificate is not valid either"
    );
    assert!(
        status
            .last_error()
            .is_some_and(|error| error.contains("clock")),
        "{status}"
    );
    kept.set_clock(start);
    assert!(kept.status().is_ready());
}

#[test]
fn a_withdrawal_takes_everything_and_the_next_update_gives_it_back() {
    let (own, partner) = (authority("example.org"), authority("partner.test"));
    let material =
        Material::new(good(&own, ID)).foreign_bundle(&domain("partner.test"), partner.bundle_der());
    let mut kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&material));
    assert_eq!(kept.cause(), Some(Cause::Update));
    let jwks = own.jwt_bundle();
    kept.keeper
        .update_jwt_bundles([(domain("example.org"), jwks)].into());
    assert_eq!(kept.cause(), Some(Cause::Update));

    kept.keeper.report(Failure::Denied("no entry".to_owned()));
    assert_eq!(kept.cause(), Some(Cause::Withdrawal));
    let nothing = kept.snapshot();
    assert!(nothing.svid().is_none());
    assert_eq!(
        (nothing.bundles().len(), nothing.jwt_bundles().len()),
        (0, 0)
    );
    assert_eq!(kept.status().state(), State::Denied);
    kept.keeper.report(Failure::Ended);
    assert_eq!(
        kept.status().state(),
        State::Denied,
        "a denial holds until the agent says otherwise"
    );

    assert!(kept.keeper.update(&material));
    assert_eq!(kept.cause(), Some(Cause::Update));
    assert_eq!(kept.status().state(), State::Ready);
    assert_eq!(kept.snapshot().bundles().len(), 2);
    assert_eq!(kept.snapshot().jwt_bundles().len(), 1);
}

#[test]
fn an_own_bundle_that_loses_the_own_authority_makes_the_source_unready() {
    let (own, next) = (authority("example.org"), authority("example.org"));
    let kept = Kept::new(Picker::First);
    let issued = issue(&own, ID);
    let before = Material::new(svid(&issued, &issued, &own.bundle_der()));
    assert!(kept.keeper.update(&before));
    let after = Material::new(svid(&issued, &issued, &next.bundle_der()));
    assert!(!kept.keeper.update(&after));
    let status = kept.status();
    assert!(
        !status.is_ready() && status.state() == State::Stale,
        "{status}"
    );
    assert!(kept.keeper.update(&before), "control");
    assert!(kept.status().is_ready());
}

#[test]
fn jwt_bundles_count_for_the_own_and_the_named_domains_whichever_comes_first() {
    let (own, partner, other) = (
        authority("example.org"),
        authority("partner.test"),
        authority("other.test"),
    );
    let bundles = || {
        [
            (domain("example.org"), own.jwt_bundle()),
            (domain("partner.test"), partner.jwt_bundle()),
            (domain("other.test"), other.jwt_bundle()),
        ]
        .into()
    };
    let kept = Kept::new(Picker::First);
    kept.keeper.update_jwt_bundles(bundles());
    assert!(kept.snapshot().jwt_bundle(&domain("example.org")).is_none());
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    let snapshot = kept.snapshot();
    let trusts = |name: &str| snapshot.jwt_bundle(&domain(name)).is_some();
    assert!(trusts("example.org") && trusts("partner.test") && !trusts("other.test"));

    let revision = snapshot.revision();
    assert!(kept.keeper.update_jwt_bundles(bundles()));
    assert_eq!(kept.snapshot().revision(), revision, "nothing new");
    let malformed = [
        (domain("example.org"), own.jwt_bundle()),
        (domain("partner.test"), b"{}".to_vec()),
    ];
    assert!(!kept.keeper.update_jwt_bundles(malformed.into()));
    let snapshot = kept.snapshot();
    assert!(snapshot.jwt_bundle(&domain("partner.test")).is_none());
    assert!(snapshot.jwt_bundle(&domain("example.org")).is_some());

    // The problem is told until it is mended, whatever comes between.
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    let told = kept.status().last_error().unwrap_or_default().to_owned();
    assert!(told.contains("JWT bundle of partner.test"), "{told}");
    assert!(kept.keeper.update_jwt_bundles(bundles()));
    assert_eq!(kept.status().last_error(), None);

    let own_malformed = [
        (domain("example.org"), b"{}".to_vec()),
        (domain("partner.test"), partner.jwt_bundle()),
    ];
    assert!(!kept.keeper.update_jwt_bundles(own_malformed.into()));
    let snapshot = kept.snapshot();
    assert!(snapshot.jwt_bundle(&domain("partner.test")).is_some());
    assert!(
        snapshot.jwt_bundle(&domain("example.org")).is_some(),
        "what belongs to the own identity stays in force"
    );
    kept.keeper.update_jwt_bundles(BTreeMap::new());
    assert_eq!(
        kept.snapshot().jwt_bundles().len(),
        0,
        "and goes when it is left out"
    );
}

#[test]
fn a_picker_chooses_by_id_by_hint_or_as_it_likes() {
    let own = authority("example.org");
    let other = "spiffe://example.org/service/other";
    let material =
        Material::new(good(&own, ID).hint("internal")).svid(good(&own, other).hint("external"));
    let picked = |picker: Picker| {
        let kept = Kept::new(picker);
        kept.keeper.update(&material);
        let id = kept
            .snapshot()
            .svid()
            .map(|svid| svid.spiffe_id().to_string());
        assert!(id.is_none() || kept.snapshot().svids().len() == 2);
        id.ok_or_else(|| kept.status().last_error().unwrap_or_default().to_owned())
    };
    let id = |text: &str| Picker::Id(parse::workload_id(text).unwrap());
    let choice = |choose: fn(&[Arc<Svid>]) -> Option<usize>| Picker::Choice(Arc::new(choose));
    assert_eq!(picked(Picker::First).as_deref(), Ok(ID));
    assert_eq!(picked(id(other)).as_deref(), Ok(other));
    assert_eq!(
        picked(Picker::Hint("external".into())).as_deref(),
        Ok(other)
    );
    assert_eq!(
        picked(choice(|svids| svids.len().checked_sub(1))).as_deref(),
        Ok(other)
    );
    for picker in [
        id("spiffe://example.org/none"),
        Picker::Hint("none".into()),
        choice(|_| None),
        choice(|_| Some(2)),
        choice(|_| panic!("a picker's own fault")),
    ] {
        let problem = picked(picker).unwrap_err();
        assert!(problem.contains("pick"), "{problem}");
    }
}

#[test]
fn the_one_in_use_is_never_replaced_by_another() {
    let own = authority("example.org");
    let other = "spiffe://example.org/service/other";
    let mut broken = good(&own, ID);
    broken.key.clear();
    let kept = Kept::new(Picker::First);
    assert!(
        !kept
            .keeper
            .update(&Material::new(broken).svid(good(&own, other)))
    );
    assert!(kept.snapshot().svid().is_none());
}

#[test]
fn a_closed_source_has_nothing_and_tells_its_listeners() {
    let own = authority("example.org");
    let mut kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    assert_eq!(kept.cause(), Some(Cause::Update));
    kept.keeper.close();
    assert_eq!(kept.cause(), Some(Cause::Closed));
    assert!(matches!(
        kept.changes.try_recv(),
        Err(broadcast::error::TryRecvError::Closed)
    ));
    assert_eq!(kept.status().state(), State::Closed);
    assert!(!kept.keeper.update(&Material::new(good(&own, ID))));
    assert!(kept.snapshot().svid().is_none());
}

#[test]
fn conformance_68_an_identity_that_an_update_leaves_out_is_taken_back_whatever_picks_it() {
    let own = authority("example.org");
    let other = "spiffe://example.org/service/other";
    let both = Material::new(good(&own, other).hint("b")).svid(good(&own, ID).hint("a"));
    let id = Picker::Id(parse::workload_id(ID).unwrap());
    let choice: Picker = Picker::Choice(Arc::new(|svids: &[Arc<Svid>]| {
        svids.iter().position(|svid| svid.hint() == Some("a"))
    }));
    for picker in [id, Picker::Hint("a".to_owned()), choice] {
        let mut kept = Kept::new(picker);
        assert!(kept.keeper.update(&both));
        assert_eq!(kept.cause(), Some(Cause::Update));
        let in_use = kept.snapshot().svid().unwrap().spiffe_id().to_string();
        assert_eq!(in_use, ID);

        assert!(
            !kept
                .keeper
                .update(&Material::new(good(&own, other).hint("b")))
        );
        assert_eq!(kept.cause(), Some(Cause::Withdrawal));
        assert_eq!(kept.status().state(), State::Denied, "{}", kept.status());
        assert!(kept.snapshot().svid().is_none() && kept.snapshot().bundles().len() == 0);
        assert!(kept.keeper.update(&both), "and it comes back");
        assert_eq!(kept.status().state(), State::Ready);
    }
}

#[test]
fn invariant_8_a_broken_svid_in_use_holds_up_none_of_the_others() {
    let own = authority("example.org");
    let other = "spiffe://example.org/service/other";
    let kept = Kept::new(Picker::First);
    assert!(
        kept.keeper
            .update(&Material::new(good(&own, ID)).svid(good(&own, other)))
    );
    let before = kept.snapshot();
    let broken = || {
        let mut broken = good(&own, ID);
        broken.key.clear();
        broken
    };
    assert!(
        !kept
            .keeper
            .update(&Material::new(broken()).svid(good(&own, other)))
    );
    let after = kept.snapshot();
    assert_eq!(after.svid(), before.svid());
    assert_eq!(after.svids().len(), 2);
    assert_ne!(
        after.svids().last(),
        before.svids().last(),
        "it has rotated"
    );
    assert!(!kept.keeper.update(&Material::new(broken())));
    assert_eq!(kept.snapshot().svids().len(), 1, "what is left out is gone");
}

#[test]
fn a_denial_outlives_an_answer_that_cannot_be_used_and_no_trust_comes_with_it() {
    let (own, partner) = (authority("example.org"), authority("partner.test"));
    let kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    kept.keeper.report(Failure::Denied("no entry".to_owned()));
    let nobody = Material::default().foreign_bundle(&domain("partner.test"), partner.bundle_der());
    assert!(!kept.keeper.update(&nobody));
    assert_eq!(kept.status().state(), State::Denied);
    assert_eq!(kept.snapshot().bundles().len(), 0);
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    assert_eq!(kept.status().state(), State::Ready);
}

#[test]
fn whoever_sees_a_status_finds_the_snapshot_that_it_speaks_of() {
    let own = authority("example.org");
    let kept = Kept::new(Picker::First);
    let statuses = kept.keeper.statuses();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            loop {
                let status = statuses.borrow().clone();
                let snapshot = kept.keeper.current();
                assert!(snapshot.revision() >= status.revision(), "{status}");
                if status.state() == State::Closed {
                    return;
                }
            }
        });
        let material = Material::new(good(&own, ID));
        for _ in 0..50 {
            kept.keeper.update(&material);
            kept.keeper.report(Failure::Denied("no entry".to_owned()));
        }
        kept.keeper.close();
        reader.join().unwrap();
    });
}

#[test]
fn keys_do_not_outlive_a_closed_source() {
    let own = authority("example.org");
    let kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    let svid = Arc::downgrade(kept.snapshot().svid().unwrap());
    kept.keeper.close();
    assert!(svid.upgrade().is_none());
}

#[test]
fn a_picker_may_change_the_deny_list() {
    let own = authority("example.org");
    let slot: Arc<std::sync::OnceLock<std::sync::Weak<Keeper>>> = Arc::default();
    let seen = slot.clone();
    let picker = Picker::Choice(Arc::new(move |_: &[Arc<Svid>]| {
        seen.get()?.upgrade()?.deny(DenyList::default());
        Some(0)
    }));
    let kept = Kept::new(picker);
    let Kept { keeper, .. } = kept;
    let keeper = Arc::new(keeper);
    slot.set(Arc::downgrade(&keeper)).unwrap();
    assert!(keeper.update(&Material::new(good(&own, ID))));
}
