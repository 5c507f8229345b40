use super::*;

#[tokio::test(start_paused = true)]
async fn conformance_84_a_token_is_not_fetched_for_each_request() {
    let mut world = World::new().await;
    let first = world.fetched("stock", LIFE).await;
    assert_eq!(first.spiffe_id().to_string(), ORDERS);
    assert_eq!(first.audience(), ["stock"]);
    for _ in 0..100 {
        let again = world.at_once("stock").expect("nobody waits").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
    }
    assert!(world.asked.try_recv().is_err());

    // Other audiences, or more of them, are another token; their order makes none.
    let both = world.source.jwt_svid(["stock", "audit", "stock"]);
    let (both, asked) = tokio::join!(tokio::time::timeout(NEVER, both), async {
        let asked = world.asked.recv().await.unwrap();
        let audience = asked.audience.clone();
        let token = mint(&world.ca, &world.clock, &asked.id, &audience, LIFE);
        asked.answer.send(Ok(IssuedJwtSvid::new(token))).unwrap();
        audience
    });
    let both = both.unwrap().unwrap();
    assert_eq!(asked, ["audit", "stock"]);
    assert!(!Arc::ptr_eq(&first, &both));
    let again = world.source.jwt_svid(["audit", "stock"]).now_or_never();
    assert!(Arc::ptr_eq(&both, &again.unwrap().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn callers_share_one_request_and_one_who_leaves_ends_it_for_nobody() {
    let mut world = World::new().await;
    let callers: Vec<_> = (0..10).map(|_| world.caller("stock")).collect();
    let asked = world.asked().await;
    world.rest().await;
    let (leaving, staying) = callers.split_at(4);
    leaving.iter().for_each(Caller::abort);
    world.rest().await;
    assert!(!asked.answer.is_closed(), "others wait for it");
    world.grant(asked, LIFE);
    world.rest().await;
    let held = world.at_once("stock").unwrap().unwrap();
    for caller in staying {
        assert!(caller.is_finished());
    }
    for caller in callers.into_iter().skip(4) {
        assert!(Arc::ptr_eq(&held, &caller.await.unwrap().unwrap()));
    }
    assert!(world.asked.try_recv().is_err(), "one request for all");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_waits_for_any_more_is_not_lost() {
    let mut world = World::new().await;
    let caller = world.caller("stock");
    let asked = world.asked().await;
    caller.abort();
    world.rest().await;
    world.grant(asked, LIFE);
    world.rest().await;
    assert!(world.at_once("stock").expect("it is held").is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_identity_in_use_is_asked_for_and_another_one_by_its_id() {
    let mut world = World::of(&[BILLING, ORDERS], |builder| builder.pick_hint("orders")).await;
    let token = world.fetched("stock", LIFE).await;
    assert_eq!(
        token.spiffe_id().to_string(),
        ORDERS,
        "the picker has chosen"
    );

    let (source, other) = (world.source.clone(), id(BILLING));
    let caller = tokio::spawn(async move { source.jwt_svid_of(&other, ["stock"]).await });
    let asked = world.asked().await;
    assert_eq!(asked.id.to_string(), BILLING);
    world.grant(asked, LIFE);
    let token = caller.await.unwrap().unwrap();
    assert_eq!(token.spiffe_id().to_string(), BILLING);

    let stranger = id("spiffe://example.org/service/stranger");
    let refused = world.source.jwt_svid_of(&stranger, ["stock"]);
    let error = refused.now_or_never().expect("at once").unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("service/stranger"), "{error}");
    assert!(world.asked.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn conformance_43_no_audience_is_refused_and_nobody_is_asked() {
    let mut world = World::new().await;
    for audience in [vec![], vec![""], vec!["stock", " "]] {
        let refused = world.source.jwt_svid(audience.clone()).now_or_never();
        let error = refused.expect("at once").unwrap_err();
        assert!(error.is_configuration(), "{audience:?}: {error}");
    }
    world.rest().await;
    assert!(world.asked.try_recv().is_err());
    world.fetched("stock", LIFE).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_no_authority_says_so() {
    let ca = Authority::new("example.org").unwrap();
    let issued = ca.issue(&IssueSpec::new(ORDERS).unwrap()).unwrap();
    let svid = SvidMaterial::from_der(issued.chain_der(), issued.key_der(), ca.bundle_der());
    let source = Source::fixed(Material::new(svid)).connect().await.unwrap();
    let error = source.jwt_svid(["stock"]).await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    assert!(!error.is_denied() && !error.is_unavailable());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_for_a_while_and_then_it_is_tried_again() {
    let mut world = World::new().await;
    let mut longest = Duration::ZERO;
    let mut caller = world.caller("stock");
    for _ in 0..10 {
        let asked = world.asked().await;
        let away = JwtAuthorityError::unavailable("the agent is away");
        asked.answer.send(Err(away)).unwrap();
        let error = caller.await.unwrap().unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains("is away"));

        let failed = Instant::now();
        caller = loop {
            let next = world.caller("stock");
            world.rest().await;
            if !next.is_finished() {
                break next;
            }
            assert!(next.await.unwrap().unwrap_err().is_unavailable());
            assert!(world.asked.try_recv().is_err(), "not in a loop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(failed.elapsed() >= Duration::from_millis(40));
        longest = longest.max(failed.elapsed());
    }
    assert!(longest >= Duration::from_millis(500), "{longest:?}");
    assert!(longest <= Duration::from_millis(2100), "{longest:?}");
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    caller.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_never_answers_is_not_waited_for() {
    let mut world = World::new().await;
    let begun = Instant::now();
    let caller = world.caller("stock");
    let _unanswered = world.asked().await;
    let error = caller.await.unwrap().unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(
        begun.elapsed() <= Duration::from_secs(11),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn only_so_many_tokens_are_fetched_at_a_time() {
    let mut world = World::new().await;
    let callers: Vec<_> = (0..40)
        .map(|number| world.caller(&format!("stock-{number}")))
        .collect();
    world.rest().await;
    let mut waiting = Vec::new();
    while let Ok(asked) = world.asked.try_recv() {
        waiting.push(asked);
    }
    assert_eq!(waiting.len(), 16);
    for asked in waiting {
        world.grant(asked, LIFE);
    }
    for _ in 16..40 {
        let asked = world.asked().await;
        world.grant(asked, LIFE);
    }
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_panics_has_given_a_bad_answer() {
    let mut world = World::new().await;
    let caller = world.caller("stock");
    // The script of the test wants an answer, and panics without one.
    drop(world.asked().await.answer);
    let error = caller.await.unwrap().unwrap_err();
    assert!(error.is_bad_answer(), "{error}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.fetched("stock", LIFE).await;
}

#[tokio::test(start_paused = true)]
async fn conformance_51_a_token_is_not_shown() {
    let mut world = World::new().await;
    let token = world.fetched("stock", LIFE).await;
    let shown = format!("{token:?} {:?}", world.source);
    assert!(shown.contains(ORDERS), "control: {shown}");
    for part in token.expose_token().split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}
