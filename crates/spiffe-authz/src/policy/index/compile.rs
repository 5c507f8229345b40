//! From what a policy says to its index.

use std::collections::BTreeMap;

use spiffe_peer::{IdPattern, TrustDomain};

use super::actions::{ActionsBuilder, Entry};
use super::callers::{ANYONE, AUTHENTICATED, CallersBuilder, GroupId, SetId};
use super::rules::CompiledRule;
use super::{Index, next_generation};
use crate::policy::caller::CallerPattern;
use crate::policy::condition::{Condition, Scope};
use crate::policy::error::Problem;
use crate::policy::model::{Callers, From, Mode, Model, RuleModel, Spot};

impl Index {
    /// Compiles a policy for a service in the trust domain `own`, or says all that is wrong with it.
    pub(crate) fn compile(model: &Model, own: Option<&TrustDomain>) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler {
            model,
            own,
            callers: CallersBuilder::default(),
            expressions: 0,
            problems: Vec::new(),
        };
        let groups: Vec<_> = model
            .principals
            .iter()
            .map(|principal| compiler.group(&principal.patterns, principal.at))
            .collect();
        let mut actions = ActionsBuilder::default();
        let mut rules = Vec::with_capacity(model.rules.len());
        for (id, rule) in (0..).zip(&model.rules) {
            let (set, groups) = compiler.from(&rule.from, &groups);
            let compiled = compiler.rule(rule, groups);
            let entry = Entry {
                rule: id,
                set,
                plain: compiled.plain(),
            };
            for action in &rule.actions {
                actions.add(action, entry);
            }
            rules.push(compiled);
        }
        if !compiler.problems.is_empty() {
            return Err(compiler.problems);
        }
        let callers = compiler.callers.build();
        let actions = actions.build();
        Ok(Self {
            name: model.name.as_str().into(),
            generation: next_generation(),
            mode: model.mode,
            users: model.users.clone(),
            has_shadow: model.mode == Mode::Shadow || model.rules.iter().any(|rule| rule.shadow),
            rules,
            nobody: callers.resolve(None).with_shortlist(&actions),
            callers,
            actions,
        })
    }
}

struct Compiler<'a> {
    model: &'a Model,
    own: Option<&'a TrustDomain>,
    callers: CallersBuilder,
    /// The memory that regular expressions are taken to need so far, in bytes.
    expressions: usize,
    problems: Vec<Problem>,
}

/// The most memory that the regular expressions of a policy may take together, in bytes.
const MAX_EXPRESSIONS: usize = 64 * 1024 * 1024;

impl Compiler<'_> {
    fn group(&mut self, patterns: &[CallerPattern], at: Spot) -> GroupId {
        let bound: Vec<_> = patterns
            .iter()
            .filter_map(|pattern| self.bind(pattern, at))
            .collect();
        self.callers.group(&bound)
    }

    fn bind(&mut self, pattern: &CallerPattern, at: Spot) -> Option<IdPattern> {
        pattern
            .bind(self.own)
            .map_err(|unknown| self.problems.push(Problem::new(at, unknown.to_string())))
            .ok()
    }

    fn from(&mut self, from: &From, principals: &[GroupId]) -> (SetId, Vec<GroupId>) {
        let these = match from {
            From::Anyone => return (ANYONE, Vec::new()),
            From::Authenticated => return (AUTHENTICATED, Vec::new()),
            From::These(these) => these,
        };
        let mut groups = Vec::with_capacity(these.len());
        for callers in these {
            match callers {
                Callers::Principal(index) => groups.extend(principals.get(*index)),
                Callers::Pattern(pattern, at) => {
                    let bound = self.bind(pattern, *at);
                    groups.extend(bound.map(|pattern| self.callers.single(&pattern)));
                }
            }
        }
        groups.sort_unstable();
        groups.dedup();
        (self.callers.set(groups.clone()), groups)
    }

    fn rule(&mut self, rule: &RuleModel, groups: Vec<GroupId>) -> CompiledRule {
        CompiledRule {
            name: rule.name.as_str().into(),
            effect: rule.effect,
            shadow: rule.shadow,
            expires: rule.expires,
            user: rule.user.clone(),
            condition: self.condition(rule),
            groups: groups.into(),
            actions: if rule.when.is_some() {
                rule.actions.as_slice().into()
            } else {
                Box::default()
            },
        }
    }

    fn condition(&mut self, rule: &RuleModel) -> Option<Condition> {
        let source = rule.when.as_ref()?;
        if self.expressions > MAX_EXPRESSIONS {
            return None;
        }
        let (path, some_path) = in_all(rule.actions.iter().map(|action| action.path.captures()));
        let patterns = patterns(self.model, &rule.from);
        let (id, some_id) = in_all(patterns.iter().map(|pattern| pattern.captures()));
        let scope = Scope {
            path: &path,
            some_path: &some_path,
            id: (!patterns.is_empty()).then_some(&id),
            some_id: &some_id,
            users: !self.model.users.is_empty(),
        };
        match Condition::compile(&source.text, &scope) {
            Ok(condition) => {
                self.expressions = self.expressions.saturating_add(condition.weight());
                if self.expressions > MAX_EXPRESSIONS {
                    let message = format!(
                        "from here on the regular expressions of this policy take more than {MAX_EXPRESSIONS} bytes; write fewer or smaller ones: `\\w` and `\\d` are all of Unicode, `[a-z0-9]` is small"
                    );
                    self.problems.push(Problem::new(source.at, message));
                }
                Some(condition)
            }
            Err(problem) => {
                let at = within(source.at, problem.line, problem.column);
                self.problems.push(Problem::new(at, problem.message));
                None
            }
        }
    }
}

/// Every pattern that a rule can be reached by.
fn patterns<'a>(model: &'a Model, from: &'a From) -> Vec<&'a CallerPattern> {
    let From::These(these) = from else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for callers in these {
        match callers {
            Callers::Principal(index) => {
                patterns.extend(
                    model
                        .principals
                        .get(*index)
                        .into_iter()
                        .flat_map(|principal| &principal.patterns),
                );
            }
            Callers::Pattern(pattern, _) => patterns.push(pattern),
        }
    }
    patterns
}

fn within(at: Spot, line: u32, column: u32) -> Spot {
    if at.line == 0 {
        return at;
    }
    Spot {
        line: at.line.saturating_add(line.saturating_sub(1)),
        column: if line <= 1 {
            at.column.saturating_add(column.saturating_sub(1))
        } else {
            column
        },
    }
}

/// The names that stand in every one of the lists, and those that stand in some of them only.
fn in_all<'a>(
    lists: impl Iterator<Item = impl Iterator<Item = &'a str>>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut lists_with = BTreeMap::<&str, usize>::new();
    let mut lists_in_all = 0;
    for list in lists {
        lists_in_all += 1;
        for name in list {
            *lists_with.entry(name).or_default() += 1;
        }
    }
    let (all, some): (Vec<_>, Vec<_>) = lists_with
        .into_iter()
        .partition(|(_, lists)| *lists == lists_in_all);
    let names = |list: Vec<(&'a str, usize)>| list.into_iter().map(|(name, _)| name).collect();
    (names(all), names(some))
}
