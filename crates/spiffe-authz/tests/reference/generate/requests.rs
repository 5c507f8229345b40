use serde_json::{Map, Value, json};

use super::peers::{any_peer, caller};
use super::segments::{filled, stray};
use super::spelling::target;
use super::users::user;
use super::vocabulary::{HEADERS, HOSTS, METHODS, ODD_METHODS, ROLES, RPCS, WORDS, moment};
use crate::pattern::methods_and_path;
use crate::policy::{Policy, Request};
use crate::random::Random;

/// A request that one of the rules is likely to be about, or narrowly not.
pub(super) fn request(policy: &Policy, random: &mut Random) -> Request {
    let aim = (!policy.rules.is_empty() && random.percent(92)).then(|| random.item(&policy.rules));
    let (method, mut path) = match aim {
        Some(rule) => {
            let action: &String = random.item(&rule.actions);
            acted(action, random)
        }
        None if random.percent(20) => ("POST".to_owned(), words_of(random.one_of(RPCS))),
        None => (random.one_of(METHODS).to_owned(), any_words(random)),
    };
    stray(&mut path, WORDS, random);
    let peer = match aim {
        _ if random.percent(8) => None,
        Some(rule) => caller(rule, policy, random),
        None => Some(any_peer(random)),
    };
    let user = user(aim, policy, peer.as_ref(), random);
    Request {
        method,
        target: target(&path, random),
        authority: random.percent(10).then(|| random.one_of(HOSTS).to_owned()),
        headers: headers(random),
        peer,
        user,
        resource: random.percent(75).then(|| resource(random)),
        at: moment(random),
    }
}

/// A method and the segments of a path that an action meets, nearly always.
fn acted(action: &str, random: &mut Random) -> (String, Vec<String>) {
    let (methods, pattern) = methods_and_path(action);
    let listed: Vec<&str> = methods.split(',').collect();
    let method = match *random.item(&listed) {
        _ if random.percent(6) => random.one_of(METHODS),
        _ if random.percent(2) => random.one_of(ODD_METHODS),
        "*" if random.percent(70) => random.one_of(METHODS),
        "*" => random.one_of(ODD_METHODS),
        "GET" if random.percent(30) => "HEAD",
        method => method,
    };
    (method.to_owned(), filled(&pattern, WORDS, random))
}

fn any_words(random: &mut Random) -> Vec<String> {
    (0..random.between(0, 3))
        .map(|_| random.one_of(WORDS).to_owned())
        .collect()
}

fn words_of(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn headers(random: &mut Random) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for name in HEADERS {
        for _ in 0..*random.item(&[0, 1, 1, 2]) {
            headers.push(((*name).to_owned(), random.one_of(ROLES).to_owned()));
        }
    }
    let hosts = match random.below(100) {
        0 => vec!["web", "web"],
        1 => vec!["api.example.com", "web"],
        2 => vec!["api.example.com,web"],
        3..25 => vec!["API.example.com:8443"],
        25..45 => vec!["web"],
        _ => vec![],
    };
    headers.extend(
        hosts
            .iter()
            .map(|host| ("host".to_owned(), (*host).to_owned())),
    );
    random.shuffle(&mut headers);
    headers
}

fn resource(random: &mut Random) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, values: &[Value], random: &mut Random| {
        if random.percent(70) {
            fields.insert(name.to_owned(), random.item(values).clone());
        }
    };
    put("state", &[json!("draft"), json!("web"), json!(7)], random);
    put(
        "count",
        &[json!(3), json!(7), json!(-2), json!("7")],
        random,
    );
    put(
        "tags",
        &[
            json!(["web"]),
            json!(["docs", "7"]),
            json!([]),
            json!("a web"),
        ],
        random,
    );
    put(
        "public",
        &[json!(true), json!(false), json!("true")],
        random,
    );
    put(
        "meta",
        &[
            json!({"tier": "gold"}),
            json!({"tier": 7}),
            json!({}),
            json!("gold"),
        ],
        random,
    );
    Value::Object(fields)
}
