//! What a clause asks for and what it found, in words.

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::canonical;
use crate::policy::Policy;
use crate::policy::model::{Model, RuleModel, UserDemand, UserLike};
use crate::policy::query::Query;
use crate::policy::review::naive::{Clause, Judged, Look};
use crate::policy::review::{callers, harmless};

/// So many names of a list are shown; the rest are counted.
const SHOWN: usize = 4;

/// What the one word of the reason leaves out.
pub(super) fn detail(policy: &Policy, query: &Query<'_>, judged: &Judged) -> Option<String> {
    match judged.enforced.reason {
        "bad_request" => policy.decide(query).not_canonical().map(|why| why.to_string()),
        "bad_user" => Some(
            "the end user's token is of an issuer that the policy does not list, or for none of its audiences, or bound to another workload"
                .to_owned(),
        ),
        "condition_error" => {
            let look = judged.enforced.rule.and_then(|id| judged.looks.get(id))?;
            look.error.as_deref().map(harmless)
        }
        _ => None,
    }
}

pub(super) fn why(
    clause: Clause,
    model: &Model,
    rule: &RuleModel,
    look: &Look,
    query: &Query<'_>,
) -> String {
    let actions = || listed(rule.actions.iter().map(|action| action.text.as_str()));
    match clause {
        Clause::Method => format!("`{}` is not in {}", query.method, actions()),
        Clause::Path => format!(
            "`{}` does not meet {}",
            harmless(canonical::path_of(query.target())),
            actions()
        ),
        Clause::Caller => {
            let names = callers::names(model, &rule.from);
            let wanted = listed(names.iter().map(AsRef::as_ref));
            match query.peer.id() {
                Some(id) => format!("{id} is not of {wanted}"),
                None => format!("the request has no identity; wanted is {wanted}"),
            }
        }
        Clause::User => user(model, rule, query),
        Clause::When => {
            let text = rule.when.as_ref().map_or("", |when| when.text.as_str());
            match &look.error {
                Some(error) => format!("`{}` cannot be told: {}", harmless(text), harmless(error)),
                None => format!("`{}` is false", harmless(text)),
            }
        }
        Clause::Expired => match rule
            .expires
            .map(OffsetDateTime::from)
            .map(|end| end.format(&Rfc3339))
        {
            Some(Ok(end)) => format!("the rule ended at {end}"),
            _ => "the rule has ended".to_owned(),
        },
    }
}

/// What is demanded of the user and not there. What claims hold stays out.
fn user(model: &Model, rule: &RuleModel, query: &Query<'_>) -> String {
    let like = match (&rule.user, query.user.get()) {
        (Some(UserDemand::Absent), _) => return "the request has an end user".to_owned(),
        (_, None) => return "the request has no end user".to_owned(),
        (Some(UserDemand::Like(like)), Some(_)) => like,
        (_, Some(_)) => return "the end user is another".to_owned(),
    };
    let meets = |part: UserLike| UserDemand::Like(part).is_met(&model.users, query.user.get());
    let mut missing = Vec::new();
    if !meets(UserLike {
        issuer: like.issuer,
        ..UserLike::default()
    }) {
        let source = like.issuer.and_then(|issuer| model.users.get(issuer));
        missing.push(format!(
            "the issuer `{}`",
            harmless(source.map_or("", |source| &source.name))
        ));
    }
    if !meets(UserLike {
        subject: like.subject.clone(),
        ..UserLike::default()
    }) {
        missing.push("the subject".to_owned());
    }
    for scope in &like.scopes {
        if !meets(UserLike {
            scopes: vec![scope.clone()],
            ..UserLike::default()
        }) {
            missing.push(format!("the scope `{}`", harmless(scope)));
        }
    }
    for (name, wanted) in &like.claims {
        let claims = [(name.clone(), wanted.clone())].into_iter().collect();
        if !meets(UserLike {
            claims,
            ..UserLike::default()
        }) {
            missing.push(format!("the claim `{}`", harmless(name)));
        }
    }
    format!("the end user lacks {}", missing.join(", "))
}

fn listed<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut texts = texts.map(|text| format!("`{}`", harmless(text)));
    let mut shown = texts.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
    match texts.count() {
        0 => {}
        more => {
            let _ = write!(shown, " and {more} more");
        }
    }
    shown
}
