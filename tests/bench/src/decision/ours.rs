//! This project's engine: a YAML file, and requests as a server has them, with their callers found and
//! with callers to be found.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use http::{Method, Request};
use spiffe_authz::policy::{Policy, Query};
use spiffe_peer::{AuthMethod, Connection, Fingerprint, PeerIdentity, VerifiedPeer, parse};

use super::{Asked, Caller, Engine, Failure, Grant};

/// The policy as a file.
pub fn yaml(policy: &[Grant]) -> String {
    let mut text =
        String::from("version: 1\nname: bench\ntrust_domains:\n  example.org: {}\nrules:\n");
    for (rule, grant) in policy.iter().enumerate() {
        let (method, path) = (grant.method, grant.route.template());
        let caller = match &grant.caller {
            Caller::Exact(exact) => exact.clone(),
            Caller::Below(prefix) => format!("{prefix}/**"),
        };
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "  - name: rule-{rule:04}\n    allow: [\"{method} {path}\"]\n    from: [\"{caller}\"]\n"
        );
    }
    text
}

/// The policy, loaded.
pub struct Ours(Policy);

impl Ours {
    /// Loads the file.
    ///
    /// # Errors
    ///
    /// Where it is no policy.
    pub fn load(yaml: &str) -> Result<Self, Failure> {
        Ok(Self(Policy::from_yaml(yaml)?))
    }

    /// Takes the requests.
    ///
    /// # Errors
    ///
    /// Where one is none.
    pub fn with(self, requests: &[Asked]) -> Result<WithRequests, Failure> {
        let mut peers = HashMap::new();
        let mut with_peers = Vec::with_capacity(requests.len());
        for asked in requests {
            let peer = match peers.get(&asked.caller) {
                Some(known) => PeerIdentity::clone(known),
                None => peer(&asked.caller)?,
            };
            peers.insert(&asked.caller, peer.clone());
            with_peers.push((request(asked, peer.clone())?, peer));
        }
        Ok(WithRequests {
            policy: self.0,
            requests: with_peers,
        })
    }
}

/// The policy, the requests and their callers.
pub struct WithRequests {
    policy: Policy,
    requests: Vec<(Request<()>, PeerIdentity)>,
}

impl WithRequests {
    /// Decides every request once and says how many may pass.
    pub fn decide_all(&self) -> usize {
        let requests = 0..self.requests.len();
        requests.filter(|request| self.allows(*request)).count()
    }

    fn allows(&self, request: usize) -> bool {
        let (request, caller) = &self.requests[request];
        let query = Query::new(request.method(), request.uri().path(), request.headers());
        self.policy
            .decide(&query.verified_peer(caller))
            .is_allowed()
    }

    /// The same, of requests that hold their caller.
    pub fn finding_callers(self) -> FindingCallers {
        FindingCallers(self)
    }
}

impl Engine for WithRequests {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        Ok(self.allows(request))
    }
}

/// As a layer decides: it looks for the caller in the request.
pub struct FindingCallers(WithRequests);

impl Engine for FindingCallers {
    fn decide(&mut self, request: usize) -> Result<bool, Failure> {
        let (request, _) = &self.0.requests[request];
        let query = Query::of(request);
        Ok(self.0.policy.decide(&query).is_allowed())
    }
}

/// A request as it comes from an acceptor over HTTP/1.1.
fn request(asked: &Asked, peer: PeerIdentity) -> Result<Request<()>, Failure> {
    let mut request = Request::builder()
        .method(Method::from_bytes(asked.method.as_bytes())?)
        .uri(&asked.path)
        .header("host", "api.example.org")
        .header("user-agent", "bench")
        .header("accept", "*/*")
        .body(())?;
    request.extensions_mut().insert(peer);
    Ok(request)
}

/// A peer whose connection keeps the time, as the acceptor's do.
///
/// # Errors
///
/// Where the ID is none.
pub fn peer(id: &str) -> Result<PeerIdentity, Failure> {
    let peer = VerifiedPeer {
        spiffe_id: parse::workload_id(id)?,
        not_after: SystemTime::now() + Duration::from_secs(24 * 3600),
        fingerprint: Fingerprint::from_sha256([0; 32]),
        method: AuthMethod::MtlsX509Svid,
    };
    let connection = Connection::new();
    connection.keep_time();
    Ok(PeerIdentity::assume_verified(peer, connection))
}
