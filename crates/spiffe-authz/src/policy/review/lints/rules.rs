//! Rules: their methods, their conditions, their users and their ends.

use super::{Survey, harmless, named};
use crate::policy::model::{Binding, Effect, Methods, RuleModel, UserDemand};
use crate::policy::review::conditions;

impl Survey<'_> {
    pub(super) fn rules(&mut self) {
        let model = self.model;
        let mut trusting: Vec<Option<&RuleModel>> = vec![None; model.users.len()];
        for rule in &model.rules {
            self.methods(rule);
            self.ends(rule);
            let reads_user = self.condition(rule);
            for (index, first) in trusting.iter_mut().enumerate() {
                if first.is_none() && trusts(rule, reads_user, index) {
                    *first = Some(rule);
                }
            }
        }
        for (source, rule) in model.users.iter().zip(trusting) {
            if let Some(rule) = rule.filter(|_| source.bound_to == Binding::None) {
                let message = format!(
                    "tokens of `{}` are bound to no workload, so that whoever has seen one can call with it where {} trusts it: write `bound_to: actor`, `azp` or `cnf`",
                    harmless(&source.name),
                    named(rule)
                );
                self.about_rule("unbound-user", rule, source.at, message);
            }
        }
    }

    fn methods(&mut self, rule: &RuleModel) {
        for action in &rule.actions {
            let Methods::These(methods) = &action.methods else {
                continue;
            };
            let lower = methods.iter().find(|method| {
                method
                    .as_str()
                    .bytes()
                    .any(|byte| byte.is_ascii_lowercase())
            });
            if let Some(method) = lower {
                let upper = method.as_str().to_ascii_uppercase();
                let message = format!(
                    "methods are compared as they are, and no `{upper}` is a `{method}`: write `{upper}`"
                );
                self.about_rule("lower-case-method", rule, action.at, message);
            }
        }
    }

    fn ends(&mut self, rule: &RuleModel) {
        let name = harmless(&rule.name);
        if rule.shadow && rule.expires.is_none() {
            let message = match rule.effect {
                Effect::Allow => format!(
                    "`{name}` is in shadow without an end: give it `expires`, and enforce it or take it out by then"
                ),
                Effect::Deny => format!(
                    "`{name}` is in shadow, and a deny has no end of its own: enforce it as soon as its records are as expected, or take it out"
                ),
            };
            self.about_rule("endless-shadow", rule, rule.at, message);
        }
        if rule.expires.is_some_and(|end| end <= self.at) {
            let message = format!(
                "`{name}` has ended and allows nothing any more: renew `expires`, or take it out"
            );
            self.about_rule("expired", rule, rule.at, message);
        }
    }

    /// Looks at the condition, and says whether it reads the end user.
    fn condition(&mut self, rule: &RuleModel) -> bool {
        let (Some(source), Some(condition)) = (&rule.when, conditions::compile(self.model, rule))
        else {
            return false;
        };
        if rule.effect == Effect::Deny {
            for header in condition.headers_read_without_test() {
                let message = format!(
                    "a request without the header `{header}` makes the condition fail, and an error in a deny denies: write `\"{header}\" in request.headers && ..`"
                );
                self.about_rule("untested-header", rule, source.at, message);
            }
        }
        for text in condition.unanchored_matches() {
            let text = harmless(text);
            let message = format!(
                "`matches` is a search, and `{text}` is found in longer texts as well: write `^(?:{text})$`"
            );
            self.about_rule("unanchored-matches", rule, source.at, message);
        }
        condition.reads_user()
    }
}

/// Whether a rule relies on what tokens of an issuer say.
fn trusts(rule: &RuleModel, reads_user: bool, issuer: usize) -> bool {
    match &rule.user {
        Some(UserDemand::Absent) => false,
        Some(UserDemand::Like(like)) => like.issuer.is_none_or(|wanted| wanted == issuer),
        Some(UserDemand::Required) => true,
        None => reads_user,
    }
}
