use super::*;

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_at_half_of_its_life_while_the_old_one_is_handed_out() {
    let mut world = World::new().await;
    let old = world.fetched("stock", LIFE).await;
    let fetched = Instant::now();
    let asked = world.asked().await;
    let age = asked.at - fetched;
    let (earliest, latest) = (LIFE * 45 / 100, LIFE * 55 / 100);
    let second = Duration::from_secs(1);
    assert!(
        age >= earliest - 2 * second && age <= latest + 2 * second,
        "{age:?}"
    );

    let meanwhile = world.at_once("stock").expect("nobody waits").unwrap();
    assert!(Arc::ptr_eq(&old, &meanwhile));
    world.grant(asked, LIFE);
    world.rest().await;
    let new = world.at_once("stock").expect("nobody waits").unwrap();
    assert!(new.expires_at() > old.expires_at());
}

#[tokio::test(start_paused = true)]
async fn a_caller_finds_out_that_a_token_is_due_as_well() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    world.clock.jump_ahead(LIFE * 6 / 10);
    assert!(world.at_once("stock").expect("nobody waits").is_ok());
    let begun = Instant::now();
    let asked = world.asked().await;
    assert_eq!(asked.at, begun, "not only with the next tick");
    world.grant(asked, LIFE);
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_together_is_not_refreshed_together() {
    let mut world = World::new().await;
    let life = Duration::from_secs(1000);
    for number in 0..12 {
        world.fetched(&number.to_string(), life).await;
    }
    let mut ages = Vec::new();
    for _ in 0..12 {
        let asked = world.asked().await;
        ages.push((asked.at - world.clock.start.1).as_secs());
        world.grant(asked, life);
    }
    ages.sort_unstable();
    let (first, last) = (ages[0], ages[11]);
    assert!(first >= 448 && last <= 553, "{ages:?}");
    assert!(last - first >= 5, "{ages:?}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_not_refreshed_for_ever() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    // The caller who fetched it has asked for it.
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    let idle = tokio::time::timeout(2 * LIFE, world.asked.recv()).await;
    assert!(idle.is_err(), "nobody has asked since");
    let refetched = world.caller("stock");
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    refetched.await.unwrap().unwrap();

    // Control: with somebody who asks now and then it goes on.
    for _ in 0..5 {
        world.at_once("stock").expect("held").unwrap();
        let asked = world.asked().await;
        world.grant(asked, LIFE);
        world.rest().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_tried_again_less_and_less_often_and_loses_nothing() {
    let mut world = World::new().await;
    let old = world.fetched("stock", LIFE).await;
    let begun = Instant::now();
    let mut attempts = Vec::new();
    while begun.elapsed() < LIFE - Duration::from_secs(80) {
        let asked = world.asked().await;
        attempts.push(asked.at);
        assert!(attempts.len() <= 25, "not in a loop: {attempts:?}");
        let away = JwtAuthorityError::unavailable("the agent is away");
        asked.answer.send(Err(away)).unwrap();
        world.rest().await;
        let held = world.at_once("stock").expect("nobody waits").unwrap();
        assert!(Arc::ptr_eq(&old, &held));
    }
    let waits: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(attempts.len() >= 5, "{waits:?}");
    assert!(
        waits.iter().all(|wait| *wait <= Duration::from_secs(32)),
        "{waits:?}"
    );
    assert!(waits.last() > waits.first(), "{waits:?}");

    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    let new = world.at_once("stock").expect("nobody waits").unwrap();
    assert!(new.expires_at() > old.expires_at());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_about_to_end_is_not_handed_out() {
    let mut world = World::new().await;
    let token = world.fetched("stock", LIFE).await;
    let (margin, moment) = (Duration::from_secs(10), Duration::from_millis(1));
    let left = token.expires_at().duration_since(world.clock.now());
    world.clock.jump_ahead(left.unwrap() - margin - moment);
    let held = world.at_once("stock").expect("nobody waits").unwrap();
    assert!(Arc::ptr_eq(&held, &token));
    // It was due long ago.
    let asked = world.asked().await;

    world.clock.jump_ahead(moment);
    assert!(world.at_once("stock").is_none());
    let caller = world.caller("stock");
    world.rest().await;
    assert!(!caller.is_finished(), "who comes now waits for a new one");
    world.grant(asked, LIFE);
    let new = caller.await.unwrap().unwrap();
    assert!(new.expires_at() > token.expires_at());
}

#[tokio::test(start_paused = true)]
async fn conformance_44_an_expired_token_is_never_handed_out() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    world.clock.jump_ahead(LIFE);
    assert!(world.at_once("stock").is_none(), "a caller has to wait");
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    assert!(world.at_once("stock").unwrap().is_ok());

    // It ends before it has arrived here.
    let caller = world.caller("audit");
    let asked = world.asked().await;
    let token = world.token(&asked.id, &asked.audience, Duration::from_secs(5));
    world.clock.jump_ahead(Duration::from_secs(10));
    asked.answer.send(Ok(token)).unwrap();
    let is_expired =
        |error: &JwtSvidError| error.is_bad_answer() && error.to_string().contains("expired");
    let error = caller.await.unwrap().unwrap_err();
    assert!(is_expired(&error), "{error}");

    // It ends before those who wait have woken up.
    let mut waiting = Box::pin(world.source.jwt_svid(["billing"]));
    assert!((&mut waiting).now_or_never().is_none());
    let asked = world.asked().await;
    world.grant(asked, Duration::from_secs(5));
    world.rest().await;
    world.clock.jump_ahead(Duration::from_secs(10));
    let error = waiting.await.unwrap_err();
    assert!(is_expired(&error), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_tried_again_although_nobody_asks_meanwhile() {
    let mut world = World::new().await;
    let token = world.fetched("stock", LIFE).await;
    for _ in 0..3 {
        let asked = world.asked().await;
        let away = JwtAuthorityError::unavailable("the agent is away");
        asked.answer.send(Err(away)).unwrap();
    }
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    let new = world.at_once("stock").expect("nobody waits").unwrap();
    assert!(new.expires_at() > token.expires_at());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_shortly_is_handed_out_for_most_of_its_life() {
    let mut world = World::new().await;
    world.fetched("stock", Duration::from_secs(6)).await;
    assert!(world.at_once("stock").expect("held").is_ok());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.at_once("stock").expect("held").is_ok());
}

#[tokio::test(start_paused = true)]
async fn conformance_85_a_clock_that_goes_back_makes_a_token_due() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    world.clock.jump_back(Duration::from_secs(3600));
    assert!(world.at_once("stock").expect("nobody waits").is_ok());
    let asked = world.asked().await;
    world.grant(asked, LIFE);
}
