//! The rules of a policy.

use std::collections::HashMap;

use super::super::model::{Action, Effect, From, RuleModel, Source};
use super::callers::Known;
use super::fields::Fields;
use super::problems::{Problems, shown};
use super::tree::Value;
use super::users::Issuers;
use super::{actions, expires, value};

/// How many rules a policy may have.
pub(super) const MAX_RULES: usize = 100_000;

/// The longest expression, in bytes.
pub(super) const MAX_EXPRESSION: usize = 16 * 1024;

const KEYS: [&str; 9] = [
    "name", "allow", "deny", "from", "user", "when", "because", "shadow", "expires",
];

/// The lines in which the rules stand, by name.
pub(super) type Names = HashMap<String, u32>;

/// What rules can name.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) callers: Known,
    pub(super) issuers: Issuers,
}

impl Context {
    pub(super) fn rules(
        &self,
        value: Value<'_>,
        problems: &mut Problems,
    ) -> (Vec<RuleModel>, Names) {
        let mut rules = Vec::new();
        let mut names = Names::new();
        let Some(items) = value.as_list() else {
            let what = value::described(value);
            problems.add(
                value.at(),
                format!(
                    "{what} stands here; write a list of rules, or `rules: []` to deny everything"
                ),
            );
            return (rules, names);
        };
        if items.len() > MAX_RULES {
            let at = items.items().nth(MAX_RULES).map_or(value.at(), Value::at);
            problems.add(
                at,
                format!("a policy has at most {MAX_RULES} rules; split it"),
            );
            return (rules, names);
        }
        for item in items.items() {
            if problems.is_full() {
                break;
            }
            rules.extend(self.rule(item, &mut names, problems));
        }
        (rules, names)
    }

    fn rule(
        &self,
        value: Value<'_>,
        names: &mut Names,
        problems: &mut Problems,
    ) -> Option<RuleModel> {
        let fields = Fields::read(value, "a rule", &KEYS, problems)?;
        let name = name(&fields, names, problems);
        let effect = effect(&fields, problems);
        let example = "`from: [PRINCIPAL]`, `from: authenticated` or `from: anyone`";
        let from = fields
            .required("from", example, problems)
            .and_then(|from| self.callers.from(from, problems));
        let user = fields
            .get("user")
            .and_then(|user| self.issuers.demand(user, problems));
        let when = fields
            .get("when")
            .and_then(|when| expression(when, problems));
        let because = because(&fields, effect.as_ref(), from.as_ref(), problems);
        let shadow = fields
            .get("shadow")
            .and_then(|shadow| value::boolean(shadow, problems))
            .unwrap_or_default();
        let expires = fields.entry("expires").and_then(|entry| {
            if matches!(effect, Some((Effect::Deny, _))) {
                problems.add(
                    entry.at,
                    "a deny does not expire, for that would open what it closes; take the rule out when its time has come",
                );
            }
            expires::read(entry.value, problems)
        });
        let (effect, actions) = effect?;
        Some(RuleModel {
            name: name?,
            effect,
            actions,
            from: from?,
            user,
            when,
            because,
            shadow,
            expires,
            at: fields.at,
        })
    }
}

fn name(fields: &Fields<'_>, names: &mut Names, problems: &mut Problems) -> Option<String> {
    let value = fields.required(
        "name",
        "a name that no other rule has: `name: read-orders`",
        problems,
    )?;
    let name = value::name(value, "a name that no other rule has", problems)?;
    if let Some(line) = names.insert(name.to_owned(), fields.at.line) {
        let name = shown(name);
        problems.add(
            value.at(),
            format!("a rule in line {line} has the name `{name}` already; choose another"),
        );
    }
    Some(name.to_owned())
}

fn effect(fields: &Fields<'_>, problems: &mut Problems) -> Option<(Effect, Vec<Action>)> {
    let (effect, value) = match (fields.entry("allow"), fields.entry("deny")) {
        (Some(allow), None) => (Effect::Allow, allow.value),
        (None, Some(deny)) => (Effect::Deny, deny.value),
        (Some(allow), Some(deny)) => {
            let later = std::cmp::max_by_key(allow, deny, |entry| (entry.at.line, entry.at.column));
            problems.add(
                later.at,
                "a rule has one effect, and this one has `allow` and `deny`; make two rules of it",
            );
            // Both are read, so that what is wrong in them is told as well.
            actions::actions(allow.value, problems);
            actions::actions(deny.value, problems);
            return None;
        }
        (None, None) => {
            problems.add(
                fields.at,
                "a rule without an effect; write `allow: [\"GET /path\"]` or `deny: [\"* /path\"]`",
            );
            return None;
        }
    };
    actions::actions(value, problems).map(|actions| (effect, actions))
}

fn because(
    fields: &Fields<'_>,
    effect: Option<&(Effect, Vec<Action>)>,
    from: Option<&From>,
    problems: &mut Problems,
) -> Option<String> {
    const EXAMPLE: &str = "the reason in words";
    if let Some(value) = fields.get("because") {
        return value::text(value, EXAMPLE, problems).map(str::to_owned);
    }
    let word = match (effect, from) {
        (Some((Effect::Allow, _)), Some(From::Anyone)) => "anyone",
        (Some((Effect::Allow, _)), Some(From::Authenticated)) => "authenticated",
        _ => return None,
    };
    problems.add(
        fields.at,
        format!("an allow `from: {word}` without `because`; write {EXAMPLE}: `because: probes carry no SVID`"),
    );
    None
}

/// An expression, not compiled. A plain scalar is taken as it is written: `true` is one.
fn expression(value: Value<'_>, problems: &mut Problems) -> Option<Source> {
    const EXAMPLE: &str = "an expression, such as `path.office == id.office`";
    let text = match value.as_written() {
        Some(written) if !value.is_null() && !written.trim().is_empty() => written,
        _ => value::text(value, EXAMPLE, problems)?,
    };
    if text.len() > MAX_EXPRESSION {
        problems.add(
            value.at(),
            format!(
                "the expression has {} bytes, and {MAX_EXPRESSION} (16 KiB) are allowed; make several rules of it",
                text.len()
            ),
        );
        return None;
    }
    Some(Source {
        text: text.to_owned(),
        at: value.text_at(),
    })
}
