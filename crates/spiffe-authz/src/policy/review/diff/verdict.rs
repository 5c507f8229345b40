//! What a policy says of a caller and a request line, without the rest of the request.

use std::collections::BTreeSet;
use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::policy::model::{Binding, Effect, Model, RuleModel, UserDemand, UserSource};
use crate::policy::review::{conditions, harmless};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Deny,
    /// On these, in words.
    Depends(BTreeSet<String>),
}

impl Verdict {
    pub(super) fn is_allowed(&self) -> Option<bool> {
        match self {
            Self::Allow => Some(true),
            Self::Deny => Some(false),
            Self::Depends(_) => None,
        }
    }

    /// Weighs rules that meet caller and request line: the effect of each, and what else it asks for.
    pub(super) fn of<'a>(rules: impl Iterator<Item = (Effect, &'a Option<String>)>) -> Self {
        let mut allows = false;
        let mut depends = BTreeSet::new();
        let mut may_allow = false;
        let mut may_deny = false;
        for (effect, asks) in rules {
            match (effect, asks) {
                (Effect::Deny, None) => return Self::Deny,
                (Effect::Allow, None) => allows = true,
                (Effect::Deny, Some(asks)) => {
                    may_deny = true;
                    depends.insert(format!("denied {asks}"));
                }
                (Effect::Allow, Some(asks)) => {
                    may_allow = true;
                    depends.insert(format!("allowed {asks}"));
                }
            }
        }
        match (allows, may_allow, may_deny) {
            (true, _, false) => Self::Allow,
            (true, ..) => {
                depends.retain(|text| text.starts_with("denied"));
                depends.insert("else allowed".to_owned());
                Self::Depends(depends)
            }
            (false, true, _) => Self::Depends(depends),
            (false, false, _) => Self::Deny,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Deny => f.write_str("deny"),
            Self::Depends(on) => {
                let on: Vec<_> = on.iter().map(String::as_str).collect();
                write!(f, "depends ({})", on.join("; "))
            }
        }
    }
}

/// What a rule asks for beside caller and request line, if anything: equal texts ask for the same.
pub(super) fn asks(model: &Model, rule: &RuleModel) -> Option<String> {
    let mut asks = Vec::new();
    if let Some(demand) = &rule.user {
        asks.push(user(model, demand));
    }
    if let Some(when) = &rule.when {
        let mut text = format!("if `{}`", harmless(&when.text));
        let condition = conditions::compile(model, rule);
        // What a name stands for is in the patterns.
        if condition
            .as_ref()
            .is_none_or(|condition| condition.reads_path())
        {
            let actions: BTreeSet<_> = rule
                .actions
                .iter()
                .map(|action| harmless(&action.text))
                .collect();
            text.push_str(&format!(" at {}", joined(actions)));
        }
        if condition
            .as_ref()
            .is_none_or(|condition| condition.reads_id())
        {
            let patterns = crate::policy::review::callers::patterns(model, &rule.from);
            let patterns: BTreeSet<_> = patterns.iter().map(ToString::to_string).collect();
            text.push_str(&format!(" from {}", joined(patterns)));
        }
        asks.push(text);
    }
    if let Some(end) = rule.expires {
        let end = OffsetDateTime::from(end).format(&Rfc3339);
        asks.push(format!("until {}", end.unwrap_or_default()));
    }
    (!asks.is_empty()).then(|| asks.join(", "))
}

fn joined(texts: BTreeSet<String>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(" and ")
}

fn user(model: &Model, demand: &UserDemand) -> String {
    let like = match demand {
        UserDemand::Required => return "with an end user".to_owned(),
        UserDemand::Absent => return "without an end user".to_owned(),
        UserDemand::Like(like) => like,
    };
    let mut parts = Vec::new();
    if let Some(source) = like.issuer.and_then(|issuer| model.users.get(issuer)) {
        parts.push(format!("of {}", of_source(source)));
    }
    if let Some(subject) = &like.subject {
        parts.push(format!("named `{}`", harmless(subject)));
    }
    let scopes: BTreeSet<_> = like.scopes.iter().collect();
    for scope in scopes {
        parts.push(format!("with the scope `{}`", harmless(scope)));
    }
    let claims: BTreeSet<_> = like
        .claims
        .iter()
        .map(|(name, value)| format!("`{}` = {}", harmless(name), harmless(&value.to_string())))
        .collect();
    for claim in claims {
        parts.push(format!("with the claim {claim}"));
    }
    format!("for an end user {}", parts.join(", "))
}

/// An issuer, and what makes a token of it good.
pub(super) fn of_source(source: &UserSource) -> String {
    let audiences: BTreeSet<_> = source
        .audiences
        .iter()
        .map(|audience| harmless(audience))
        .collect();
    let bound = match source.bound_to {
        Binding::Actor => "actor",
        Binding::Azp => "azp",
        Binding::Cnf => "cnf",
        Binding::None => "none",
    };
    let audiences = audiences.into_iter().collect::<Vec<_>>().join(" or ");
    format!(
        "{} for {audiences}, bound to {bound}",
        harmless(&source.issuer)
    )
}
