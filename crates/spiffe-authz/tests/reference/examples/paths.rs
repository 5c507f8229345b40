//! Step 1, actions and paths.

use super::Example;
use super::write::{allow, deny, policy, request};
use crate::policy::Request;

pub(super) fn examples() -> Vec<Example> {
    let mut examples = canonical();
    examples.extend(authorities());
    examples.extend(actions());
    examples
}

/// Everything canonical is allowed, without looking at who asks.
fn open_to_all(request: Request, expected: &'static str) -> Example {
    Example {
        policy: policy(vec![allow("all", &["* /**"]).of_anyone()]),
        request,
        expected,
    }
}

fn canonical() -> Vec<Example> {
    const FINE: &str = "200 rule all";
    const REFUSED: &str = "400 bad_request -";
    let lines = [
        ("GET /", FINE),
        ("GET /orders", FINE),
        ("GET /orders?next=/a/../;b//", FINE),
        ("GET /a.b/..c/d../...", FINE),
        ("GET /a%20b", FINE),
        ("GET /%C3%BC", FINE),
        ("GET /100%25", FINE),
        ("GET /%2541", FINE),
        ("GET /a%0ab", FINE),
        ("GET /a%3fb", FINE),
        ("GET /a%23b", FINE),
        ("BREW /pot", FINE),
        ("M-SEARCH /x", FINE),
        ("G(T /orders", REFUSED),
        ("GET orders", REFUSED),
        ("OPTIONS *", REFUSED),
        ("GET //orders", REFUSED),
        ("GET /orders/", REFUSED),
        ("GET /orders//7", REFUSED),
        ("GET /orders/?a", REFUSED),
        ("GET /./orders", REFUSED),
        ("GET /orders/..", REFUSED),
        ("GET /public/%2e%2e/admin", REFUSED),
        ("GET /public/.%2E/admin", REFUSED),
        ("GET /a\\b", REFUSED),
        ("GET /a%5cb", REFUSED),
        ("GET /a\u{7f}b", REFUSED),
        ("GET /a#b", REFUSED),
        ("GET /a%2fb", REFUSED),
        ("GET /a%00", REFUSED),
        ("GET /orders;a=b", REFUSED),
        ("GET /orders%3Bx", REFUSED),
        ("GET /a%", REFUSED),
        ("GET /a%g1", REFUSED),
        ("GET /a%f", REFUSED),
        ("GET /%ff", REFUSED),
        ("GET /%c3", REFUSED),
        ("GET /a%252fb", REFUSED),
        ("GET /%252e%252e/admin", REFUSED),
        ("GET /a%25252fb", REFUSED),
        ("GET /a%253bb", REFUSED),
        ("GET /a%255cb", REFUSED),
        ("GET /a%2500", REFUSED),
        ("GET /%25ff", REFUSED),
    ];
    lines
        .map(|(line, expected)| open_to_all(request(line), expected))
        .into_iter()
        .collect()
}

fn authorities() -> Vec<Example> {
    let with_authority = |authority: &str, request: Request| Request {
        authority: Some(authority.to_owned()),
        ..request
    };
    let hosts = |hosts: &[&str]| {
        let request = request("GET /orders");
        hosts
            .iter()
            .fold(request, |request, host| request.header("host", host))
    };
    vec![
        open_to_all(hosts(&["a.example"]), "200 rule all"),
        open_to_all(hosts(&["a.example", "b.example"]), "400 bad_request -"),
        open_to_all(hosts(&["a.example", "a.example"]), "400 bad_request -"),
        open_to_all(hosts(&["a.example,b.example"]), "400 bad_request -"),
        open_to_all(with_authority("a.example", hosts(&[])), "200 rule all"),
        open_to_all(
            with_authority("a.example", hosts(&["A.example"])),
            "200 rule all",
        ),
        open_to_all(
            with_authority("a.example", hosts(&["b.example"])),
            "400 bad_request -",
        ),
    ]
}

fn actions() -> Vec<Example> {
    const DENIED: &str = "403 default -";
    let lines = [
        // GET covers HEAD; never the reverse.
        ("GET /orders", "HEAD /orders", "200 rule r"),
        ("HEAD /orders", "GET /orders", DENIED),
        ("GET,POST /orders", "POST /orders", "200 rule r"),
        ("GET,POST /orders", "HEAD /orders", "200 rule r"),
        ("GET,POST /orders", "PUT /orders", DENIED),
        ("GET /orders", "get /orders", DENIED),
        ("* /orders", "BREW /orders", "200 rule r"),
        // The path, segment by segment, decoded once.
        ("GET /orders/{id}", "GET /orders/special", "200 rule r"),
        ("GET /orders/{id}", "GET /orders", DENIED),
        ("GET /orders/{id}", "GET /orders/7/raw", DENIED),
        ("GET /orders/*", "GET /orders/7", "200 rule r"),
        ("GET /orders", "GET /ORDERS", DENIED),
        ("GET /orders", "GET /orders-2", DENIED),
        ("GET /orders", "GET /%6frders", "200 rule r"),
        ("GET /a b", "GET /a%20b", "200 rule r"),
        ("GET /A", "GET /%2541", DENIED),
        ("GET /user/profile", "GET /user/profile%3fx", DENIED),
        ("GET /orders/**", "GET /orders", "200 rule r"),
        ("GET /orders/**", "GET /orders/7/raw", "200 rule r"),
        ("GET /orders/**", "GET /orders-2/7", DENIED),
        ("GET /", "GET /", "200 rule r"),
        ("GET /", "GET /orders", DENIED),
        ("GET /*", "GET /", DENIED),
        ("GET /**", "GET /", "200 rule r"),
        // gRPC is another way to write the same.
        (
            "grpc shop.Orders/Create",
            "POST /shop.Orders/Create",
            "200 rule r",
        ),
        ("grpc shop.Orders/Create", "GET /shop.Orders/Create", DENIED),
        ("grpc shop.Orders/*", "POST /shop.Orders/List", "200 rule r"),
        ("grpc **", "POST /shop.Orders/List", "200 rule r"),
        ("grpc **", "POST /orders", DENIED),
    ];
    let mut examples: Vec<Example> = lines
        .map(|(action, line, expected)| Example {
            policy: policy(vec![allow("r", &[action])]),
            request: request(line),
            expected,
        })
        .into_iter()
        .collect();
    // A deny of GET covers HEAD as well.
    examples.push(Example {
        policy: policy(vec![
            allow("all", &["* /**"]),
            deny("none", &["GET /orders"]),
        ]),
        request: request("HEAD /orders"),
        expected: "403 rule none",
    });
    examples
}
