//! One policy, said to several engines in the way that suits each, and the requests that all of them
//! decide alike.
//!
//! Each engine begins with what a server has: a method and a path, and the caller of the connection in
//! whatever form suits the engine, found out before the clock starts. Making of that what the engine
//! asks for is part of the decision.

pub mod casbin;
pub mod cedar;
pub mod linear;
pub mod ours;
pub mod regorus;

use std::error::Error;
use std::hint::black_box;

/// Why an engine does not decide.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The trust domain of everybody.
const DOMAIN: &str = "spiffe://example.org";

/// So many callers are connected, or so many times one of them.
const CONNECTED: usize = 64;

/// So many requests of each kind are decided: allowed ones, and denied ones.
pub const EACH: usize = 208;

/// An engine with the policy and the requests in it.
pub trait Engine {
    /// Whether the request of that number may pass.
    ///
    /// # Errors
    ///
    /// Where the engine gives no answer.
    fn decide(&mut self, request: usize) -> Result<bool, Failure>;

    /// Decides so many requests from that one on, which come in turns.
    ///
    /// # Errors
    ///
    /// Where the engine gives no answer.
    fn decide_in_turn(&mut self, first: usize, decisions: usize) -> Result<(), Failure> {
        let mut request = first % (2 * EACH);
        for _ in 0..decisions {
            black_box(self.decide(black_box(request))?);
            request = if request + 1 == 2 * EACH {
                0
            } else {
                request + 1
            };
        }
        Ok(())
    }
}

/// One rule of the policy: it allows a caller a method on a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who may call.
    pub caller: Caller,
    /// With which method.
    pub method: &'static str,
    /// Which path.
    pub route: Route,
}

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// One workload, by its ID.
    Exact(String),
    /// Every workload below an ID, which ends without a slash.
    Below(String),
}

/// Which path may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// This one.
    Exact(String),
    /// This one, which ends with a slash, and one segment more, which is captured.
    AndOneSegment(String),
}

impl Caller {
    fn meets(&self, id: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == id,
            Self::Below(prefix) => id
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('/')),
        }
    }
}

impl Route {
    fn meets(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::AndOneSegment(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
        }
    }

    /// As most routers write it.
    fn template(&self) -> String {
        match self {
            Self::Exact(exact) => exact.clone(),
            Self::AndOneSegment(prefix) => format!("{prefix}{{id}}"),
        }
    }
}

impl Grant {
    fn meets(&self, request: &Asked) -> bool {
        self.method == request.method
            && self.caller.meets(&request.caller)
            && self.route.meets(&request.path)
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The ID of the caller.
    pub caller: String,
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
}

/// A policy of so many rules. Callers have two rules each, and so have paths; every fourth caller is a
/// pattern, every other path has a capture. Numbers are of one width, so that the paths of a large
/// policy are as long as those of a small one.
pub fn policy(rules: usize) -> Vec<Grant> {
    (0..rules)
        .map(|rule| {
            let route = rule.div_ceil(2);
            Grant {
                caller: caller(rule / 2),
                method: method(route),
                route: path(route),
            }
        })
        .collect()
}

fn caller(number: usize) -> Caller {
    if number % 4 == 3 {
        Caller::Below(format!("{DOMAIN}/ns/team-{number:04}"))
    } else {
        Caller::Exact(format!("{DOMAIN}/ns/shop/sa/service-{number:04}"))
    }
}

fn method(route: usize) -> &'static str {
    if route.is_multiple_of(3) {
        "POST"
    } else {
        "GET"
    }
}

fn path(number: usize) -> Route {
    let prefix = format!("/api/v1/things-{number:04}/");
    if number.is_multiple_of(2) {
        Route::AndOneSegment(prefix)
    } else {
        Route::Exact(prefix + "status")
    }
}

/// Requests to decide, [`EACH`] that the policy allows and as many that it denies, in turns.
pub fn requests(policy: &[Grant]) -> Vec<Asked> {
    let mut dice = Dice(0x5eed);
    let connected: Vec<_> = (0..CONNECTED)
        .map(|_| &policy[dice.below(policy.len())])
        .collect();
    let (mut allowed, mut denied) = (Vec::new(), Vec::new());
    while allowed.len() < EACH || denied.len() < EACH {
        let asked = ask(connected[dice.below(CONNECTED)], &mut dice);
        let kind = if policy.iter().any(|grant| grant.meets(&asked)) {
            &mut allowed
        } else {
            &mut denied
        };
        if kind.len() < EACH {
            kind.push(asked);
        }
    }
    let turns = allowed.into_iter().zip(denied);
    turns
        .flat_map(|(allowed, denied)| [allowed, denied])
        .collect()
}

/// A request that meets the grant, or misses it by one thing.
fn ask(grant: &Grant, dice: &mut Dice) -> Asked {
    let mut caller = match &grant.caller {
        Caller::Exact(exact) => exact.clone(),
        Caller::Below(prefix) => format!("{prefix}/sa/pod-{}", dice.below(4)),
    };
    let mut path = match &grant.route {
        Route::Exact(exact) => exact.clone(),
        Route::AndOneSegment(prefix) => format!("{prefix}{:06}", dice.below(1_000_000)),
    };
    let mut method = grant.method;
    match dice.below(10) {
        0 => caller = caller.replace("/sa/", "-evil/sa/"),
        1 => method = if method == "GET" { "POST" } else { "GET" },
        2 => path.push_str("/raw"),
        3 => path = path.replace("things-", "nothing-"),
        4 => caller.push('x'),
        _ => {}
    }
    Asked {
        caller,
        method,
        path,
    }
}

/// Throws the same numbers with every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}
