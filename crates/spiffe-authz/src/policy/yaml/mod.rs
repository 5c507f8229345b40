//! Policies as YAML: from the bytes of a file to a [`Model`], or to everything that is wrong with it.
//!
//! In three steps, each of which refuses what the next need not know: bytes to a text, a text to a
//! tree of scalars, lists and maps within limits, and the tree to the model.

mod actions;
mod callers;
mod cases;
mod expires;
mod fields;
mod json;
mod parse;
mod problems;
mod rules;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod users;
mod value;

use super::case::Case;
use super::error::Problem;
use super::model::{Mode, Model};
pub(crate) use text::MAX_BYTES;

use fields::Fields;
use problems::Problems;
use rules::Context;
use scalar::Scalar;
use tree::Value;

const KEYS: [&str; 8] = [
    "version",
    "name",
    "mode",
    "trust_domains",
    "principals",
    "users",
    "rules",
    "tests",
];
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];

/// Reads a policy file. Expressions are not compiled; all else in the model is as it should be.
///
/// # Errors
///
/// Every [`Problem`] that can be told at once, in the order of the file, up to 100; one where the
/// file is no YAML or exceeds a limit. Never none.
pub(crate) fn load(bytes: &[u8]) -> Result<Model, Vec<Problem>> {
    let text = text::decode(bytes).map_err(|problem| vec![problem])?;
    let (tree, root) = parse::parse(text).map_err(|problem| vec![problem])?;
    read(tree.value(root), |root, problems| policy(root, problems))
}

/// Reads one line for `spiffectl policy eval`: the name that its author gave it, and the request.
///
/// # Errors
///
/// Every [`Problem`] with the line. Its place is zero but for an error of syntax, whose column is known.
pub(crate) fn case(line: &str) -> Result<(String, Case), Vec<Problem>> {
    let (tree, root) = json::parse(line).map_err(|problem| vec![problem])?;
    read(tree.value(root), cases::line)
}

/// Reads a policy that was put together in code. No problem has a place.
///
/// # Errors
///
/// Every [`Problem`] with it, up to 100.
pub(crate) fn document(json: &str) -> Result<Model, Vec<Problem>> {
    let (tree, root) = json::parse(json).map_err(|problem| vec![problem])?;
    read(tree.value(root), policy)
}

/// Runs a reader; what it returns counts only where it had no objection.
fn read<'d, T>(
    root: Option<Value<'d>>,
    reader: impl FnOnce(Value<'d>, &mut Problems) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let mut problems = Problems::new();
    match root.and_then(|root| reader(root, &mut problems)) {
        Some(read) if problems.is_empty() => Ok(read),
        _ => {
            if problems.is_empty() {
                problems.add(
                    text::START,
                    "this is no policy; write `version: 1` and what follows",
                );
            }
            Err(problems.into_sorted())
        }
    }
}

fn policy(root: Value<'_>, problems: &mut Problems) -> Option<Model> {
    let fields = Fields::read(root, "a policy", &KEYS, problems)?;
    if let Some(version) = fields.required("version", "`version: 1`", problems) {
        check_version(version, problems);
    }
    let example = "the name for audit records: `name: orders`";
    let name = fields
        .required("name", example, problems)
        .and_then(|name| value::name(name, example, problems));
    let mode = fields
        .get("mode")
        .and_then(|mode| value::word(mode, &MODES, problems));

    let mut context = Context::default();
    let trust_domains = fields
        .get("trust_domains")
        .map(|listed| context.callers.trust_domains(listed, problems));
    let principals = fields
        .get("principals")
        .map(|principals| context.callers.principals(principals, problems));
    let users = fields
        .get("users")
        .map(|users| context.issuers.read(users, problems));
    let example = "`rules:` and a list of rules, or `rules: []` to deny everything";
    let (rules, names) = fields
        .required("rules", example, problems)
        .map(|rules| context.rules(rules, problems))
        .unwrap_or_default();
    let tests = fields
        .get("tests")
        .map(|tests| cases::tests(tests, &names, problems));
    Some(Model {
        name: name?.to_owned(),
        mode: mode.unwrap_or(Mode::Enforce),
        trust_domains: trust_domains.unwrap_or_default(),
        principals: principals.unwrap_or_default(),
        users: users.unwrap_or_default(),
        rules,
        tests: tests.unwrap_or_default(),
    })
}

fn check_version(value: Value<'_>, problems: &mut Problems) {
    let message = match value.as_scalar() {
        Some(Scalar::Number(Some(number))) if number.as_u64() == Some(1) => return,
        Some(Scalar::Number(_)) => "there is one version of the language; write `version: 1`",
        Some(Scalar::Text("1")) => "the version is a number; write `version: 1`, without quotes",
        _ => "the version is missing; write `version: 1`",
    };
    problems.add(value.at(), message);
}
