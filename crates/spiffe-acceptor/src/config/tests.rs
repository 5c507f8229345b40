#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod contradictions;
mod file;
mod layers;
mod places;
mod values;

use std::collections::HashMap;

use super::check::Feed;
use super::*;

const AGENT: &str = "spire: {socket_path: 'unix:///agent.sock'}\n";
const ORDERS: &str = "spiffe://example.org/service/orders";

fn environment(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
    let set: HashMap<_, _> = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect();
    move |name| set.get(name).cloned()
}

fn env(set: &[(&str, &str)]) -> Config {
    Config::new().environment(environment(set)).unwrap()
}

fn yaml(text: &str) -> Config {
    Config::from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn told(text: &str) -> String {
    match Config::from_yaml(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

fn contradiction(config: &Config) -> String {
    match config.validate() {
        Ok(()) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

/// So that one run tells all that differ.
fn differs(told: String, expected: &str) -> Option<String> {
    (told != expected).then(|| format!("told:     {told}\nexpected: {expected}"))
}

fn value<T: Clone>(given: &Option<Given<T>>) -> T {
    given.as_ref().expect("it is given").value.clone()
}

fn domains(config: &Config) -> Vec<String> {
    value(&config.trusted)
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn ids(config: &Config) -> Vec<String> {
    value(&config.allowed)
        .iter()
        .map(|id| id.as_str().to_owned())
        .collect()
}
