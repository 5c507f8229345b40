use std::pin::pin;
use std::task::{Context, Wake, Waker};

use super::*;
use crate::DenyList;
use crate::jwt::slots::Outcome;

fn withdraw() -> Step {
    Box::new(|sink| sink.withdraw("the entry is gone"))
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_drops_what_is_held_and_ends_what_is_on_its_way() {
    let mut world = World::new().await;
    let held = world.fetched("stock", LIFE).await;
    let waiting = world.caller("audit");
    let asked = world.asked().await;

    world.step(withdraw());
    world.settled(|snapshot| snapshot.svid().is_none()).await;
    let error = world.at_once("stock").expect("at once").unwrap_err();
    assert!(error.is_denied() && !error.is_unavailable(), "{error}");
    let begun = Instant::now();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert_eq!(
        begun.elapsed(),
        Duration::ZERO,
        "nobody waits for the answer"
    );
    assert!(asked.answer.is_closed(), "the request has ended");

    // Given back, the identity has new tokens.
    world.step(update(&world.ca, &[ORDERS]));
    world.settled(|snapshot| snapshot.svid().is_some()).await;
    let new = world.fetched("stock", LIFE).await;
    assert!(!Arc::ptr_eq(&held, &new));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_is_over_before_anybody_looks_has_happened_all_the_same() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    let waiting = world.caller("audit");
    let asked = world.asked().await;
    let give_back = update(&world.ca, &[ORDERS]);
    let revision = world.source.snapshot().revision();
    world.step(Box::new(move |sink| {
        sink.withdraw("the entry is gone");
        give_back(sink);
    }));
    world
        .settled(|snapshot| snapshot.revision() == revision + 2)
        .await;
    world.rest().await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(asked.answer.is_closed());
    assert!(world.at_once("stock").is_none(), "its token is gone");
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    assert!(world.at_once("stock").expect("held").is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_in_the_moment_of_a_withdrawal_is_not_held() {
    let mut world = World::new().await;
    let waiting = world.caller("stock");
    let asked = world.asked().await;
    // Both have happened before any task of the cache runs.
    let token = world.token(&asked.id, &asked.audience, LIFE);
    world.step(Box::new(move |sink| {
        sink.withdraw("the entry is gone");
        asked.answer.send(Ok(token)).unwrap();
    }));
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_denied(), "{error}");
    world.step(update(&world.ca, &[ORDERS]));
    world.settled(|snapshot| snapshot.svid().is_some()).await;
    assert!(world.at_once("stock").is_none());
    world.asked().await;
}

#[tokio::test(start_paused = true)]
async fn another_own_id_takes_the_tokens_of_the_old_one_with_it() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    world.step(update(&world.ca, &[BILLING]));
    let is_new = |snapshot: &crate::Snapshot| {
        let svid = snapshot.svid();
        svid.is_some_and(|svid| svid.spiffe_id().to_string() == BILLING)
    };
    world.settled(is_new).await;
    let old = world.source.jwt_svid_of(&id(ORDERS), ["stock"]);
    assert!(
        old.now_or_never()
            .expect("at once")
            .unwrap_err()
            .is_denied()
    );
    let new = world.fetched("stock", LIFE).await;
    assert_eq!(new.spiffe_id().to_string(), BILLING);

    world.step(update(&world.ca, &[ORDERS]));
    world.settled(|snapshot| !is_new(snapshot)).await;
    world.fetched("stock", LIFE).await;
}

#[tokio::test(start_paused = true)]
async fn an_own_id_on_the_deny_list_has_no_tokens() {
    let mut world = World::of(&[ORDERS, BILLING], |builder| builder).await;
    world.fetched("stock", LIFE).await;
    let billing = world.source.jwt_svid_of(&id(BILLING), ["stock"]);
    assert!(billing.now_or_never().is_none());
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    let of_billing = |world: &World| {
        let svid = world.source.jwt_svid_of(&id(BILLING), ["stock"]);
        svid.now_or_never()
    };
    assert!(of_billing(&world).expect("held").is_ok(), "control");

    world.source.deny(DenyList::new().id(BILLING).unwrap());
    let error = of_billing(&world).expect("at once").unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(
        world.at_once("stock").expect("held").is_ok(),
        "the other one"
    );

    world.rest().await;
    world.source.deny(DenyList::new());
    assert!(of_billing(&world).is_none(), "what was held is gone");
    assert!(world.at_once("stock").expect("held").is_ok());

    world.source.deny(DenyList::new().id(ORDERS).unwrap());
    let error = world.at_once("stock").expect("at once").unwrap_err();
    assert!(error.is_denied(), "{error}");
    world.rest().await;
    world.source.deny(DenyList::new());
    assert!(world.at_once("stock").is_none(), "what was held is gone");
}

#[tokio::test(start_paused = true)]
async fn an_own_svid_that_has_expired_takes_its_tokens_with_it() {
    let mut world = World::new().await;
    let hours = Duration::from_secs(3 * 3600);
    world.fetched("stock", hours).await;
    assert!(world.at_once("stock").expect("held").is_ok(), "control");
    world.clock.jump_ahead(Duration::from_secs(3600));
    world.settled(|snapshot| snapshot.svid().is_none()).await;
    let error = world.at_once("stock").expect("at once").unwrap_err();
    assert!(error.is_denied(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_the_agent_denies_is_a_withdrawal() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    let asked = world.asked().await;
    assert!(world.at_once("stock").expect("held").is_ok(), "control");
    let denied = JwtAuthorityError::denied("no identity issued");
    asked.answer.send(Err(denied)).unwrap();
    world.rest().await;
    let error = world.at_once("stock").expect("at once").unwrap_err();
    assert!(error.is_denied() && error.to_string().contains("no identity issued"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_source_ends_every_request_and_task() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    let waiting = world.caller("audit");
    let asked = world.asked().await;
    world.source.close();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
    let error = world.at_once("stock").expect("at once").unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert!(asked.answer.is_closed());

    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    let waiting = world.caller("audit");
    let asked = world.asked().await;
    let cache = Arc::downgrade(world.source.jwt().unwrap());
    waiting.abort();
    drop(world);
    let _ = waiting.await;
    asked.answer.is_closed();
    while cache.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(asked.answer.is_closed());
}

/// Asks for a token in the moment in which it is told of a new status.
struct AsksWhenTold {
    source: Source,
    answer: Mutex<Option<Outcome>>,
}

impl Wake for AsksWhenTold {
    fn wake(self: Arc<Self>) {
        let asked = self.source.jwt_svid(["stock"]).now_or_never();
        *self.answer.lock().unwrap() = asked;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_sees_the_denial_gets_no_token_any_more() {
    let mut world = World::new().await;
    world.fetched("stock", LIFE).await;
    let told = Arc::new(AsksWhenTold {
        source: world.source.clone(),
        answer: Mutex::default(),
    });
    let mut statuses = world.source.statuses();
    let mut next = pin!(statuses.next());
    let waker = Waker::from(told.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(
        next.as_mut().poll(&mut cx).is_pending(),
        "nothing has happened yet"
    );
    world.step(withdraw());
    world.settled(|snapshot| snapshot.svid().is_none()).await;
    let answer = told.answer.lock().unwrap().take();
    let error = answer.expect("told, and answered at once").unwrap_err();
    assert!(error.is_denied(), "{error}");
}
