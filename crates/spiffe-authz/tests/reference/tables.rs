//! Rules beside RPCs, the builder and YAML: three ways to write one policy, one answer to each request.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request};
use spiffe_authz::axum::{GuardedService, Router};
use spiffe_authz::grpc::{Permit, RpcRule, ServiceRules};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::{Policy, PolicyBuilder, PolicyRule, Query};
use spiffe_peer::parse;
use tonic::server::NamedService;
use tower::{Layer, Service, ServiceExt};

use crate::agreement::seed;
use crate::random::Random;

const SERVICE: &str = "shop.v1.Orders";
const RPCS: [&str; 4] = ["Create", "List", "Show", "Cancel"];
const PATTERNS: [&str; 6] = [
    "spiffe://example.org/a",
    "spiffe://example.org/b",
    "spiffe://example.org/*",
    "spiffe://example.org/ns/{name}/c",
    "spiffe://example.org/ns/**",
    "spiffe://partner.example/**",
];
const PRINCIPALS: [(&str, &str); 2] = [
    ("first", "spiffe://example.org/a"),
    ("shops", "spiffe://example.org/ns/shop/**"),
];
const PEERS: [&str; 6] = [
    "spiffe://example.org/a",
    "spiffe://example.org/b",
    "spiffe://example.org/ns/shop/c",
    "spiffe://example.org/ns/shop",
    "spiffe://partner.example/a",
    "spiffe://other.example/a",
];

/// Answers everything.
#[derive(Clone)]
struct Open;

impl NamedService for Open {
    const NAME: &'static str = SERVICE;
}

impl Service<Request<tonic::body::Body>> for Open {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<tonic::body::Body>) -> Self::Future {
        ready(Ok(http::Response::default()))
    }
}

/// One policy, before it is written in any of the ways.
struct Written {
    /// The rules beside the RPCs; not every RPC has one.
    rpcs: Vec<RpcRule>,
    /// What the policy says of those that are left to it: the RPC, and a pattern.
    left: Vec<(&'static str, &'static str)>,
    /// Whom the policy keeps out: the RPC, and a pattern.
    denied: Vec<(&'static str, &'static str)>,
}

impl Written {
    fn new(random: &mut Random) -> Self {
        let mut written = Self {
            rpcs: Vec::new(),
            left: Vec::new(),
            denied: Vec::new(),
        };
        for rpc in RPCS {
            if random.percent(15) {
                continue;
            }
            let permit = match random.below(8) {
                0 => Permit::Anyone { because: "a test" },
                1 => Permit::Authenticated { because: "a test" },
                2 | 3 => {
                    written.left.push((rpc, random.one_of(&PATTERNS)));
                    Permit::Policy
                }
                _ => callers(random),
            };
            written.rpcs.push(RpcRule::new(rpc, permit));
            if random.percent(25) {
                written.denied.push((rpc, random.one_of(&PATTERNS)));
            }
        }
        written
    }

    fn guarded(&self) -> GuardedService {
        let table = ServiceRules::new(SERVICE, self.rpcs.clone().leak());
        let mut policy = head();
        for (name, allowed, rpc, pattern) in self.in_the_policy() {
            policy = policy.rule(match allowed {
                true => PolicyRule::allow(&name, [action(rpc)]).from([pattern]),
                false => PolicyRule::deny(&name, [action(rpc)]).from([pattern]),
            });
        }
        let policy = policy.build().unwrap();
        Router::<()>::new().grpc(Open, table).bind(policy).unwrap()
    }

    fn built(&self) -> Policy {
        let mut policy = head();
        for rule in &self.rpcs {
            let built = PolicyRule::allow(rule.rpc(), [action(rule.rpc())]);
            let built = match rule.permit() {
                Permit::Callers { ids, principals } => built.from(ids.iter().chain(principals)),
                Permit::Authenticated { because } => built.from_authenticated().because(because),
                Permit::Anyone { because } => built.from_anyone().because(because),
                Permit::Policy => continue,
            };
            policy = policy.rule(built);
        }
        for (name, allowed, rpc, pattern) in self.in_the_policy() {
            policy = policy.rule(match allowed {
                true => PolicyRule::allow(&name, [action(rpc)]).from([pattern]),
                false => PolicyRule::deny(&name, [action(rpc)]).from([pattern]),
            });
        }
        policy.build().unwrap()
    }

    fn yaml(&self) -> String {
        let mut text = String::from(
            "version: 1\nname: shop\ntrust_domains: { example.org: {}, partner.example: {} }\nprincipals:\n",
        );
        for (name, pattern) in PRINCIPALS {
            text.push_str(&format!("  {name}: \"{pattern}\"\n"));
        }
        text.push_str("rules:\n  []\n");
        let mut rules = Vec::new();
        for rule in &self.rpcs {
            let from = match rule.permit() {
                Permit::Callers { ids, principals } => {
                    let all: Vec<_> = ids.iter().chain(principals).collect();
                    format!("{all:?}")
                }
                Permit::Authenticated { because } => format!("authenticated, because: {because}"),
                Permit::Anyone { because } => format!("anyone, because: {because}"),
                Permit::Policy => continue,
            };
            let (name, action) = (rule.rpc(), action(rule.rpc()));
            rules.push(format!(
                "{{ name: {name}, allow: [\"{action}\"], from: {from} }}"
            ));
        }
        for (name, allowed, rpc, pattern) in self.in_the_policy() {
            let effect = if allowed { "allow" } else { "deny" };
            let action = action(rpc);
            rules.push(format!(
                "{{ name: {name}, {effect}: [\"{action}\"], from: [\"{pattern}\"] }}"
            ));
        }
        if !rules.is_empty() {
            text.truncate(text.len() - "  []\n".len());
        }
        for rule in rules {
            text.push_str(&format!("  - {rule}\n"));
        }
        text
    }

    /// Name, whether it allows, RPC and pattern of each rule that stands in no table.
    fn in_the_policy(&self) -> impl Iterator<Item = (String, bool, &'static str, &'static str)> {
        let left = self.left.iter().map(|(rpc, from)| (true, *rpc, *from));
        let denied = self.denied.iter().map(|(rpc, from)| (false, *rpc, *from));
        let all = left.chain(denied).enumerate();
        all.map(|(number, (allowed, rpc, from))| (format!("policy-{number}"), allowed, rpc, from))
    }
}

fn callers(random: &mut Random) -> Permit {
    let mut ids = Vec::new();
    let mut principals = Vec::new();
    for _ in 0..random.between(1, 3) {
        if random.percent(25) {
            principals.push(random.item(&PRINCIPALS).0);
        } else {
            ids.push(random.one_of(&PATTERNS));
        }
    }
    Permit::Callers {
        ids: ids.leak(),
        principals: principals.leak(),
    }
}

fn head() -> PolicyBuilder {
    let policy = Policy::builder("shop")
        .trust_domain("example.org")
        .trust_domain("partner.example");
    PRINCIPALS
        .into_iter()
        .fold(policy, |policy, (name, pattern)| {
            policy.principal(name, [pattern])
        })
}

fn action(rpc: &str) -> String {
    format!("grpc {SERVICE}/{rpc}")
}

fn decided(policy: &Policy, peer: Option<&str>, path: &str) -> u16 {
    let headers = HeaderMap::new();
    let id = peer.map(|peer| parse::workload_id(peer).unwrap());
    let mut query = Query::new(&Method::POST, path, &headers);
    if let Some(id) = &id {
        query = query.peer(id);
    }
    policy.decide(&query).status()
}

async fn answered(app: &GuardedService, peer: Option<&str>, path: &str) -> u16 {
    let request = Request::post(path).body(axum::body::Body::empty()).unwrap();
    let response = match peer {
        Some(peer) => {
            MockPeer::id(peer)
                .unwrap()
                .layer(app.clone())
                .oneshot(request)
                .await
        }
        None => app.clone().oneshot(request).await,
    };
    response.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_table_the_builder_and_a_file_decide_alike() {
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for number in 0..400 {
        let mut random = Random::new(seed().wrapping_add(number));
        let written = Written::new(&mut random);
        let guarded = written.guarded();
        let built = written.built();
        let text = written.yaml();
        let file = Policy::from_yaml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for rpc in RPCS.into_iter().chain(["Nothing"]) {
            let path = format!("/{SERVICE}/{rpc}");
            for peer in PEERS.into_iter().map(Some).chain([None]) {
                let three = [
                    answered(&guarded, peer, &path).await,
                    decided(&built, peer, &path),
                    decided(&file, peer, &path),
                ];
                *seen.entry(three[0]).or_default() += 1;
                assert!(
                    three.iter().all(|status| *status == three[0]),
                    "SPIFFE_AUTHZ_SEED={} shows it: table, builder and file say {three:?} to {peer:?} at {path}\n{text}",
                    seed().wrapping_add(number)
                );
            }
        }
    }
    println!("{seen:?}");
    let often = [200, 401, 403].map(|status| seen.get(&status).copied().unwrap_or_default());
    assert!(often.iter().all(|times| *times > 500), "{seen:?}");
    assert_eq!(often.iter().sum::<usize>(), 400 * 5 * 7);
}
