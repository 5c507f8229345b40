//! The same policy by way of the builder.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use spiffe_authz::policy::{Policy, PolicyRule};

use crate::policy::{self, Binding, Demand, Effect, From};
use crate::random::Random;

pub(crate) fn build(
    policy: &policy::Policy,
    own: &str,
    random: &mut Random,
) -> Result<Policy, String> {
    let mut builder = Policy::builder(&policy.name).own_trust_domain(own.parse().unwrap());
    if policy.shadow {
        builder = builder.shadow();
    }
    for domain in &policy.trust_domains {
        builder = match domain.federated {
            true => builder.federated(&domain.name),
            false => builder.trust_domain(&domain.name),
        };
    }
    for principal in &policy.principals {
        builder = builder.principal(&principal.name, &principal.patterns);
    }
    for source in &policy.users {
        let bound_to = match source.bound_to {
            Binding::Actor => "actor",
            Binding::Azp => "azp",
            Binding::Cnf => "cnf",
            Binding::None => "none",
        };
        builder = builder.user_issuer(&source.name, &source.issuer, &source.audiences, bound_to);
    }
    for one in &policy.rules {
        builder = builder.rule(rule(one, random));
    }
    builder.build().map_err(|error| error.to_string())
}

fn rule(rule: &policy::Rule, random: &mut Random) -> PolicyRule {
    let built = match rule.effect {
        Effect::Allow => PolicyRule::allow(&rule.name, &rule.actions),
        Effect::Deny => PolicyRule::deny(&rule.name, &rule.actions),
    };
    let mut built = match &rule.from {
        From::Anyone => built.from_anyone(),
        From::Authenticated => built.from_authenticated(),
        From::These(these) => built.from(these),
    };
    if let Some(demand) = &rule.user {
        built = built.user(self::demand(demand));
    }
    if let Some(when) = &rule.when {
        built = built.when(&when.text(random));
    }
    if let Some(because) = &rule.because {
        built = built.because(because);
    }
    if rule.shadow {
        built = built.shadow();
    }
    match rule.expires {
        Some(end) => built.expires(SystemTime::UNIX_EPOCH + Duration::from_secs(end)),
        None => built,
    }
}

fn demand(demand: &Demand) -> Value {
    match demand {
        Demand::Required => json!("required"),
        Demand::Absent => json!("absent"),
        Demand::Like {
            issuer,
            subject,
            scopes,
            claims,
        } => {
            let mut like = serde_json::Map::new();
            let mut say = |key: &str, value: Value| like.insert(key.to_owned(), value);
            if let Some(issuer) = issuer {
                say("issuer", json!(issuer));
            }
            if let Some(subject) = subject {
                say("subject", json!(subject));
            }
            if !scopes.is_empty() {
                say("scopes", json!(scopes));
            }
            if !claims.is_empty() {
                say("claims", json!(claims));
            }
            Value::Object(like)
        }
    }
}
