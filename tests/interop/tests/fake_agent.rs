//! The fake agent against the Python package `spiffe`: what the source is tested against keeps to
//! the Workload API in the eyes of somebody else.

use std::process::Command;
use std::thread;

use interop::{FakeAgent, Running, python};

const ID: &str = "spiffe://example.org/service/caller";

fn client(script: &str, agent: &FakeAgent) -> Command {
    let mut command = python(script);
    command.arg(agent.endpoint());
    command
}

fn said(command: &mut Command) -> String {
    Running::start(command).finish().success()
}

#[test]
fn a_client_is_refused_until_there_is_something_to_say_and_then_gets_everything() {
    let mut agent = FakeAgent::start();
    assert_eq!(
        said(&mut client("refused.py", &agent)),
        "x509 svid refused\nx509 bundles refused\njwt svid refused\njwt bundles refused"
    );

    agent.send(ID);
    assert_eq!(
        said(client("fetch.py", &agent).arg(ID)),
        "x509 svid\nx509 bundles\njwt svid\njwt bundles\njwt validation"
    );

    agent.tell("refuse PERMISSION_DENIED");
    assert_eq!(
        said(&mut client("refused.py", &agent)),
        "x509 svid refused\nx509 bundles refused\njwt svid refused\njwt bundles refused"
    );
}

#[test]
fn conformance_54_it_notices_a_call_without_the_security_header() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    assert_eq!(
        said(&mut client("no_header.py", &agent)),
        "absent: INVALID_ARGUMENT\nTrue: INVALID_ARGUMENT\ntrue: OK"
    );
    let seen: Vec<_> = agent
        .calls("FetchX509SVID")
        .into_iter()
        .map(|call| call.security_header)
        .collect();
    assert_eq!(
        seen,
        [vec![], vec!["True".to_owned()], vec!["true".to_owned()]]
    );
}

#[test]
fn it_gives_tokens_with_and_without_flaws() {
    let mut agent = FakeAgent::start();
    agent.send(ID);
    let mut tokens = Running::converse(client("tokens.py", &agent).arg(ID));
    let mut verdict = |command: &str| {
        agent.tell(command);
        tokens.ask("")
    };
    assert_eq!(verdict("tokens sound"), "accepted, accepted");
    assert_eq!(
        verdict("tokens other-key"),
        "InvalidTokenError, ValidateJwtSvidError"
    );
    assert_eq!(verdict("tokens other-subject"), "another ID, another ID");
    assert!(verdict("tokens other-audience").contains("audience does not match"));
    assert!(verdict("tokens expired").contains("expired"));

    assert_eq!(verdict("tokens sound 30"), "accepted, accepted");
    assert_eq!(
        verdict("rotate-authority example.org"),
        "AuthorityNotFoundError, ValidateJwtSvidError",
        "control: a key that has not been sent yet"
    );
    assert_eq!(verdict("send"), "accepted, accepted");

    assert_eq!(verdict("garble jwt example.org"), "accepted, accepted");
    agent.tell("send");
    let unreadable = tokens.ask("");
    assert!(!unreadable.contains("accepted"), "{unreadable}");

    agent.tell("mend");
    agent.tell("send");

    agent.tell("refuse UNIMPLEMENTED FetchJWTBundles");
    assert_eq!(tokens.ask(""), "FetchJwtBundleError, accepted");
    agent.tell("answer FetchJWTBundles");

    agent.tell("hold FetchJWTSVID");
    thread::scope(|scope| {
        let asked = scope.spawn(|| tokens.ask(""));
        agent.tell("await FetchJWTSVID 12");
        assert!(!asked.is_finished());
        agent.tell("answer");
        assert_eq!(asked.join().unwrap(), "accepted, accepted");
    });

    let calls = agent.calls("FetchJWTSVID");
    assert_eq!(calls.len(), 12);
    for call in calls {
        assert_eq!(call.request["spiffe_id"], ID);
        assert_eq!(
            call.request["audience"],
            serde_json::json!(["spiffe://example.org/service/greeter"])
        );
    }
    let _ = tokens.finish().success();
}
