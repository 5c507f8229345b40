//! Actions of rules, and the requests of tests.

use std::str::FromStr as _;

use http::Method;

use super::super::model::{Action, Methods, Spot};
use super::super::path::{PathPattern, Segment};
use super::problems::{Problems, shown};
use super::tree::Value;
use super::value;

const EXAMPLE: &str = "`METHODS PATH`, such as `GET /orders/{id}`, or `grpc pkg.Service/Method`";
const LIST: &str = "a list of actions, such as `[\"GET /orders/{id}\"]`";
const GRPC: &str = "grpc ";

/// The actions of a rule, at least one.
pub(super) fn actions(value: Value<'_>, problems: &mut Problems) -> Option<Vec<Action>> {
    let items = value::list(value, LIST, problems)?;
    let mut actions = Vec::new();
    for item in items.items() {
        let Some(text) = value::text(item, EXAMPLE, problems) else {
            continue;
        };
        match action(text, item.at()) {
            Ok(action) => actions.push(action),
            Err(why) => problems.add(item.at(), why),
        }
    }
    Some(actions)
}

fn action(text: &str, at: Spot) -> Result<Action, String> {
    let (methods, path) = match text.strip_prefix(GRPC) {
        Some(method) => (
            Methods::These(vec![Method::POST]),
            grpc(method).map_err(|why| no_action(text, &why))?,
        ),
        None => {
            let (methods, path) = parted(text).map_err(|why| no_action(text, &why))?;
            let methods = methods_of(methods).map_err(|why| no_action(text, &why))?;
            let path =
                PathPattern::from_str(path).map_err(|error| no_action(text, &error.to_string()))?;
            (methods, path)
        }
    };
    Ok(Action {
        text: text.to_owned(),
        methods,
        path,
        at,
    })
}

fn no_action(text: &str, why: &str) -> String {
    format!("`{}` is no action: {why}", shown(text))
}

/// What stands before the one space, and what stands behind it.
fn parted(text: &str) -> Result<(&str, &str), String> {
    let Some((methods, path)) = text.split_once(' ') else {
        let why = if text.starts_with('/') {
            format!(
                "the methods are missing; write `* {0}`, or `GET {0}`",
                shown(text)
            )
        } else {
            format!("write {EXAMPLE}")
        };
        return Err(why);
    };
    if methods.is_empty() {
        return Err("it begins with a space; leave it out".to_owned());
    }
    if methods.ends_with(',') || path.starts_with(',') {
        return Err("a list of methods has no spaces; write `GET,POST /path`".to_owned());
    }
    if path.starts_with(' ') {
        return Err("one space stands between methods and path; leave the others out".to_owned());
    }
    Ok((methods, path))
}

fn methods_of(text: &str) -> Result<Methods, String> {
    if text == "*" {
        return Ok(Methods::Every);
    }
    let mut methods = Vec::new();
    for method in text.split(',') {
        if method == "*" {
            return Err(
                "`*` is every method already and stands alone; leave the others out".to_owned(),
            );
        }
        let method = token(method)?;
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Ok(Methods::These(methods))
}

/// A method as RFC 9110 has it (section 9.1), compared as it is written.
fn token(text: &str) -> Result<Method, String> {
    if text.is_empty() {
        return Err("a method is missing beside a comma; write `GET,POST /path`".to_owned());
    }
    // A token may hold it, and no method does: a rule with it would meet nothing.
    if text.contains('|') {
        return Err(format!(
            "`{}` is no method; a list of methods has commas: `GET,POST /path`",
            shown(text)
        ));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| {
        format!(
            "`{}` is no method; a method is a token, such as `GET`",
            shown(text)
        )
    })
}

fn grpc(method: &str) -> Result<PathPattern, String> {
    let one = |segments| PathPattern {
        segments,
        open_ended: false,
    };
    if method == "**" {
        return Ok(one(vec![Segment::One, Segment::One]));
    }
    let (service, method) = grpc_parts(method)?;
    let path = PathPattern::from_str(&format!("/{service}/{method}"))
        .map_err(|error| error.to_string())?;
    match path.segments.as_slice() {
        [Segment::Literal(_), Segment::Literal(_) | Segment::One] if !path.open_ended => Ok(path),
        _ => Err(format!(
            "{GRPC_FORMS}; for another pattern write `POST` and the path"
        )),
    }
}

const GRPC_FORMS: &str = "after `grpc` stands `pkg.Service/Method`, `pkg.Service/*` for every method of a service, or `**`";

fn grpc_parts(text: &str) -> Result<(&str, &str), String> {
    let parts = text.split_once('/').filter(|(service, method)| {
        !service.is_empty() && !method.is_empty() && !method.contains('/') && !text.contains(' ')
    });
    parts.ok_or_else(|| GRPC_FORMS.to_owned())
}

/// The method and the target of a request as `tests` and `eval` write it. The target is not checked.
pub(super) fn request(text: &str) -> Result<(Method, String), String> {
    let no_request = |why: &str| format!("`{}` is no request: {why}", shown(text));
    if let Some(method) = text.strip_prefix(GRPC) {
        let (service, method) = grpc_parts(method)
            .map_err(|_| no_request("after `grpc` stands `pkg.Service/Method`"))?;
        return Ok((Method::POST, format!("/{service}/{method}")));
    }
    let Some((method, target)) = text.split_once(' ') else {
        return Err(no_request(
            "write one method and a path, such as `GET /orders/7`, or `grpc pkg.Service/Method`",
        ));
    };
    let method = token(method).map_err(|_| {
        no_request("it begins with one method, which is a token such as `GET`, and a space")
    })?;
    Ok((method, target.to_owned()))
}
