//! JWT-SVIDs from an agent in Python, signed and checked by another library than ours.
//!
//! Each test talks with the agent on its own thread, while the source lives on another.

use interop::{FakeAgent, PATIENCE};
use spiffe_peer::parse;
use spiffe_source::{Source, State};
use tokio::time::timeout;

const ID: &str = "spiffe://example.org/service/orders";
const AUDIENCE: &str = "spiffe://example.org/service/billing";

/// A source with its own JWT bundle, which comes on a stream of its own.
async fn connected(agent: &FakeAgent, trusted: &[&str]) -> Source {
    let mut builder = Source::workload_api()
        .endpoint(agent.endpoint())
        .first_update_within(PATIENCE);
    for domain in trusted {
        builder = builder.trust(*domain);
    }
    let mut source = builder.connect().await.unwrap();
    let bundles = 1 + trusted.len();
    let arrives = async {
        while source.snapshot().jwt_bundles().len() != bundles {
            source.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, arrives).await.expect("JWT bundles");
    source
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_is_fetched_once_and_accepted_by_both_ends() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let source = connected(&agent, &[]).await;
    let token = source.jwt_svid([AUDIENCE]).await.unwrap();
    assert_eq!(token.spiffe_id().to_string(), ID);
    assert_eq!(token.audience(), [AUDIENCE]);
    let again = source.jwt_svid([AUDIENCE]).await.unwrap();
    assert_eq!(again.expose_token(), token.expose_token());
    let calls = agent.calls("FetchJWTSVID");
    assert_eq!(calls.len(), 1, "the second comes from the cache");
    assert_eq!(calls[0].security_header, ["true"]);
    assert_eq!(calls[0].request["audience"][0], AUDIENCE);

    let here = source.validate_jwt_svid(token.expose_token(), AUDIENCE);
    assert_eq!(here.unwrap().spiffe_id().to_string(), ID);
    let there = source
        .validate_jwt_svid_by_agent(token.expose_token(), AUDIENCE)
        .await;
    assert_eq!(there.unwrap().spiffe_id().to_string(), ID);
    let other = source.validate_jwt_svid(token.expose_token(), "somebody else");
    assert!(other.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_46_a_token_with_any_flaw_is_not_taken() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let source = connected(&agent, &[]).await;
    for flaw in ["other-key", "other-audience", "other-subject", "expired"] {
        agent.tell(&format!("tokens {flaw}"));
        let error = source.jwt_svid([flaw]).await.unwrap_err();
        assert!(error.is_bad_answer(), "{flaw}: {error}");
    }
    agent.tell("tokens sound");
    source.jwt_svid(["control"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_foreign_token_counts_where_its_domain_is_named() {
    let foreign = "spiffe://partner.test/service/payments";
    let mut agent = FakeAgent::start();
    agent.tell("federate partner.test");
    agent.send(ID);
    let naming = connected(&agent, &["partner.test"]).await;
    let silent = connected(&agent, &[]).await;

    let mut partner = FakeAgent::start();
    partner.send(foreign);
    let stranger = connected(&partner, &[]).await;
    let forged = stranger.jwt_svid([AUDIENCE]).await.unwrap();
    let refused = naming.validate_jwt_svid(forged.expose_token(), AUDIENCE);
    assert!(refused.is_err(), "another agent's key for that domain");

    agent.svids(&[ID, foreign]);
    agent.tell("send");
    let both = connected(&agent, &["partner.test"]).await;
    let foreign = parse::workload_id(foreign).unwrap();
    let token = both.jwt_svid_of(&foreign, [AUDIENCE]).await.unwrap();
    let accepted = naming.validate_jwt_svid(token.expose_token(), AUDIENCE);
    assert_eq!(*accepted.unwrap().spiffe_id(), foreign);
    assert!(
        silent
            .validate_jwt_svid(token.expose_token(), AUDIENCE)
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn conformance_69_a_denial_drops_the_tokens() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let source = connected(&agent, &[]).await;
    source.jwt_svid([AUDIENCE]).await.unwrap();
    let mut statuses = source.statuses();
    agent.tell("refuse PERMISSION_DENIED");
    let denied = async {
        while source.status().state() != State::Denied {
            statuses.next().await.unwrap();
        }
    };
    timeout(PATIENCE, denied).await.unwrap();
    let error = source.jwt_svid([AUDIENCE]).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
}
