//! What becomes of sets that are torn, broken, or of another kind than files should be.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::super::follow::Next;
use super::steps::Stepped;
use super::{Directory, HELPER, authority, bundle, issue, own, pem};
use crate::State;

const PARTNER: &str = "partner.test";
const PARTNER_FILE: &str = "partner.test.pem";

#[tokio::test]
async fn a_new_certificate_with_the_old_key_is_never_published_and_the_whole_set_is() {
    let authority = authority("example.org");
    let (old, new) = (issue(&authority), issue(&authority));
    let directory = Directory::with(HELPER, &old, &authority);
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    assert_eq!(stepped.serial(), Some(old.serial()));

    let [chain, key, _] = own(&new, &authority);
    directory.put("svid.pem", &chain);
    stepped.rest_for_long().await;
    assert_eq!(stepped.serial(), Some(old.serial()));
    assert_eq!(stepped.status().state(), State::Stale);
    assert!(stepped.status().is_ready(), "the old set still works");
    stepped.complains("does not fit");

    directory.put("svid_key.pem", &key);
    stepped.rest().await;
    assert_eq!(stepped.serial(), Some(new.serial()), "control");
    assert_eq!(stepped.status().state(), State::Ready);
    assert_eq!(stepped.status().last_error(), None);
}

#[tokio::test]
async fn a_file_that_ends_anywhere_gives_the_old_set_or_the_new_one() {
    let authority = authority("example.org");
    let old = issue(&authority);
    let old_files = own(&old, &authority);
    let directory = Directory::with(HELPER, &old, &authority);
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    authority.rotate().unwrap();
    let new = issue(&authority);
    let new_files = own(&new, &authority);
    let roots = authority.roots();
    let (mut old_seen, mut new_seen) = (0, 0);
    for torn in 0..HELPER.len() {
        let whole = new_files[torn].len();
        for cut in (0..whole).step_by(16).chain([whole]) {
            for (name, contents) in HELPER.iter().zip(&old_files) {
                directory.put(name, contents);
            }
            stepped.rest_for_long().await;
            assert_eq!(stepped.serial(), Some(old.serial()));
            for (index, name) in HELPER.iter().enumerate() {
                let length = if index == torn {
                    cut
                } else {
                    new_files[index].len()
                };
                directory.put(name, &new_files[index][..length]);
            }
            stepped.rest_for_long().await;
            let snapshot = stepped.snapshot();
            let svid = snapshot.svid().unwrap();
            let bundle = snapshot.bundle(authority.trust_domain()).unwrap();
            let shown: Vec<_> = bundle.authorities().collect();
            assert!(shown == roots || shown == roots[..1], "{torn} {cut}");
            let issued = if svid.verified().serial() == new.serial() {
                assert_eq!(shown, roots);
                new_seen += 1;
                &new
            } else {
                old_seen += 1;
                &old
            };
            assert!(svid.chain().eq(issued.chain()), "{torn} {cut}");
            assert_eq!(svid.expose_key(), issued.key_der(), "{torn} {cut}");
            assert!(stepped.status().is_ready(), "{torn} {cut}");
        }
    }
    assert!(old_seen > 100, "{old_seen} torn sets");
    assert!(
        (3..=6).contains(&new_seen),
        "{new_seen} whole sets: control"
    );
}

#[tokio::test]
async fn a_set_that_is_torn_for_a_moment_leaves_no_trace() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let (old, new) = (issue(&authority), issue(&authority));
    let directory = Directory::with(HELPER, &old, &authority);
    directory.put(PARTNER_FILE, &bundle(&partner));
    let mut stepped = Stepped::new(&directory, &[PARTNER], &[]);
    stepped.rest().await;
    let (before, status) = (stepped.snapshot(), stepped.status());
    assert!(stepped.trusts(PARTNER));

    let [chain, key, _] = own(&new, &authority);
    directory.put("svid.pem", &chain[..100]);
    directory.put("svid_key.pem", &key);
    directory.put(PARTNER_FILE, b"");
    for _ in 0..10 {
        assert_eq!(stepped.look().await, Next::Soon);
    }
    assert!(Arc::ptr_eq(&stepped.snapshot(), &before));
    assert_eq!(stepped.status(), status);

    stepped.age().await;
    stepped.look().await;
    assert!(
        !stepped.trusts(PARTNER),
        "control: after the grace it counts"
    );
    assert_eq!(stepped.status().state(), State::Stale);

    directory.put("svid.pem", &chain);
    directory.put(PARTNER_FILE, &bundle(&partner));
    stepped.rest().await;
    assert_eq!(stepped.serial(), Some(new.serial()));
    assert!(stepped.trusts(PARTNER));
    assert_eq!(stepped.status().state(), State::Ready);
}

#[tokio::test]
async fn what_changes_in_every_round_is_not_published_but_told() {
    let authority = authority("example.org");
    let (old, one, two) = (issue(&authority), issue(&authority), issue(&authority));
    let directory = Directory::with(HELPER, &old, &authority);
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    for turn in 0..10 {
        let svid = if turn % 2 == 0 { &one } else { &two };
        directory.put_own(HELPER, svid, &authority);
        assert_eq!(stepped.look().await, Next::Soon);
        assert_eq!(stepped.status().state(), State::Ready);
    }
    stepped.age().await;
    directory.put_own(HELPER, &one, &authority);
    assert_eq!(stepped.look().await, Next::Soon);
    stepped.complains("change all the time");
    assert_eq!(stepped.serial(), Some(old.serial()));

    let revision = stepped.snapshot().revision();
    directory.put_own(HELPER, &old, &authority);
    stepped.rest().await;
    assert_eq!(stepped.status().last_error(), None, "all is as it was");
    assert_eq!(stepped.snapshot().revision(), revision);
    directory.put_own(HELPER, &one, &authority);
    stepped.rest().await;
    assert_eq!(stepped.serial(), Some(one.serial()), "control");
}

#[tokio::test]
async fn a_file_of_others_that_never_comes_to_rest_does_not_stop_the_own_rotation() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let first = issue(&authority);
    let good = |turn: usize| [format!("# {turn}\n").as_bytes(), &bundle(&partner)].concat();
    let torn = |turn: usize| good(turn)[..100 + turn].to_vec();
    let jwks = |turn: usize| [&partner.jwt_bundle()[..], &vec![b' '; turn]].concat();
    type Contents<'c> = &'c dyn Fn(usize) -> Vec<u8>;
    let cases: [(&str, Contents<'_>); 3] = [
        (PARTNER_FILE, &good),
        (PARTNER_FILE, &torn),
        ("partner.test.json", &jwks),
    ];
    for (name, contents) in cases {
        let directory = Directory::with(HELPER, &first, &authority);
        directory.put(PARTNER_FILE, &bundle(&partner));
        directory.put("partner.test.json", &partner.jwt_bundle());
        let mut stepped = Stepped::new(&directory, &[PARTNER], &[PARTNER]);
        stepped.rest().await;
        let is_trusted = |stepped: &Stepped| match name {
            PARTNER_FILE => stepped.trusts(PARTNER),
            _ => stepped.trusts_tokens(PARTNER),
        };
        for turn in 1..20 {
            let next = issue(&authority);
            directory.put_own(HELPER, &next, &authority);
            for part in 0..2 {
                directory.put(name, &contents(turn * 2 + part));
                assert_eq!(stepped.look().await, Next::Soon);
            }
            assert_eq!(stepped.serial(), Some(next.serial()), "{name} {turn}");
            assert!(is_trusted(&stepped), "what it said before still counts");
        }
        stepped.age().await;
        directory.put(name, &contents(1));
        stepped.look().await;
        assert!(!is_trusted(&stepped), "that does not go on for ever");
        stepped.complains("changes all the time");
        assert_eq!(stepped.status().state(), State::Ready);
        let last = issue(&authority);
        directory.put_own(HELPER, &last, &authority);
        for turn in 2..4 {
            directory.put(name, &contents(turn));
            stepped.look().await;
        }
        assert_eq!(stepped.serial(), Some(last.serial()), "{name}");

        directory.put(PARTNER_FILE, &bundle(&partner));
        stepped.rest().await;
        assert!(is_trusted(&stepped), "{name}: control");
        assert_eq!(stepped.status().last_error(), None);
    }
}

#[tokio::test]
async fn own_files_that_never_come_to_rest_do_not_stop_a_withdrawal_of_trust() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let old = issue(&authority);
    let directory = Directory::with(HELPER, &old, &authority);
    directory.put(PARTNER_FILE, &bundle(&partner));
    let mut stepped = Stepped::new(&directory, &[PARTNER], &[]);
    stepped.rest().await;
    let change = || directory.put_own(HELPER, &issue(&authority), &authority);
    directory.remove(PARTNER_FILE);
    change();
    stepped.look().await;
    stepped.pass(Duration::from_secs(3)).await;
    change();
    stepped.look().await;
    assert!(!stepped.trusts(PARTNER));
    assert_eq!(stepped.serial(), Some(old.serial()));
}

#[tokio::test]
async fn the_grace_begins_anew_with_what_is_new() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    let good = bundle(&partner);
    directory.put(PARTNER_FILE, &good);
    let mut stepped = Stepped::new(&directory, &[PARTNER], &[]);
    stepped.rest().await;
    let [chain, ..] = own(&issue(&authority), &authority);
    directory.put("svid.pem", &chain);
    for torn in [b"".as_slice(), &good[..100], &good[..200]] {
        assert_eq!(stepped.look().await, Next::Soon);
        stepped.pass(Duration::from_millis(1900)).await;
        directory.put(PARTNER_FILE, torn);
        for _ in 0..2 {
            assert_eq!(stepped.look().await, Next::Soon);
            assert!(stepped.trusts(PARTNER), "somebody is at work");
        }
    }
    stepped.pass(Duration::from_millis(2100)).await;
    assert_eq!(stepped.look().await, Next::Later);
    assert!(!stepped.trusts(PARTNER), "control");
}

#[tokio::test]
async fn a_bundle_that_has_lost_an_authority_counts_after_the_grace() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    authority.prepare().unwrap();
    partner.prepare().unwrap();
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    let cases = [("bundle.pem", &authority), (PARTNER_FILE, &partner)];
    for (name, authority) in cases {
        directory.put(name, &bundle(authority));
    }
    let mut stepped = Stepped::new(&directory, &[PARTNER], &[]);
    stepped.rest().await;
    for (name, authority) in cases {
        let shown = |stepped: &Stepped| {
            let snapshot = stepped.snapshot();
            snapshot
                .bundle(authority.trust_domain())
                .unwrap()
                .authorities()
                .len()
        };
        let whole = bundle(authority);
        let cut = pem("CERTIFICATE", &authority.roots()[..1]);
        assert!(whole.starts_with(&cut) && whole.len() > cut.len());
        directory.put(name, &cut);
        for _ in 0..5 {
            assert_eq!(stepped.look().await, Next::Soon);
            assert_eq!(shown(&stepped), 2, "{name}: the rest may follow");
        }
        directory.put(name, &whole);
        assert_eq!(stepped.look().await, Next::Later);

        directory.put(name, &cut);
        stepped.look().await;
        stepped.pass(Duration::from_millis(2100)).await;
        assert_eq!(stepped.look().await, Next::Later);
        assert_eq!(shown(&stepped), 1, "{name}: it is meant");
        directory.put(name, &whole);
        stepped.rest().await;
        assert_eq!(shown(&stepped), 2, "{name}: what is added counts at once");
    }
}

#[tokio::test]
async fn threats_88_what_is_no_file_that_can_be_read_leaves_the_set_before() {
    let authority = authority("example.org");
    let svid = issue(&authority);
    let whole = own(&svid, &authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    let before = stepped.snapshot();
    let fifo = |name: &str| {
        let made = Command::new("mkfifo").arg(directory.path(name)).status();
        assert!(made.unwrap().success());
    };
    let sparse = |name: &str| {
        let file = fs::File::create(directory.path(name)).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    let looped = |name: &str| std::os::unix::fs::symlink(name, directory.path(name)).unwrap();
    type Spoil<'s> = (&'s str, &'s dyn Fn(&str));
    let spoils: [Spoil<'_>; 6] = [
        ("cannot be read", &|_| {}),
        ("cannot be read", &looped),
        ("not a regular file", &fifo),
        ("not a regular file", &|name| {
            fs::create_dir(directory.path(name)).unwrap();
        }),
        ("bytes", &sparse),
        ("it holds no", &|name| directory.put(name, b"")),
    ];
    for (name, contents) in HELPER.iter().zip(&whole) {
        for (why, spoil) in &spoils {
            directory.remove(name);
            spoil(name);
            stepped.rest_for_long().await;
            stepped.complains(why);
            stepped.complains(name);
            assert!(stepped.status().is_ready());
            assert!(Arc::ptr_eq(&stepped.snapshot(), &before), "{name}: {why}");

            if directory.path(name).is_dir() {
                fs::remove_dir(directory.path(name)).unwrap();
            } else if directory.path(name).is_symlink() || directory.path(name).exists() {
                directory.remove(name);
            }
            directory.put(name, contents);
            stepped.rest().await;
            assert_eq!(stepped.status().last_error(), None, "control");
        }
    }
}

#[tokio::test]
async fn where_nothing_can_be_read_nothing_changes_but_the_status() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    directory.put(PARTNER_FILE, &bundle(&partner));
    let mut stepped = Stepped::new(&directory, &[PARTNER], &[]);
    stepped.rest().await;
    let before = stepped.snapshot();
    let aside = directory.0.path().with_extension("aside");
    fs::rename(directory.0.path(), &aside).unwrap();
    stepped.rest_for_long().await;
    assert!(Arc::ptr_eq(&stepped.snapshot(), &before));
    assert_eq!(stepped.status().state(), State::Stale);
    stepped.complains("svid.pem");
    fs::rename(&aside, directory.0.path()).unwrap();
    stepped.rest().await;
    assert_eq!(stepped.status().state(), State::Ready);
    assert!(Arc::ptr_eq(&stepped.snapshot(), &before));

    for name in HELPER {
        directory.remove(name);
    }
    directory.put(PARTNER_FILE, b"");
    stepped.rest_for_long().await;
    assert!(!stepped.trusts(PARTNER), "what can be read applies");
    assert_eq!(stepped.serial(), Some(svid.serial()));
}

#[tokio::test]
async fn a_foreign_bundle_that_is_gone_or_broken_distrusts_that_domain_alone() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let third = super::authority("third.test");
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    directory.put("third.test.pem", &bundle(&third));
    let mut stepped = Stepped::new(&directory, &[PARTNER, "third.test"], &[]);
    let good = bundle(&partner);
    let truncated = &good[..good.len() / 2];
    let key = pem("PRIVATE KEY", [[0x30, 0x00]]);
    for broken in [
        None,
        Some(&b""[..]),
        Some(truncated),
        Some(b"{}"),
        Some(&key),
    ] {
        directory.put(PARTNER_FILE, &good);
        stepped.rest_for_long().await;
        assert!(stepped.trusts(PARTNER) && stepped.trusts("third.test"));
        assert_eq!(stepped.status().last_error(), None);

        match broken {
            None => directory.remove(PARTNER_FILE),
            Some(broken) => directory.put(PARTNER_FILE, broken),
        }
        let rotated = issue(&authority);
        directory.put_own(HELPER, &rotated, &authority);
        stepped.rest_for_long().await;
        assert!(!stepped.trusts(PARTNER) && stepped.trusts("third.test"));
        assert_eq!(
            stepped.serial(),
            Some(rotated.serial()),
            "the own part rotates"
        );
        assert_eq!(stepped.status().state(), State::Ready);
        stepped.complains(&format!("bundle of {PARTNER}"));
    }
}

#[tokio::test]
async fn a_jwt_bundle_comes_from_its_file_and_goes_with_it() {
    let (authority, partner) = (authority("example.org"), super::authority(PARTNER));
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    directory.put(PARTNER_FILE, &bundle(&partner));
    directory.put("example.org.json", &authority.jwt_bundle());
    directory.put("partner.test.json", &partner.jwt_bundle());
    directory.put(
        "third.test.json",
        &super::authority("third.test").jwt_bundle(),
    );
    let jwt = ["example.org", PARTNER, "third.test"];
    let mut stepped = Stepped::new(&directory, &[PARTNER], &jwt);
    stepped.rest().await;
    let trusts = |stepped: &Stepped| jwt.map(|domain| stepped.trusts_tokens(domain));
    assert_eq!(
        trusts(&stepped),
        [true, true, false],
        "as far as they are trusted"
    );
    assert_eq!(stepped.status().last_error(), None);

    for broken in [None, Some(b"{")] {
        match broken {
            None => directory.remove("partner.test.json"),
            Some(broken) => directory.put("partner.test.json", broken),
        }
        stepped.rest_for_long().await;
        assert_eq!(trusts(&stepped), [true, false, false]);
        assert!(
            stepped.trusts(PARTNER),
            "its certificates are another matter"
        );
        stepped.complains("JWT bundle of partner.test");
        directory.put("partner.test.json", &partner.jwt_bundle());
        stepped.rest().await;
        assert_eq!(trusts(&stepped), [true, true, false]);
        assert_eq!(stepped.status().last_error(), None);
    }
}

#[tokio::test]
async fn an_own_bundle_loses_an_authority_though_the_key_is_torn() {
    let authority = authority("example.org");
    authority.prepare().unwrap();
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    let mut stepped = Stepped::new(&directory, &[], &[]);
    stepped.rest().await;
    let shown = |stepped: &Stepped| {
        let snapshot = stepped.snapshot();
        let bundle = snapshot.bundle(authority.trust_domain()).unwrap();
        bundle.authorities().len()
    };
    assert_eq!(shown(&stepped), 2);
    directory.put("bundle.pem", &pem("CERTIFICATE", &authority.roots()[..1]));
    directory.put("svid_key.pem", b"torn");
    stepped.rest_for_long().await;
    assert_eq!(shown(&stepped), 1);
    assert_eq!(stepped.serial(), Some(svid.serial()));
    stepped.complains("svid_key.pem");
}
