//! JWT-SVIDs over a real socket: those of this process, and the validation of those of others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use integration::{ALLOWED, FOREIGN, OTHER, SERVER, agent, settled, source};
use spiffe_devkit::{Agent, Authority, Code, Entry, Fault};
use spiffe_peer::{SpiffeId, TrustDomain, parse};
use spiffe_source::jwt::{JwtFault, JwtSvidError, OwnJwtSvid};
use spiffe_source::{DenyList, Source};
use tracing_subscriber::filter::LevelFilter;

fn domain(name: &str) -> TrustDomain {
    parse::trust_domain(name).unwrap()
}

fn id(text: &str) -> SpiffeId {
    parse::workload_id(text).unwrap()
}

/// A source that has its JWT bundles, as many as are said.
async fn ready(agent: &Agent, socket: &str, trusted: &[&str]) -> Source {
    let source = source(agent, socket, trusted).await;
    let bundles = trusted.len() + 1;
    settled(&source, |snapshot| snapshot.jwt_bundles().len() == bundles).await;
    source
}

/// How many requests of one kind the agent has answered.
fn requests(agent: &Agent, method: &str) -> usize {
    let log = agent.log();
    log.iter()
        .filter(|record| record.method() == method)
        .count()
}

fn fetches(agent: &Agent) -> usize {
    requests(agent, "FetchJWTSVID")
}

/// Waits for what has no event of its own.
async fn eventually(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("it never happens");
}

async fn stock(source: &Source) -> Result<Arc<OwnJwtSvid>, JwtSvidError> {
    source.jwt_svid(["stock"]).await
}

#[tokio::test]
async fn conformance_84_one_request_serves_all_who_want_the_token() {
    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { stock(&source).await })
        })
        .collect();
    let token = stock(&source).await.unwrap();
    for caller in callers {
        assert!(Arc::ptr_eq(&token, &caller.await.unwrap().unwrap()));
    }
    for _ in 0..1000 {
        assert!(Arc::ptr_eq(&token, &stock(&source).await.unwrap()));
    }
    assert_eq!(fetches(&agent), 1);
    assert_eq!(token.spiffe_id().to_string(), SERVER);
    assert_eq!(token.audience(), ["stock"]);
    let left = token.expires_at().duration_since(SystemTime::now());
    assert!(left.unwrap() > Duration::from_secs(200));

    source.jwt_svid(["audit"]).await.unwrap();
    assert_eq!(fetches(&agent), 2, "control");
}

#[tokio::test]
async fn conformance_79_of_several_identities_the_token_is_of_the_one_in_use() {
    let entry = |of: &str, hint: &str| Entry::new(of).unwrap().on("server").hint(hint);
    let second = "spiffe://example.org/service/second";
    let agent = agent()
        .entry(entry(second, "second"))
        .start()
        .await
        .unwrap();
    let endpoint = agent.endpoint("server").unwrap();
    let source = Source::workload_api()
        .endpoint(endpoint)
        .pick_hint("second")
        .connect()
        .await
        .unwrap();
    let token = stock(&source).await.unwrap();
    assert_eq!(token.spiffe_id().to_string(), second);
    let other = source.jwt_svid_of(&id(SERVER), ["stock"]).await.unwrap();
    assert_eq!(other.spiffe_id().to_string(), SERVER);
    let error = source.jwt_svid_of(&id(OTHER), ["stock"]).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert_eq!(
        fetches(&agent),
        2,
        "an ID that is not the own is not asked for"
    );
}

#[tokio::test]
async fn conformance_43_an_empty_audience_is_refused_before_anybody_is_asked() {
    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    for audience in [vec![], vec![String::new()], vec!["stock".to_owned(); 33]] {
        let error = source.jwt_svid(audience).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
    let nobody: [&str; 0] = [];
    assert!(source.jwt_validator(nobody).is_err());
    assert_eq!(fetches(&agent), 0);
}

#[tokio::test]
async fn a_token_is_refreshed_after_half_of_its_life_while_the_old_one_is_handed_out() {
    let agent = agent().start().await.unwrap();
    let ahead = Arc::new(Mutex::new(Duration::ZERO));
    let now = ahead.clone();
    let source = Source::workload_api()
        .endpoint(agent.endpoint("server").unwrap())
        .clock(move || SystemTime::now() + *now.lock().unwrap())
        .connect()
        .await
        .unwrap();
    let old = stock(&source).await.unwrap();
    *ahead.lock().unwrap() = Duration::from_secs(120);
    assert!(Arc::ptr_eq(&old, &stock(&source).await.unwrap()));
    assert_eq!(fetches(&agent), 1, "two fifths of its life");

    // Of 300 seconds that is more than the 165 after which the latest refresh begins.
    *ahead.lock().unwrap() = Duration::from_secs(170);
    let meanwhile = stock(&source).await.unwrap();
    assert!(Arc::ptr_eq(&old, &meanwhile), "nobody waits for the agent");
    eventually(|| fetches(&agent) == 2).await;
    while Arc::ptr_eq(&old, &stock(&source).await.unwrap()) {
        tokio::task::yield_now().await;
    }

    // An end that is near makes callers wait.
    *ahead.lock().unwrap() = Duration::from_secs(400);
    let error = stock(&source).await.unwrap_err();
    assert!(
        error.is_bad_answer(),
        "the agent's clock is far behind: {error}"
    );
}

#[tokio::test]
async fn a_withdrawal_takes_the_tokens_with_it() {
    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    let old = stock(&source).await.unwrap();
    agent.withdraw(&id(SERVER)).unwrap();
    settled(&source, |snapshot| snapshot.svid().is_none()).await;
    let error = stock(&source).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert_eq!(fetches(&agent), 1, "nobody was asked");

    agent.restore(&id(SERVER)).unwrap();
    settled(&source, |snapshot| snapshot.svid().is_some()).await;
    let new = stock(&source).await.unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
    assert_eq!(fetches(&agent), 2);
}

#[tokio::test]
async fn a_withdrawal_ends_the_wait_for_an_agent_that_hangs() {
    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    agent.fault("server", Fault::Hang).unwrap();
    let caller = {
        let source = source.clone();
        tokio::spawn(async move { stock(&source).await })
    };
    eventually(|| fetches(&agent) == 1).await;
    source.deny(DenyList::new().id(SERVER).unwrap());
    let error = tokio::time::timeout(Duration::from_secs(5), caller);
    let error = error.await.expect("at once").unwrap().unwrap_err();
    assert!(error.is_denied(), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_agent_is_told_apart() {
    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    let held = stock(&source).await.unwrap();
    let fault = async |fault: Fault, audience: &str| {
        agent.fault("server", fault).unwrap();
        let error = source.jwt_svid([audience]).await.unwrap_err();
        agent.heal("server").unwrap();
        error
    };
    let error = |code| Fault::Error {
        code,
        message: "because".into(),
    };
    let starting = fault(error(Code::Unavailable), "a").await;
    assert!(starting.is_unavailable(), "{starting}");
    let old = fault(error(Code::Unimplemented), "b").await;
    assert!(old.is_unsupported(), "{old}");
    let broken = fault(error(Code::Internal), "c").await;
    assert!(broken.is_bad_answer() && broken.to_string().contains("because"));
    let garbage = fault(Fault::Garbage, "d").await;
    assert!(garbage.is_bad_answer(), "{garbage}");
    assert!(Arc::ptr_eq(&held, &stock(&source).await.unwrap()));

    agent.shutdown().await;
    let away = source.jwt_svid(["e"]).await.unwrap_err();
    assert!(away.is_unavailable() && away.to_string().contains("is the agent running"));
    assert!(Arc::ptr_eq(&held, &stock(&source).await.unwrap()));
    source.close();
    let closed = stock(&source).await.unwrap_err();
    assert!(closed.is_closed(), "{closed}");
}

#[tokio::test]
async fn conformance_46_a_token_is_accepted_by_those_whom_it_is_for_and_who_trust_its_domain() {
    let agent = agent().start().await.unwrap();
    let server = ready(&agent, "server", &[]).await;
    let caller = ready(&agent, "allowed", &[]).await;
    let token = caller.jwt_svid([SERVER]).await.unwrap();
    let svid = server.validate_jwt_svid(token.expose_token(), SERVER);
    assert_eq!(svid.unwrap().spiffe_id().to_string(), ALLOWED);
    let refusal = server.validate_jwt_svid(token.expose_token(), OTHER);
    let fault = refusal.unwrap_err().fault();
    assert_eq!(fault, Some(JwtFault::NotForThisAudience));

    let foreign = ready(&agent, "foreign", &[]).await;
    let token = foreign.jwt_svid([SERVER]).await.unwrap();
    let refusal = server.validate_jwt_svid(token.expose_token(), SERVER);
    let fault = refusal.unwrap_err().fault();
    assert_eq!(
        fault,
        Some(JwtFault::UnknownTrustDomain),
        "the domain is not named"
    );
    let trusting = ready(&agent, "server", &["partner.test"]).await;
    let validator = trusting.jwt_validator([SERVER]).unwrap();
    let svid = validator.validate(token.expose_token()).unwrap();
    assert_eq!(svid.spiffe_id().to_string(), FOREIGN);
    agent
        .remove_bundle(&domain("example.org"), &domain("partner.test"))
        .unwrap();
    settled(&trusting, |snapshot| snapshot.jwt_bundles().len() == 1).await;
    let fault = validator
        .validate(token.expose_token())
        .unwrap_err()
        .fault();
    assert_eq!(
        fault,
        Some(JwtFault::UnknownTrustDomain),
        "its bundle is gone"
    );
}

#[tokio::test]
async fn a_rotation_of_the_authority_is_invisible_and_ends_with_the_old_key() {
    let agent = agent().start().await.unwrap();
    let server = ready(&agent, "server", &[]).await;
    let caller = ready(&agent, "allowed", &[]).await;
    let validator = server.jwt_validator(["stock"]).unwrap();
    let is_accepted = |token: &OwnJwtSvid| validator.validate(token.expose_token()).is_ok();
    let old = stock(&caller).await.unwrap();
    assert!(is_accepted(&old), "control");

    let keys = |source: &Source| {
        let snapshot = source.snapshot();
        let bundle = snapshot.jwt_bundle(&domain("example.org")).unwrap();
        bundle.key_ids().count()
    };
    agent.rotate_authority(&domain("example.org")).unwrap();
    // The new key may sign a token before it has reached the caller's own bundle.
    let new = caller.jwt_svid(["stock", "audit"]).await.unwrap();
    eventually(|| keys(&server) == 2).await;
    assert!(is_accepted(&old) && is_accepted(&new));
    assert!(Arc::ptr_eq(&old, &stock(&caller).await.unwrap()));

    agent.retire_authority(&domain("example.org")).unwrap();
    eventually(|| keys(&server) == 1 && keys(&caller) == 1).await;
    assert!(!is_accepted(&old) && is_accepted(&new));
    // The caller's cache follows its bundle.
    let waiting = async {
        while !is_accepted(&stock(&caller).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    let mended = tokio::time::timeout(Duration::from_secs(30), waiting);
    mended.await.expect("the old token is replaced");
}

#[tokio::test]
async fn conformance_82_the_agent_and_this_process_agree_about_tokens() {
    let agent = agent().start().await.unwrap();
    let server = ready(&agent, "server", &["partner.test"]).await;
    let caller = ready(&agent, "allowed", &[]).await;
    let foreign = ready(&agent, "foreign", &[]).await;
    let token = |svid: Arc<OwnJwtSvid>| svid.expose_token().to_owned();
    let good = token(caller.jwt_svid([SERVER]).await.unwrap());
    let of_two = token(caller.jwt_svid([SERVER, "stock"]).await.unwrap());
    let partner = token(foreign.jwt_svid([SERVER]).await.unwrap());
    let for_another = token(caller.jwt_svid(["stock"]).await.unwrap());
    let authority = agent.authority(&domain("example.org")).unwrap();
    let audience = [SERVER.to_owned()];
    let issue = |authority: &Authority, of: &str, life: u64| {
        let life = Duration::from_secs(life);
        authority.issue_jwt(&id(of), &audience, life).unwrap()
    };
    let expired = issue(&authority, ALLOWED, 0);
    let forged = issue(&Authority::new("example.org").unwrap(), ALLOWED, 60);
    let stranger = "spiffe://stranger.test/x";
    let unknown = issue(&Authority::new("stranger.test").unwrap(), stranger, 60);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{signed}.{other}{}", signature.get(1..).unwrap());

    for (case, token, is_good) in [
        ("good", &good, true),
        ("of two audiences", &of_two, true),
        ("of a domain that is trusted", &partner, true),
        ("for another", &for_another, false),
        ("expired", &expired, false),
        ("forged", &forged, false),
        ("of an unknown domain", &unknown, false),
        ("tampered", &tampered, false),
        ("no token", &"no.token.atall".to_owned(), false),
    ] {
        let here = server.validate_jwt_svid(token, SERVER);
        let there = server.validate_jwt_svid_by_agent(token, SERVER).await;
        assert_eq!(here.is_ok(), is_good, "{case}: {here:?}");
        assert_eq!(there.is_ok(), is_good, "{case}: {there:?}");
        if let (Ok(here), Ok(there)) = (&here, &there) {
            assert_eq!(here.spiffe_id(), there.spiffe_id(), "{case}");
            assert_eq!(here.expires_at(), there.expires_at(), "{case}");
            assert_eq!(here.audience(), there.audience(), "{case}");
            assert_eq!(here.claims(), there.claims(), "{case}");
        }
        if let Err(refusal) = there {
            assert!(!refusal.is_undecided(), "{case}: {refusal}");
        }
    }
    // The agent refuses what only a key can tell; all else is refused before it is asked.
    let refusal = server.validate_jwt_svid_by_agent(&tampered, SERVER).await;
    assert!(refusal.unwrap_err().is_refused_by_agent());
    let before = requests(&agent, "ValidateJWTSVID");
    let refusal = server
        .validate_jwt_svid_by_agent(&for_another, SERVER)
        .await;
    assert_eq!(
        refusal.unwrap_err().fault(),
        Some(JwtFault::NotForThisAudience)
    );
    assert_eq!(requests(&agent, "ValidateJWTSVID"), before);

    // The agent knows a domain that this source was not told to trust.
    let local = ready(&agent, "server", &[]).await;
    let refusal = local.validate_jwt_svid_by_agent(&partner, SERVER).await;
    assert_eq!(
        refusal.unwrap_err().fault(),
        Some(JwtFault::UnknownTrustDomain)
    );

    let deny = DenyList::new().id(ALLOWED).unwrap();
    server.deny(deny);
    assert!(
        server
            .validate_jwt_svid(&good, SERVER)
            .unwrap_err()
            .is_on_deny_list()
    );
    let refusal = server.validate_jwt_svid_by_agent(&good, SERVER).await;
    assert!(refusal.unwrap_err().is_on_deny_list());

    server.deny(DenyList::new());
    agent
        .fault(
            "server",
            Fault::Error {
                code: Code::Unavailable,
                message: "later".into(),
            },
        )
        .unwrap();
    let refusal = server
        .validate_jwt_svid_by_agent(&good, SERVER)
        .await
        .unwrap_err();
    assert!(refusal.is_undecided(), "{refusal}");
    assert!(
        server.validate_jwt_svid(&good, SERVER).is_ok(),
        "no agent is needed here"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn conformance_51_no_token_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // Everything in this test runs on its one thread.
    let _logging = tracing::subscriber::set_default(subscriber);

    let agent = agent().start().await.unwrap();
    let source = ready(&agent, "server", &[]).await;
    let token = stock(&source).await.unwrap();
    let text = token.expose_token();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{signed}.{other}{}", signature.get(1..).unwrap());
    let valid = source.validate_jwt_svid(text, "stock").unwrap();
    let vouched = source
        .validate_jwt_svid_by_agent(text, "stock")
        .await
        .unwrap();
    let refusal = source.validate_jwt_svid(&tampered, "stock").unwrap_err();
    let by_agent = source
        .validate_jwt_svid_by_agent(&tampered, "stock")
        .await
        .unwrap_err();
    tracing::info!(?token, ?valid, ?vouched, ?refusal, %refusal, ?by_agent, %by_agent, ?source, ?agent, "all that can be shown");

    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    for expected in [
        "a JWT-SVID was fetched",
        "ValidateJWTSVID",
        "all that can be shown",
    ] {
        assert!(logged.contains(expected), "control: {expected}");
    }
    let mut parts = text.split('.').skip(1);
    assert!(parts.clone().count() == 2);
    assert!(!parts.any(|part| logged.contains(part.get(..24).unwrap())));
    assert!(!logged.contains(&tampered));
}
