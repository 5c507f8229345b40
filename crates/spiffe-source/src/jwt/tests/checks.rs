use super::*;

/// What becomes of a token that is issued when one of `orders` for `stock` is asked for.
async fn outcome(world: &mut World, token: String) -> Result<Arc<OwnJwtSvid>, JwtSvidError> {
    let caller = world.caller("stock");
    let asked = world.asked().await;
    asked.answer.send(Ok(IssuedJwtSvid::new(token))).unwrap();
    caller.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_is_not_handed_out_and_not_held() {
    let mut world = World::new().await;
    let impostor = Authority::new("example.org").unwrap();
    let stock = ["stock".to_owned()];
    let mint = |ca: &Authority, of: &str, audience: &[String], life: Duration| {
        super::mint(ca, &world.clock, &id(of), audience, life)
    };
    let good = mint(&world.ca, ORDERS, &stock, LIFE);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{signed}.{other}{}", signature.get(1..).unwrap());
    let cases = [
        (
            "of another",
            mint(&world.ca, BILLING, &stock, LIFE),
            "service/billing",
        ),
        (
            "for another",
            mint(&world.ca, ORDERS, &["audit".to_owned()], LIFE),
            "`stock`",
        ),
        (
            "expired",
            mint(&world.ca, ORDERS, &stock, Duration::ZERO),
            "expired",
        ),
        (
            "of another authority",
            mint(&impostor, ORDERS, &stock, LIFE),
            "`kid`",
        ),
        ("tampered with", tampered, "signature is wrong"),
        ("no token", "no.token.atall".to_owned(), "base64url"),
        ("empty", String::new(), "base64url"),
    ];
    for (case, token, why) in cases {
        let error = outcome(&mut world, token.clone()).await.unwrap_err();
        assert!(error.is_bad_answer(), "{case}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(why), "{case}: {text}");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!text.contains(part), "{case}: conformance 51");
        }
        // So that the next one is asked for at once.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!(outcome(&mut world, good).await.is_ok(), "control");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_reaches_the_bundle_after_its_first_token_is_waited_for() {
    let mut world = World::new().await;
    let stock = ["stock".to_owned()];
    world.ca.rotate().unwrap();
    let token = world.token(&id(ORDERS), &stock, LIFE);
    let caller = world.caller("stock");
    let asked = world.asked().await;
    asked.answer.send(Ok(token)).unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(!caller.is_finished());
    world.step(jwt_bundle(&world.ca));
    caller.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_bundle_all_but_the_signature_is_checked() {
    let mut world = World::new().await;
    world.step(jwt_bundles(&[]));
    world
        .settled(|snapshot| snapshot.jwt_bundles().len() == 0)
        .await;
    let stock = ["stock".to_owned()];
    for (of, life) in [(BILLING, LIFE), (ORDERS, Duration::ZERO)] {
        let wrong = super::mint(&world.ca, &world.clock, &id(of), &stock, life);
        let error = outcome(&mut world, wrong).await.unwrap_err();
        assert!(error.is_bad_answer(), "{error}");
        let told = world.at_once("stock").expect("nobody is asked");
        assert!(told.unwrap_err().is_bad_answer());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let impostor = Authority::new("example.org").unwrap();
    let unknown = super::mint(&impostor, &world.clock, &id(ORDERS), &stock, LIFE);
    let begun = Instant::now();
    outcome(&mut world, unknown).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "no bundle is waited for");

    // The bundle comes, and does not have the key.
    world.step(jwt_bundle(&world.ca));
    world
        .settled(|snapshot| snapshot.jwt_bundles().len() == 1)
        .await;
    world.rest().await;
    assert!(world.at_once("stock").is_none(), "nobody would accept it");
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_key_has_left_the_bundle_is_fetched_anew() {
    let mut world = World::new().await;
    let old = world.fetched("stock", LIFE).await;
    world.ca.rotate().unwrap();
    world.step(jwt_bundle(&world.ca));
    let revision = world.source.snapshot().revision();
    world
        .settled(|snapshot| snapshot.revision() > revision)
        .await;
    world.rest().await;
    let held = world.at_once("stock").expect("both keys are good").unwrap();
    assert!(Arc::ptr_eq(&held, &old));

    world.ca.retire().unwrap();
    world.step(jwt_bundle(&world.ca));
    world
        .settled(|snapshot| snapshot.revision() > revision + 1)
        .await;
    world.rest().await;
    assert!(world.at_once("stock").is_none());
    let asked = world.asked().await;
    world.grant(asked, LIFE);
    world.rest().await;
    assert!(world.at_once("stock").expect("held").is_ok());
}
