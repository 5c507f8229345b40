//! The engine under test. Nothing else in here names it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::{Policy, Query};
use spiffe_peer::{EndUser, SpiffeId};
use tower::{Layer, Service};

use crate::built;
use crate::policy;
use crate::random::Random;
use crate::yaml;

thread_local! {
    /// Peers stay connected, while one policy after the other is asked about them.
    static PEERS: RefCell<HashMap<String, MockPeer>> = RefCell::new(HashMap::new());
}

#[derive(Debug)]
pub(crate) struct Subject {
    /// What was loaded.
    pub(crate) yaml: String,
    policy: Policy,
}

impl Subject {
    /// Writes the policy as YAML, in one of many ways, and loads that.
    pub(crate) fn load(
        policy: &policy::Policy,
        own: &str,
        random: &mut Random,
    ) -> Result<Self, String> {
        let yaml = yaml::text(policy, random);
        let loader = Policy::loader().own_trust_domain(own.parse().unwrap());
        match loader.from_yaml(&yaml) {
            Ok(policy) => Ok(Self { yaml, policy }),
            Err(error) => Err(format!("{error}\n{yaml}")),
        }
    }

    /// Says the policy in code.
    pub(crate) fn build(
        policy: &policy::Policy,
        own: &str,
        random: &mut Random,
    ) -> Result<Self, String> {
        let policy = built::build(policy, own, random)?;
        let yaml = format!("in code: {policy:?}");
        Ok(Self { yaml, policy })
    }

    /// What comes of each way to ask; nothing where `http` cannot hold the request, so that no service
    /// ever sees it.
    pub(crate) fn decide(&self, request: &policy::Request) -> Vec<policy::Outcome> {
        let (Ok(method), Some(headers)) = (request.method.parse(), headers(request)) else {
            return Vec::new();
        };
        let written = self.decide_written(request, &method, &headers);
        let served = self.decide_served(request, method, headers);
        written.into_iter().chain(served).collect()
    }

    /// As the command line asks. It knows no authority but `host`.
    fn decide_written(
        &self,
        request: &policy::Request,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<policy::Outcome> {
        if request.authority.is_some() {
            return None;
        }
        let peer: Option<SpiffeId> = request.peer.as_ref().map(|peer| peer.parse().unwrap());
        let user = request.user.as_ref().map(end_user);
        let mut query = Query::new(method, &request.target, headers);
        if let Some(peer) = &peer {
            query = query.peer(peer);
        }
        if let Some(user) = &user {
            query = query.user(user);
        }
        Some(self.outcome(query, request))
    }

    /// As a server asks, on the connection of a peer.
    fn decide_served(
        &self,
        request: &policy::Request,
        method: Method,
        headers: HeaderMap,
    ) -> Option<policy::Outcome> {
        let mut served = http::Request::new(());
        *served.method_mut() = method;
        *served.uri_mut() = uri(request)?;
        *served.headers_mut() = headers;
        if let Some(user) = &request.user {
            served.extensions_mut().insert(end_user(user));
        }
        let Some(peer) = &request.peer else {
            return Some(self.outcome(Query::of(&served), request));
        };
        let peer = PEERS.with_borrow_mut(|peers| {
            let known = peers.entry(peer.clone());
            known.or_insert_with(|| MockPeer::id(peer).unwrap()).clone()
        });
        let mut service = peer.layer(tower::service_fn(|served: http::Request<()>| {
            ready(Ok::<_, Infallible>(
                self.outcome(Query::of(&served), request),
            ))
        }));
        service.call(served).into_inner().ok()
    }

    fn outcome(&self, query: Query<'_>, request: &policy::Request) -> policy::Outcome {
        let mut query = query.at(SystemTime::UNIX_EPOCH + Duration::from_secs(request.at));
        if let Some(resource) = &request.resource {
            query = query.resource(resource);
        }
        let decision = self.policy.decide(&query);
        policy::Outcome {
            allowed: decision.is_allowed(),
            status: decision.status(),
            rule: decision.rule().map(str::to_owned),
            reason: decision.reason(),
            shadow: decision.shadow().map(|shadow| policy::Shadow {
                allowed: shadow.is_allowed(),
                rule: shadow.rule().map(str::to_owned),
            }),
        }
    }
}

/// Nothing, too, for a target with a fragment, which `http` takes off before anyone sees it.
fn uri(request: &policy::Request) -> Option<Uri> {
    if request.target.contains('#') {
        return None;
    }
    let uri = Uri::builder().path_and_query(request.target.as_str());
    match &request.authority {
        Some(authority) => uri.scheme("https").authority(authority.as_str()),
        None => uri,
    }
    .build()
    .ok()
}

fn headers(request: &policy::Request) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

fn end_user(user: &policy::User) -> EndUser {
    EndUser::new(&user.issuer, &user.subject)
        .with_scopes(user.scopes.iter().cloned())
        .with_claims(user.claims.clone())
}
