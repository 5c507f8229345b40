//! Short ways to write a policy and a request.

use serde_json::{Map, Value};

use crate::expression::{Expression, Term};
use crate::policy::{
    Binding, Demand, Effect, From, Policy, Principal, Request, Rule, TrustDomain, User, UserSource,
};

pub(super) const NOON: u64 = 1_781_524_800;

pub(super) const CASE_API: &str = "spiffe://prod.example/ns/case/sa/case-api";

pub(super) fn policy(rules: Vec<Rule>) -> Policy {
    let trust_domain = |name: &str, federated| TrustDomain {
        name: name.to_owned(),
        federated,
    };
    let principal = |name: &str, patterns: &[&str]| Principal {
        name: name.to_owned(),
        patterns: texts(patterns),
    };
    Policy {
        name: "document-api".to_owned(),
        shadow: false,
        trust_domains: vec![
            trust_domain("prod.example", false),
            trust_domain("staging.example", false),
            trust_domain("regulator.example", true),
        ],
        principals: vec![
            principal("case-api", &[CASE_API]),
            principal(
                "retention",
                &["spiffe://prod.example/ns/retention/sa/retention-worker"],
            ),
            principal("staging", &["spiffe://staging.example/**"]),
            principal(
                "partner",
                &["spiffe://regulator.example/office/{office}/client"],
            ),
        ],
        users: Vec::new(),
        rules,
    }
}

pub(super) fn with_users(bound_to: Binding, rules: Vec<Rule>) -> Policy {
    let staff = UserSource {
        name: "staff".to_owned(),
        issuer: "https://id.example.com".to_owned(),
        audiences: texts(&["document-api"]),
        bound_to,
    };
    Policy {
        users: vec![staff],
        ..policy(rules)
    }
}

pub(super) fn allow(name: &str, actions: &[&str]) -> Rule {
    Rule {
        name: name.to_owned(),
        effect: Effect::Allow,
        actions: texts(actions),
        from: From::Authenticated,
        user: None,
        when: None,
        because: Some("an example".to_owned()),
        shadow: false,
        expires: None,
    }
}

pub(super) fn deny(name: &str, actions: &[&str]) -> Rule {
    Rule {
        effect: Effect::Deny,
        because: None,
        ..allow(name, actions)
    }
}

impl Rule {
    pub(super) fn of(mut self, entries: &[&str]) -> Self {
        self.from = From::These(texts(entries));
        self.because = None;
        self
    }

    pub(super) fn of_anyone(mut self) -> Self {
        self.from = From::Anyone;
        self
    }

    pub(super) fn when(mut self, condition: Expression) -> Self {
        self.when = Some(condition);
        self
    }

    pub(super) fn user(mut self, demand: Demand) -> Self {
        self.user = Some(demand);
        self
    }

    pub(super) fn in_shadow(mut self) -> Self {
        self.shadow = true;
        self
    }

    pub(super) fn until(mut self, moment: u64) -> Self {
        self.expires = Some(moment);
        self
    }
}

/// `METHOD TARGET`, by the case API, at noon.
pub(super) fn request(line: &str) -> Request {
    let (method, target) = line.split_once(' ').unwrap();
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        authority: None,
        headers: Vec::new(),
        peer: Some(CASE_API.to_owned()),
        user: None,
        resource: None,
        at: NOON,
    }
}

impl Request {
    pub(super) fn by(mut self, peer: &str) -> Self {
        self.peer = Some(peer.to_owned());
        self
    }

    pub(super) fn by_nobody(mut self) -> Self {
        self.peer = None;
        self
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn resource(mut self, resource: Value) -> Self {
        self.resource = Some(resource);
        self
    }

    pub(super) fn user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    pub(super) fn at(mut self, moment: u64) -> Self {
        self.at = moment;
        self
    }
}

/// A member of staff, with a token that is meant for this service.
pub(super) fn ada(claims: Value) -> User {
    let mut all = Map::new();
    all.insert("aud".to_owned(), Value::from("document-api"));
    if let Value::Object(claims) = claims {
        all.extend(claims);
    }
    User {
        issuer: "https://id.example.com".to_owned(),
        subject: "ada".to_owned(),
        scopes: texts(&["read", "write"]),
        claims: all,
    }
}

pub(super) fn like(scopes: &[&str], claims: Value) -> Demand {
    Demand::Like {
        issuer: None,
        subject: None,
        scopes: texts(scopes),
        claims: match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        },
    }
}

pub(super) fn text(text: &str) -> Term {
    Term::Text(text.to_owned())
}

pub(super) fn resource(key: &str) -> Term {
    Term::Resource(vec![key.to_owned()])
}

pub(super) fn header_holds(name: &str, value: &str) -> Expression {
    Expression::In(text(value), Term::Header(name.to_owned()))
}

pub(super) fn and(left: Expression, right: Expression) -> Expression {
    Expression::And(Box::new(left), Box::new(right))
}

pub(super) fn or(left: Expression, right: Expression) -> Expression {
    Expression::Or(Box::new(left), Box::new(right))
}

pub(super) fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
