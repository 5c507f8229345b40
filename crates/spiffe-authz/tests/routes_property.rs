//! Random route sets: whatever axum serves, the guarded router serves to those alone whom the rule of
//! that very route lets in.

#![cfg(feature = "axum")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodFilter};
use http::{HeaderName, StatusCode};
use spiffe_authz::axum::{
    self as guarded, GuardedMethods, GuardedService, InvalidRouter, Unguarded, any_service,
};
use spiffe_authz::mock::MockPeer;
use spiffe_authz::policy::Policy;
use tower::{Layer, ServiceExt, service_fn};

const HANDLER: HeaderName = HeaderName::from_static("x-handler");
const SETS: usize = 250;
const REQUESTS: usize = 100;

/// SplitMix64: the same numbers every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let mut some: Vec<T> = of.iter().filter(|_| self.roll(2) == 0).cloned().collect();
        if some.is_empty() {
            some.push(self.one(of));
        }
        some
    }
}

const PEERS: [&str; 4] = [
    "spiffe://example.org/ns/a/sa/one",
    "spiffe://example.org/ns/a/sa/two",
    "spiffe://example.org/ns/b/sa/one",
    "spiffe://partner.example/ns/a/sa/one",
];

const METHODS: [&str; 5] = ["GET", "POST", "DELETE", "PUT", "HEAD"];

/// Who may call, as it is written at a route.
#[derive(Debug, Clone)]
enum Rule {
    Allow(Vec<&'static str>),
    AllowBut(Vec<&'static str>),
    Authenticated,
    Anyone,
    Policy,
}

impl Rule {
    fn roll(dice: &mut Dice, with_policy: bool) -> Self {
        match dice.roll(if with_policy { 8 } else { 5 }) {
            0 | 1 => Self::Allow(dice.some(&PEERS)),
            2 => Self::AllowBut(dice.some(&PEERS)),
            3 => Self::Authenticated,
            4 => Self::Anyone,
            _ => Self::Policy,
        }
    }

    fn at(&self, handler: Unguarded) -> GuardedMethods {
        match self {
            Self::Allow(peers) => handler.allow(peers.clone()),
            Self::AllowBut(but) => handler
                .allow(["spiffe://example.org/**", "spiffe://partner.example/**"])
                .deny(but.clone()),
            Self::Authenticated => handler.authenticated("a test"),
            Self::Anyone => handler.anyone("a test"),
            Self::Policy => handler.policy(),
        }
    }

    /// What it says of a peer; nothing where it leaves that to the policy.
    fn lets(&self, peer: Option<&str>) -> Option<bool> {
        Some(match (self, peer) {
            (Self::Policy, _) => return None,
            (Self::Anyone, _) | (Self::Authenticated, Some(_)) => true,
            (Self::Allow(peers), Some(peer)) => peers.contains(&peer),
            (Self::AllowBut(peers), Some(peer)) => !peers.contains(&peer),
            (_, None) => false,
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Place {
    Root,
    Merged,
    Nested(String),
    Mount,
    Fallback,
}

#[derive(Debug, Clone)]
struct Entry {
    place: Place,
    /// Within its place.
    path: String,
    /// `None` is every method.
    method: Option<&'static str>,
    rule: Rule,
    name: String,
}

impl Entry {
    fn whole_path(&self) -> String {
        match &self.place {
            Place::Nested(prefix) if self.path == "/" => prefix.clone(),
            Place::Nested(prefix) => format!("{prefix}{}", self.path),
            Place::Mount => format!("{}/{{*rest}}", self.path),
            Place::Fallback => "/{*rest}".to_owned(),
            Place::Root | Place::Merged => self.path.clone(),
        }
    }
}

/// A path whose captures are named by where they stand, as the router demands.
fn template(dice: &mut Dice, from: usize, may_be_open: bool) -> String {
    let mut path = String::new();
    let depth = dice.roll(3) + usize::from(!may_be_open);
    for position in from..from + depth {
        match dice.roll(6) {
            0 | 1 => path.push_str("/a"),
            2 => path.push_str("/b"),
            3 => path.push_str("/c"),
            _ => path.push_str(&format!("/{{p{position}}}")),
        }
    }
    if may_be_open && dice.roll(4) == 0 {
        path.push_str("/{*rest}");
    }
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

/// Entries of which no two claim one request with equal right.
fn routes(dice: &mut Dice, with_policy: bool) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let prefix = template(dice, 0, false);
    let nested_from = prefix.matches('/').count();
    for number in 0..dice.roll(10) + 3 {
        let place = match dice.roll(12) {
            0..4 => Place::Root,
            4..6 => Place::Merged,
            6..9 => Place::Nested(prefix.clone()),
            9..11 => Place::Mount,
            _ => Place::Fallback,
        };
        let from = if matches!(place, Place::Nested(_)) {
            nested_from
        } else {
            0
        };
        let entry = Entry {
            path: template(dice, from, place != Place::Mount),
            method: match dice.roll(4) {
                _ if place == Place::Mount || place == Place::Fallback => None,
                0 => None,
                _ => Some(dice.one(&METHODS)),
            },
            rule: Rule::roll(dice, with_policy),
            name: format!("{number}-{place:?}"),
            place,
        };
        let open = entries.iter().chain([&entry]).map(|entry| Entry {
            rule: Rule::Anyone,
            ..entry.clone()
        });
        if build_guarded(&open.collect::<Vec<_>>(), None).is_ok() {
            entries.push(entry);
        }
    }
    entries
}

macro_rules! handler {
    ($name:expr) => {{
        let name: String = $name.clone();
        move || {
            let name = name.clone();
            async move { ([(HANDLER, name)], "").into_response() }
        }
    }};
}

macro_rules! service {
    ($name:expr) => {{
        let name: String = $name.clone();
        service_fn(move |_: Request| {
            let name = name.clone();
            async move { Ok::<Response, Infallible>(([(HANDLER, name)], "").into_response()) }
        })
    }};
}

fn build_axum(entries: &[Entry]) -> axum::Router {
    let mut nested: BTreeMap<&str, axum::Router> = BTreeMap::new();
    let (mut app, mut merged) = (axum::Router::new(), axum::Router::new());
    for entry in entries {
        let handler = match entry.method {
            None => routing::any(handler!(entry.name)),
            Some(method) => {
                let filter = MethodFilter::try_from(http::Method::try_from(method).unwrap());
                routing::on(filter.unwrap(), handler!(entry.name))
            }
        };
        match &entry.place {
            Place::Root => app = app.route(&entry.path, handler),
            Place::Merged => merged = merged.route(&entry.path, handler),
            Place::Nested(prefix) => {
                let router = nested.remove(prefix.as_str()).unwrap_or_default();
                nested.insert(prefix, router.route(&entry.path, handler));
            }
            Place::Mount => app = app.nest_service(&entry.path, service!(entry.name)),
            Place::Fallback => app = app.fallback_service(service!(entry.name)),
        }
    }
    for (prefix, router) in nested {
        app = app.nest(prefix, router);
    }
    app.merge(merged)
}

fn build_guarded(
    entries: &[Entry],
    policy: Option<&Policy>,
) -> Result<GuardedService, InvalidRouter> {
    let mut nested: BTreeMap<&str, guarded::Router> = BTreeMap::new();
    let (mut app, mut merged) = (guarded::Router::new(), guarded::Router::new());
    for entry in entries {
        let handler = match entry.method {
            None => guarded::any(handler!(entry.name)),
            Some("GET") => guarded::get(handler!(entry.name)),
            Some("POST") => guarded::post(handler!(entry.name)),
            Some("DELETE") => guarded::delete(handler!(entry.name)),
            Some("PUT") => guarded::put(handler!(entry.name)),
            Some(_) => guarded::head(handler!(entry.name)),
        };
        let service = || entry.rule.at(any_service(service!(entry.name)));
        match &entry.place {
            Place::Root => app = app.route(&entry.path, entry.rule.at(handler)),
            Place::Merged => merged = merged.route(&entry.path, entry.rule.at(handler)),
            Place::Nested(prefix) => {
                let router = nested.remove(prefix.as_str()).unwrap_or_default();
                nested.insert(prefix, router.route(&entry.path, entry.rule.at(handler)));
            }
            Place::Mount => app = app.service(&entry.path, service()),
            Place::Fallback => app = app.fallback(service()),
        }
    }
    for (prefix, router) in nested {
        app = app.nest(prefix, router);
    }
    let app = app.merge(merged);
    match policy {
        None => app.build(),
        Some(policy) => app.bind(policy.clone()),
    }
}

struct Asked {
    method: &'static str,
    path: String,
    peer: Option<&'static str>,
}

fn request(dice: &mut Dice) -> Asked {
    let mut path = String::new();
    for _ in 0..dice.roll(5) {
        path.push('/');
        path.push_str(dice.one::<&str>(&["a", "a", "b", "c", "z", "x%20y"]));
    }
    Asked {
        method: dice.one(&[
            "GET", "GET", "POST", "DELETE", "PUT", "HEAD", "BREW", "OPTIONS",
        ]),
        path: if path.is_empty() {
            "/".to_owned()
        } else {
            path
        },
        peer: match dice.roll(5) {
            0 => None,
            at => Some(PEERS[at - 1]),
        },
    }
}

impl Asked {
    fn request(&self) -> Request {
        Request::builder()
            .method(self.method)
            .uri(&self.path)
            .body(Body::empty())
            .unwrap()
    }

    async fn of(&self, app: &GuardedService) -> (StatusCode, Option<String>) {
        let response = match self.peer {
            Some(id) => {
                let peer = MockPeer::id(id).unwrap();
                peer.layer(app.clone()).oneshot(self.request()).await
            }
            None => app.clone().oneshot(self.request()).await,
        };
        told(response.unwrap())
    }

    fn refused(&self) -> StatusCode {
        match self.peer {
            Some(_) => StatusCode::FORBIDDEN,
            None => StatusCode::UNAUTHORIZED,
        }
    }
}

fn told(response: Response) -> (StatusCode, Option<String>) {
    let handler = response.headers().get(HANDLER);
    let handler = handler.map(|name| name.to_str().unwrap().to_owned());
    (response.status(), handler)
}

/// How often each thing has happened: a property over nothing holds always.
#[derive(Debug, Default)]
struct Tally {
    served: usize,
    denied: usize,
    unrouted: usize,
    kept_out: usize,
    by_policy: usize,
}

#[tokio::test]
async fn each_route_obeys_its_own_rule_alone() {
    let mut dice = Dice(5);
    let mut tally = Tally::default();
    for set in 0..SETS {
        let entries = routes(&mut dice, false);
        let (plain, app) = (build_axum(&entries), build_guarded(&entries, None).unwrap());
        for _ in 0..REQUESTS {
            let asked = request(&mut dice);
            let (status, handler) = told(plain.clone().oneshot(asked.request()).await.unwrap());
            let found = handler
                .as_ref()
                .map(|name| entries.iter().find(|entry| entry.name == *name).unwrap());
            let place = format!(
                "set {set}: {} {} of {:?} in {entries:#?}",
                asked.method, asked.path, asked.peer
            );
            let got = asked.of(&app).await;
            match found {
                Some(entry) if entry.rule.lets(asked.peer).unwrap() => {
                    tally.served += 1;
                    assert_eq!(got, (status, handler), "{place}");
                }
                Some(_) => {
                    tally.denied += 1;
                    assert_eq!(got, (asked.refused(), None), "{place}");
                }
                None => {
                    tally.unrouted += 1;
                    assert_eq!(got, (asked.refused(), None), "{place}");
                }
            }
        }
    }
    let asked = tally.served + tally.denied + tally.unrouted;
    assert!(asked >= 20_000, "{tally:?}");
    for count in [tally.served, tally.denied, tally.unrouted] {
        assert!(count > 1000, "{tally:?}");
    }
}

/// A rule of a file, as plain data.
#[derive(Debug)]
struct Said {
    allows: bool,
    method: &'static str,
    pattern: String,
    peers: Vec<&'static str>,
}

impl Said {
    /// A rule that meets this route at least.
    fn of(dice: &mut Dice, entry: &Entry, allows: bool) -> Self {
        let widens = dice.roll(3) == 0;
        let mut pattern = String::new();
        for segment in entry.whole_path().split('/').skip(1) {
            match segment {
                "" => {}
                _ if segment.starts_with("{*") => pattern.push_str("/**"),
                _ if segment.starts_with('{') || (widens && dice.roll(2) == 0) => {
                    pattern.push_str("/*");
                }
                _ => pattern.push_str(&format!("/{segment}")),
            }
        }
        if !pattern.ends_with("/**") && (widens || pattern.is_empty()) && dice.roll(3) == 0 {
            pattern.push_str("/**");
        }
        if pattern.is_empty() {
            pattern.push('/');
        }
        Self {
            allows,
            method: match entry.method {
                Some(method) if dice.roll(2) == 0 => method,
                _ => "*",
            },
            pattern,
            peers: dice.some(&PEERS),
        }
    }

    fn meets(&self, asked: &Asked) -> bool {
        let method = self.method == "*"
            || self.method == asked.method
            || (self.method == "GET" && asked.method == "HEAD");
        method
            && asked.peer.is_some_and(|peer| self.peers.contains(&peer))
            && meets(&self.pattern, &asked.path)
    }

    fn yaml(&self, number: usize) -> String {
        format!(
            "  - {{ name: r{number}, {}: [\"{} {}\"], from: {:?} }}\n",
            if self.allows { "allow" } else { "deny" },
            self.method,
            self.pattern,
            self.peers,
        )
    }
}

fn meets(pattern: &str, path: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix("/**") {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let parts = |text: &str| -> Vec<String> {
        text.split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (pattern, path) = (parts(pattern), parts(path));
    (pattern.len() == path.len() || (open && pattern.len() < path.len()))
        && pattern
            .iter()
            .zip(&path)
            .all(|(said, part)| said == "*" || said == part)
}

#[tokio::test]
async fn a_file_never_opens_a_route_of_code_and_always_keeps_out() {
    let mut dice = Dice(55);
    let mut tally = Tally::default();
    for set in 0..SETS {
        let entries = routes(&mut dice, true);
        let mut said = Vec::new();
        for entry in &entries {
            if matches!(entry.rule, Rule::Policy) {
                // What is left to the policy has to be covered by it, in every shape that it has.
                said.push(Said {
                    method: "*",
                    ..Said::of(&mut dice, entry, true)
                });
                if matches!(entry.place, Place::Fallback) {
                    said.push(Said {
                        allows: true,
                        method: "*",
                        pattern: "/".to_owned(),
                        peers: dice.some(&PEERS),
                    });
                }
            }
            match dice.roll(4) {
                0 => said.push(Said::of(&mut dice, entry, true)),
                1 => said.push(Said::of(&mut dice, entry, false)),
                _ => {}
            }
        }
        let mut yaml = String::from(
            "version: 1\nname: random\ntrust_domains: { example.org: {}, partner.example: {} }\nrules:\n",
        );
        for (number, said) in said.iter().enumerate() {
            yaml.push_str(&said.yaml(number));
        }
        if said.is_empty() {
            yaml.push_str("  []\n");
        }
        let policy = Policy::from_yaml(&yaml).unwrap();
        let app = match build_guarded(&entries, Some(&policy)) {
            Ok(app) => app,
            Err(error) => panic!("set {set}: {error}\n{yaml}\n{entries:#?}"),
        };
        let plain = build_axum(&entries);
        for _ in 0..REQUESTS {
            let asked = request(&mut dice);
            let (status, handler) = told(plain.clone().oneshot(asked.request()).await.unwrap());
            let found = handler
                .as_ref()
                .map(|name| entries.iter().find(|entry| entry.name == *name).unwrap());
            let denied = said.iter().any(|said| !said.allows && said.meets(&asked));
            let allowed = !denied && said.iter().any(|said| said.allows && said.meets(&asked));
            let in_code = found.and_then(|entry| entry.rule.lets(asked.peer));
            let passes = in_code.map_or(allowed, |lets| lets && !denied);
            let place = format!(
                "set {set}: {} {} of {:?}\n{yaml}\n{entries:#?}",
                asked.method, asked.path, asked.peer
            );
            let got = asked.of(&app).await;
            match (passes, found) {
                (false, _) => {
                    tally.denied += 1;
                    tally.kept_out += usize::from(denied && in_code == Some(true));
                    assert_eq!(got, (asked.refused(), None), "{place}");
                }
                (true, Some(_)) => {
                    tally.served += 1;
                    tally.by_policy += usize::from(in_code.is_none());
                    assert_eq!(got, (status, handler), "{place}");
                }
                // What the policy allows though nothing is there: nothing is served.
                (true, None) => {
                    tally.unrouted += 1;
                    assert_eq!(got, (status, None), "{place}");
                }
            }
        }
    }
    let Tally {
        served,
        denied,
        unrouted,
        kept_out,
        by_policy,
    } = tally;
    for count in [served, denied, unrouted, kept_out, by_policy] {
        assert!(
            count > 200,
            "{served} {denied} {unrouted} {kept_out} {by_policy}"
        );
    }
}
