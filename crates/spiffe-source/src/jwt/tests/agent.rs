//! Validation by the authority.

use serde_json::{Map, json};
use tokio::sync::watch;

use super::*;
use crate::DenyList;

/// An authority in memory that validates, and issues nothing. It answers what the test has put into
/// it, and counts how often it was asked.
#[derive(Default)]
struct Validator {
    answer: watch::Sender<Option<Result<VouchedJwtSvid, JwtAuthorityError>>>,
    asked: Mutex<u32>,
}

impl Validator {
    fn answers(&self, answer: Result<VouchedJwtSvid, JwtAuthorityError>) {
        self.answer.send_replace(Some(answer));
    }

    fn vouches_for(&self, who: &str) {
        let claims = Map::from_iter([("sub".to_owned(), json!(who))]);
        self.answers(Ok(VouchedJwtSvid::new(who, claims)));
    }

    fn asked(&self) -> u32 {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl JwtAuthority for Validator {
    fn fetch<'a>(&'a self, _: &'a SpiffeId, _: &'a [String]) -> JwtAnswer<'a, IssuedJwtSvid> {
        Box::pin(async { Err(JwtAuthorityError::unsupported("it issues nothing")) })
    }

    fn validate<'a>(&'a self, _: &'a str, _: &'a str) -> JwtAnswer<'a, VouchedJwtSvid> {
        *self.asked.lock().unwrap() += 1;
        let mut answer = self.answer.subscribe();
        Box::pin(async move {
            answer
                .wait_for(Option::is_some)
                .await
                .unwrap()
                .clone()
                .unwrap()
        })
    }
}

async fn world() -> (World, Arc<Validator>) {
    let validator = Arc::new(Validator::default());
    let (_, requests) = mpsc::unbounded_channel();
    let authority = validator.clone();
    let world = World::with_authority(&[ORDERS], authority, requests, |builder| builder).await;
    (world, validator)
}

fn token_of(ca: &Authority, who: &str) -> String {
    ca.issue_jwt(&id(who), &["orders".to_owned()], LIFE)
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn conformance_82_the_agent_decides_about_the_signature() {
    let (world, agent) = world().await;
    let source = &world.source;
    let token = token_of(&world.ca, BILLING);
    agent.vouches_for(BILLING);
    let svid = source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await
        .unwrap();
    assert_eq!(svid.spiffe_id().to_string(), BILLING);
    assert_eq!(svid.audience(), ["orders"]);
    assert_eq!(svid.claims()["sub"], BILLING);
    assert!(svid.expires_at() > world.clock.now());
    assert_eq!(agent.asked(), 1);

    let says = |error| agent.answers(Err(error));
    says(JwtAuthorityError::refused("the signature is wrong"));
    let refusal = source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await
        .unwrap_err();
    assert!(
        refusal.is_refused_by_agent() && !refusal.is_undecided(),
        "{refusal}"
    );
    says(JwtAuthorityError::unavailable("the agent is away"));
    let refusal = source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await
        .unwrap_err();
    assert!(
        refusal.is_undecided() && !refusal.is_refused_by_agent(),
        "{refusal}"
    );
    assert!(refusal.agent_error().unwrap().is_unavailable());
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_key_is_decided_without_the_agent() {
    let (world, agent) = world().await;
    let partner = Authority::new("partner.test").unwrap();
    let foreign = "spiffe://partner.test/service/stock";
    let expired = world
        .ca
        .issue_jwt(&id(BILLING), &["orders".to_owned()], Duration::ZERO);
    let good = token_of(&world.ca, BILLING);
    for (token, audience, fault) in [
        ("no.token", "orders", JwtFault::NotCompact),
        (&*good, "stock", JwtFault::NotForThisAudience),
        (&*expired.unwrap(), "orders", JwtFault::Expired),
        (
            &*token_of(&partner, foreign),
            "orders",
            JwtFault::UnknownTrustDomain,
        ),
    ] {
        agent.vouches_for(BILLING);
        let refusal = world
            .source
            .validate_jwt_svid_by_agent(token, audience)
            .await;
        assert_eq!(refusal.unwrap_err().fault(), Some(fault));
    }
    world.source.deny(DenyList::new().id(BILLING).unwrap());
    let refusal = world
        .source
        .validate_jwt_svid_by_agent(&good, "orders")
        .await
        .unwrap_err();
    assert!(refusal.is_on_deny_list(), "{refusal}");
    let refusal = world
        .source
        .validate_jwt_svid_by_agent(&good, " ")
        .await
        .unwrap_err();
    assert!(refusal.is_configuration(), "{refusal}");
    assert_eq!(agent.asked(), 0);
    world.source.deny(DenyList::new());
    assert!(
        world
            .source
            .validate_jwt_svid_by_agent(&good, "orders")
            .await
            .is_ok(),
        "control"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_vouches_for_something_else_has_not_decided() {
    let (world, agent) = world().await;
    let token = token_of(&world.ca, BILLING);
    for wrong in [
        ORDERS,
        "spiffe://example.org",
        "spiffe://Example.org/service/billing",
        "",
    ] {
        agent.vouches_for(wrong);
        let refusal = world
            .source
            .validate_jwt_svid_by_agent(&token, "orders")
            .await
            .unwrap_err();
        assert!(refusal.is_undecided(), "{wrong}: {refusal}");
        assert!(
            refusal.agent_error().unwrap().is_bad_answer(),
            "{wrong}: {refusal}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_not_waited_for() {
    let (world, agent) = world().await;
    let token = token_of(&world.ca, BILLING);
    let begun = Instant::now();
    let refusal = world
        .source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await
        .unwrap_err();
    assert!(refusal.is_undecided(), "{refusal}");
    assert!(begun.elapsed() <= Duration::from_secs(11));
    assert_eq!(agent.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denial_while_the_agent_is_asked_counts() {
    let (world, agent) = world().await;
    let token = token_of(&world.ca, BILLING);
    let asking = world.source.validate_jwt_svid_by_agent(&token, "orders");
    let denying = async {
        while agent.asked() == 0 {
            tokio::task::yield_now().await;
        }
        world.source.deny(DenyList::new().id(BILLING).unwrap());
        agent.vouches_for(BILLING);
    };
    let (outcome, ()) = tokio::join!(asking, denying);
    let refusal = outcome.unwrap_err();
    assert!(refusal.is_on_deny_list(), "{refusal}");
    world.source.deny(DenyList::new());
    let outcome = world
        .source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await;
    assert!(outcome.is_ok(), "control");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_does_not_validate_says_so() {
    let world = World::new().await;
    let token = token_of(&world.ca, BILLING);
    let refusal = world
        .source
        .validate_jwt_svid_by_agent(&token, "orders")
        .await
        .unwrap_err();
    assert!(refusal.agent_error().unwrap().is_unsupported(), "{refusal}");
}
