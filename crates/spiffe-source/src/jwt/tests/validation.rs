use super::*;
use crate::DenyList;

const PARTNER: &str = "spiffe://partner.test/service/stock";

/// A token of somebody for `orders`.
fn token_of(ca: &Authority, who: &str) -> String {
    ca.issue_jwt(&id(who), &["orders".to_owned()], LIFE)
        .unwrap()
}

fn fault(world: &World, token: &str) -> Option<JwtFault> {
    let outcome = world.source.validate_jwt_svid(token, "orders");
    outcome.unwrap_err().fault()
}

#[tokio::test(start_paused = true)]
async fn conformance_43_a_token_is_for_this_service_or_refused() {
    let world = World::new().await;
    let token = token_of(&world.ca, BILLING);
    let svid = world.source.validate_jwt_svid(&token, "orders").unwrap();
    assert_eq!(svid.spiffe_id().to_string(), BILLING);
    let refusal = world.source.validate_jwt_svid(&token, "stock").unwrap_err();
    assert_eq!(refusal.fault(), Some(JwtFault::NotForThisAudience));

    let none: [&str; 0] = [];
    assert!(world.source.jwt_validator(none).is_err());
    assert!(world.source.jwt_validator([" "]).is_err());
    let refusal = world.source.validate_jwt_svid(&token, "").unwrap_err();
    assert!(refusal.is_configuration() && refusal.fault().is_none());
}

#[tokio::test(start_paused = true)]
async fn conformance_44_a_token_ends_by_the_source_s_clock() {
    let world = World::new().await;
    let token = token_of(&world.ca, BILLING);
    let validator = world.source.jwt_validator(["orders"]).unwrap();
    assert!(validator.validate(&token).is_ok(), "control");
    world.clock.jump_ahead(LIFE);
    let refusal = validator.validate(&token).unwrap_err();
    assert_eq!(refusal.fault(), Some(JwtFault::Expired));
}

#[tokio::test(start_paused = true)]
async fn conformance_46_a_foreign_domain_speaks_for_itself_where_it_is_named() {
    let partner = Authority::new("partner.test").unwrap();
    let token = token_of(&partner, PARTNER);
    for is_named in [false, true] {
        let world = World::of(&[ORDERS], |builder| {
            if is_named {
                builder.trust("partner.test")
            } else {
                builder
            }
        })
        .await;
        let revision = world.source.snapshot().revision();
        world.step(jwt_bundles(&[&world.ca, &partner]));
        if is_named {
            world
                .settled(|snapshot| snapshot.revision() > revision)
                .await;
            assert!(world.source.validate_jwt_svid(&token, "orders").is_ok());
            // A domain's key speaks for no other domain.
            let impostor = Authority::new("partner.test").unwrap();
            let forged = token_of(&impostor, PARTNER);
            assert_eq!(fault(&world, &forged), Some(JwtFault::UnknownKey));
        } else {
            world.rest().await;
            assert_eq!(fault(&world, &token), Some(JwtFault::UnknownTrustDomain));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_validator_goes_with_the_source() {
    let world = World::new().await;
    let validator = world.source.jwt_validator(["orders"]).unwrap();
    let token = token_of(&world.ca, BILLING);
    assert!(validator.validate(&token).is_ok(), "control");

    world.source.deny(
        DenyList::new()
            .pattern("spiffe://example.org/service/*")
            .unwrap(),
    );
    let refusal = validator.validate(&token).unwrap_err();
    // The own identity is denied with it, and with it all trust but the bundles.
    assert!(
        refusal.is_on_deny_list() && refusal.fault().is_none(),
        "{refusal:?}"
    );
    world.source.deny(DenyList::new().id(BILLING).unwrap());
    assert!(validator.validate(&token).unwrap_err().is_on_deny_list());
    let other = token_of(&world.ca, "spiffe://example.org/service/audit");
    assert!(validator.validate(&other).is_ok(), "nobody else is denied");
    world.source.deny(DenyList::new());
    assert!(validator.validate(&token).is_ok(), "control");

    let revision = world.source.snapshot().revision();
    world.ca.rotate().unwrap();
    world.step(jwt_bundle(&world.ca));
    world
        .settled(|snapshot| snapshot.revision() > revision)
        .await;
    assert!(
        validator.validate(&token).is_ok(),
        "the old key is in the bundle"
    );
    assert!(validator.validate(&token_of(&world.ca, BILLING)).is_ok());
    world.ca.retire().unwrap();
    world.step(jwt_bundle(&world.ca));
    world
        .settled(|snapshot| snapshot.revision() > revision + 1)
        .await;
    let refusal = validator.validate(&token).unwrap_err();
    assert_eq!(refusal.fault(), Some(JwtFault::UnknownKey));
    let token = token_of(&world.ca, BILLING);
    assert!(validator.validate(&token).is_ok(), "control");

    world.step(Box::new(|sink| sink.withdraw("gone")));
    world.settled(|snapshot| snapshot.svid().is_none()).await;
    let refusal = validator.validate(&token).unwrap_err();
    assert_eq!(refusal.fault(), Some(JwtFault::UnknownTrustDomain));
}
