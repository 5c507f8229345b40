//! The conditions of a policy's rules, compiled once more from what the file says.

use crate::policy::condition::{Condition, Scope};
use crate::policy::model::{Model, RuleModel};

use super::callers;

/// The condition of a rule, if it has one. In a policy that was loaded each of them compiles.
pub(super) fn compile(model: &Model, rule: &RuleModel) -> Option<Condition> {
    let source = rule.when.as_ref()?;
    let paths: Vec<Vec<&str>> = rule
        .actions
        .iter()
        .map(|action| action.path.captures().collect())
        .collect();
    let patterns = callers::patterns(model, &rule.from);
    let ids: Vec<Vec<&str>> = patterns
        .iter()
        .map(|pattern| pattern.captures().collect())
        .collect();
    let (path, id) = (in_all(&paths), in_all(&ids));
    let scope = Scope {
        path: &path,
        id: (!ids.is_empty()).then_some(id.as_slice()),
        users: !model.users.is_empty(),
        ..Scope::default()
    };
    Condition::compile(&source.text, &scope).ok()
}

fn in_all<'a>(lists: &[Vec<&'a str>]) -> Vec<&'a str> {
    let (first, rest) = match lists.split_first() {
        Some(split) => split,
        None => return Vec::new(),
    };
    let everywhere = |name: &&&str| rest.iter().all(|list| list.contains(name));
    first.iter().filter(everywhere).copied().collect()
}
