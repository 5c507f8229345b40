use serde_json::Value;
use tempfile::TempDir;

use crate::{Running, python};

/// A Workload API in Python that says what it is told to say (python/fake_agent): gRPC and protobuf
/// are those of the package `spiffe`, the certificates and tokens are made by what it depends on.
pub struct FakeAgent {
    process: Running,
    directory: TempDir,
}

/// A call that the fake agent has got.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The method, such as `FetchX509SVID`.
    pub method: String,
    /// All values of the metadata key `workload.spiffe.io`.
    pub security_header: Vec<String>,
    /// The request, as protobuf writes it in JSON.
    pub request: Value,
}

impl FakeAgent {
    /// Starts an agent that has an identity for nobody yet.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = python("fake_agent");
        command.arg(directory.path().join("agent.sock"));
        let mut process = Running::converse(&mut command);
        process.line("listening");
        Self { process, directory }
    }

    /// Where it listens, as `SPIFFE_ENDPOINT_SOCKET` says it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!(
            "unix://{}",
            self.directory.path().join("agent.sock").display()
        )
    }

    /// Tells it a command of python/fake_agent, and gives what it answers.
    #[track_caller]
    pub fn tell(&mut self, command: &str) -> Value {
        let answer = self.process.ask(command);
        let mut answer: Value = serde_json::from_str(&answer).expect("it answers JSON");
        assert!(answer.get("error").is_none(), "{answer}");
        answer["ok"].take()
    }

    /// Prepares a new SVID for each `ID` or `ID#HINT`, and gives their serial numbers.
    #[track_caller]
    pub fn svids(&mut self, ids: &[&str]) -> Vec<String> {
        strings(&self.tell(&format!("svids {}", ids.join(" "))))
    }

    /// Prepares a new SVID for the ID and sends it with all that has been prepared; gives its serial
    /// number.
    #[track_caller]
    pub fn send(&mut self, id: &str) -> String {
        let serial = self.svids(&[id]).remove(0);
        self.tell("send");
        serial
    }

    /// The roots of a trust domain, hexadecimal DER.
    #[track_caller]
    pub fn bundle(&mut self, trust_domain: &str) -> Vec<String> {
        strings(&self.tell(&format!("bundle {trust_domain}")))
    }

    /// The calls of a method so far.
    #[track_caller]
    pub fn calls(&mut self, method: &str) -> Vec<Call> {
        let mut calls = self.all_calls();
        calls.retain(|call| call.method == method);
        calls
    }

    /// All calls so far.
    #[track_caller]
    pub fn all_calls(&mut self) -> Vec<Call> {
        let calls = self.tell("calls");
        let calls = calls.as_array().expect("it answers a list");
        let call = |call: &Value| Call {
            method: call["method"].as_str().expect("a name").to_owned(),
            security_header: strings(&call["security_header"]),
            request: call["request"].clone(),
        };
        calls.iter().map(call).collect()
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("it answers a list");
    list.iter()
        .map(|text| text.as_str().expect("of texts").to_owned())
        .collect()
}
