mod aliases;
mod cases;
mod errors;
mod files;
mod good;
mod limits;
mod mutations;
mod truncation;

use super::super::error::Problem;
use super::super::model::Model;
use super::load;

/// The example of the language's description.
const EXAMPLE: &str = include_str!("example.yaml");

fn loaded(text: &str) -> Model {
    load(text.as_bytes()).unwrap_or_else(|problems| panic!("{}\nin\n{text}", told(&problems)))
}

fn refused(text: &str) -> Vec<Problem> {
    load(text.as_bytes()).expect_err(text)
}

/// Problems as they are shown, one to a line.
fn told(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let (line, column) = (problem.line(), problem.column());
        format!("{line}:{column}: {}", problem.message())
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
