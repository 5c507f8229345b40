use std::fs::File as Opened;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use spiffe_authz::Inventory;
use spiffe_authz::policy::InvalidPolicy;
use spiffe_authz::policy::review::{Lint, lints};

use super::File;
use super::excerpt::{Excerpts, harmless};
use crate::failure::Failure;
use crate::print;

/// The largest inventory of routes, in bytes.
const MAX_ROUTES: u64 = 8 * 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: File,
    /// The routes of the application, as JSON: the inventory of its guarded router
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    /// Fail where there is a warning
    #[arg(long)]
    strict: bool,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.file.file.as_path();
    let routes = arguments.routes.as_deref().map(routes).transpose()?;
    let policy = match (arguments.file.service.read(path), arguments.format) {
        (Ok(policy), _) => policy,
        (Err(invalid), Format::Json) => {
            print(&document(path, refused(&invalid)))?;
            return Err(Failure::unusable(format!(
                "{} is no policy that can be used",
                harmless(&path.display().to_string())
            )));
        }
        (Err(invalid), Format::Human) => return Err(super::load::unusable(path, &invalid)),
    };
    let found = lints(&policy, routes.as_ref(), SystemTime::now());
    match arguments.format {
        Format::Json => {
            let severity = if arguments.strict { "error" } else { "warning" };
            let findings = found.iter().map(|lint| finding(lint, severity)).collect();
            print(&document(path, findings))?;
        }
        Format::Human => print(&report(path, &found, arguments.strict))?,
    }
    match (found.len(), arguments.strict) {
        (0, _) | (_, false) => Ok(()),
        (1, true) => Err(Failure::failed("1 warning, and --strict takes none")),
        (more, true) => Err(Failure::failed(format!(
            "{more} warnings, and --strict takes none"
        ))),
    }
}

fn report(path: &Path, found: &[Lint], strict: bool) -> String {
    let excerpts = Excerpts::of(path);
    let severity = if strict { "error" } else { "warning" };
    let mut text = String::new();
    for lint in found {
        let message = format!("{severity}[{}]: {}", lint.kind(), lint.message());
        text.push_str(&excerpts.message(lint.line(), lint.column(), &message));
    }
    if found.is_empty() {
        text.push_str(&format!("{}: nothing to say\n", excerpts.file()));
    }
    text
}

fn finding(lint: &Lint, severity: &str) -> Value {
    json!({
        "kind": lint.kind(),
        "severity": severity,
        "line": lint.line(),
        "column": lint.column(),
        "rule": lint.rule(),
        "message": lint.message(),
    })
}

fn refused(invalid: &InvalidPolicy) -> Vec<Value> {
    let problems = invalid.problems().iter();
    problems
        .map(|problem| {
            json!({
                "kind": "load",
                "severity": "error",
                "line": problem.line(),
                "column": problem.column(),
                "rule": null,
                "message": problem.message(),
            })
        })
        .collect()
}

fn document(path: &Path, findings: Vec<Value>) -> String {
    let document = json!({ "file": path.display().to_string(), "findings": findings });
    format!("{document}\n")
}

pub(super) fn routes(path: &Path) -> Result<Inventory, Failure> {
    let name = harmless(&path.display().to_string());
    let unusable = |why: &str| Failure::unusable(format!("{name}: {why}"));
    if !path.is_file() {
        return Err(unusable("it is no file that can be read"));
    }
    let mut text = String::new();
    Opened::open(path)
        .and_then(|file| file.take(MAX_ROUTES + 1).read_to_string(&mut text))
        .map_err(|error| unusable(&error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_ROUTES) {
        return Err(unusable("it has more than 8 MiB"));
    }
    serde_json::from_str(&text).map_err(|error| {
        let told = error.to_string();
        let why = told.split(" at line ").next().unwrap_or_default();
        Failure::unusable(format!(
            "{name}:{}:{}: this is no inventory of routes ({}); write a list of {{\"method\": \"GET\", \"path\": \"/orders/{{id}}\"}}",
            error.line(),
            error.column(),
            harmless(why)
        ))
    })
}
