use super::*;

fn denying(text: &str) -> DenyList {
    format!("{text}\nend").parse().unwrap()
}

/// The file names somebody.
fn says(kept: &Kept, entry: &str) {
    let prepared = kept.keeper.with_deny_file(denying(entry));
    kept.keeper.deny_file(Ok(prepared));
}

/// With the own SVID in force.
fn in_force() -> (Kept, Arc<Svid>) {
    let own = authority("example.org");
    let mut kept = Kept::new(Picker::First);
    assert!(kept.keeper.update(&Material::new(good(&own, ID))));
    assert_eq!(kept.cause(), Some(Cause::Update));
    let svid = kept.snapshot().svid().unwrap().clone();
    (kept, svid)
}

#[test]
fn a_denied_own_svid_is_not_in_force_until_the_denial_is_undone() {
    let (mut kept, svid) = in_force();
    let [leaf, issuer] = {
        let both: Vec<_> = svid.verified().certificates().collect();
        <[_; 2]>::try_from(both).unwrap()
    };
    for entry in [
        ID.to_owned(),
        "spiffe://example.org/**".to_owned(),
        format!("serial:{}", leaf.serial()),
        format!("serial:{}", issuer.serial()),
        format!("key-sha256:{}", leaf.key_sha256()),
        format!("key-sha256:{}", issuer.key_sha256()),
    ] {
        kept.keeper.deny(denying(&entry));
        assert_eq!(kept.cause(), Some(Cause::DenyList), "{entry}");
        assert!(kept.snapshot().svid().is_none(), "{entry}");
        let status = kept.status();
        assert!(!status.is_ready(), "{entry}: {status}");
        assert_eq!(status.state(), State::Denied, "{entry}");
        let said = status.last_error().unwrap_or_default();
        assert!(
            said.contains("is on the deny-list") && said.contains(&entry),
            "{said}"
        );
        assert_eq!(
            status.svid().map(SvidSummary::serial),
            Some(leaf.serial()),
            "one can see which"
        );

        kept.keeper.deny(DenyList::new());
        assert_eq!(kept.cause(), Some(Cause::DenyList), "{entry}");
        assert_eq!(kept.snapshot().svid(), Some(&svid), "{entry}");
        let status = kept.status();
        assert!(
            status.is_ready() && status.last_error().is_none(),
            "{status}"
        );
    }
    kept.keeper
        .deny(denying("spiffe://example.org/service/other"));
    assert!(kept.status().is_ready(), "control: another is denied");
}

#[test]
fn a_denied_serial_lets_the_next_svid_in_and_a_denied_id_does_not() {
    let own = authority("example.org");
    let kept = Kept::new(Picker::First);
    let (first, next) = (good(&own, ID), good(&own, ID));
    assert!(kept.keeper.update(&Material::new(first)));
    let serial = kept
        .snapshot()
        .svid()
        .unwrap()
        .verified()
        .serial()
        .to_owned();
    kept.keeper.deny(denying(&format!("serial:{serial}")));
    assert!(kept.snapshot().svid().is_none());
    kept.keeper.update(&Material::new(next));
    assert!(kept.status().is_ready());

    kept.keeper.deny(denying(ID));
    kept.keeper.update(&Material::new(good(&own, ID)));
    assert!(kept.snapshot().svid().is_none() && !kept.status().is_ready());
}

#[test]
fn a_revision_holds_what_code_and_file_deny_and_an_equal_list_makes_none() {
    let (mut kept, _svid) = in_force();
    let ids = ["spiffe://example.org/code", "spiffe://example.org/file"];
    let denied = |kept: &Kept| {
        let snapshot = kept.snapshot();
        ids.map(|id| {
            snapshot
                .deny_list()
                .denies_id(&parse::workload_id(id).unwrap())
        })
    };
    kept.keeper.deny(denying(ids[0]));
    says(&kept, ids[1]);
    assert_eq!(denied(&kept), [true, true]);
    assert_eq!(kept.cause(), Some(Cause::DenyList));
    assert_eq!(kept.cause(), Some(Cause::DenyList));
    kept.keeper.deny(denying(ids[0]));
    says(&kept, ids[1]);
    assert_eq!(kept.cause(), None, "nothing is new");

    kept.keeper.deny(DenyList::new());
    assert_eq!(denied(&kept), [false, true], "the file's part stays");
    kept.keeper.report(Failure::Denied("no entry".to_owned()));
    assert_eq!(denied(&kept), [false, true], "a withdrawal lifts no denial");
}

#[test]
fn an_unreadable_file_leaves_the_list_and_stays_visible_beside_other_problems() {
    let (mut kept, _svid) = in_force();
    let id = parse::workload_id("spiffe://example.org/file").unwrap();
    says(&kept, "spiffe://example.org/file");
    let revision = kept.snapshot().revision();
    assert_eq!(kept.cause(), Some(Cause::DenyList));

    let problem = "the deny-list /deny, line 3: garbage";
    kept.keeper.deny_file(Err(problem.to_owned()));
    assert_eq!(kept.cause(), None);
    assert!(kept.snapshot().deny_list().denies_id(&id));
    assert_eq!(kept.snapshot().revision(), revision);
    let status = kept.status();
    assert_eq!(status.last_error(), Some(problem));
    assert!(status.is_ready(), "what is in force still works");

    kept.keeper.report(Failure::Ended);
    let said = kept.status().last_error().unwrap_or_default().to_owned();
    assert!(
        said.contains("closed the stream") && said.contains(problem),
        "{said}"
    );
    let own = authority("example.org");
    kept.keeper.update(&Material::new(good(&own, ID)));
    assert_eq!(kept.status().last_error(), Some(problem));
    says(&kept, "spiffe://example.org/file");
    assert_eq!(kept.status().last_error(), None);
    assert!(kept.snapshot().deny_list().denies_id(&id));
}
