//! Every load error, with its place and with what it says. `¶` marks the place that is expected.

use super::super::problems::MAX_PROBLEMS;
use super::{refused, told};

const HEAD: &str = "\
version: 1
name: shop
trust_domains: { example.org: {}, partner.example: { federated: true } }
principals:
  orders: spiffe://example.org/ns/shop/sa/orders
  stock: [spiffe://example.org/ns/shop/sa/stock, own:/ns/shop/sa/stock]
users:
  staff: { issuer: https://id.example.org, audiences: [shop] }
rules:
";

const RULE: &str = "- { name: read, allow: [GET /orders], from: [orders] }\n";

/// The whole file, and a piece of the message.
const FILES: &[(&str, &str)] = &[
    ("¶", "the file is empty"),
    ("¶# nothing but a comment\n", "the file is empty"),
    ("---¶ ", "nothing stands here"),
    ("¶[version, 1]", "a list stands here"),
    ("¶version", "the text `version` stands here"),
    (
        "¶name: x\nrules: []\n",
        "a policy without `version`; write `version: 1`",
    ),
    ("¶version: 1\nrules: []\n", "a policy without `name`"),
    ("¶version: 1\nname: x\n", "`rules: []` to deny everything"),
    ("version: ¶2\nname: x\nrules: []\n", "write `version: 1`"),
    ("version: ¶'1'\nname: x\nrules: []\n", "without quotes"),
    ("version: ¶1.0\nname: x\nrules: []\n", "write `version: 1`"),
    ("version¶:\nname: x\nrules: []\n", "the version is missing"),
    ("version: 1\nname: ¶' '\nrules: []\n", "blank"),
    ("version: 1\nname¶:\nrules: []\n", "nothing is written here"),
    ("version: 1\nname: ¶7\nrules: []\n", "`\"7\"`"),
    ("version: 1\nname: ¶true\nrules: []\n", "`\"true\"`"),
    ("version: 1\nname: ¶[x]\nrules: []\n", "a list stands here"),
    (
        "version: 1\nname: ¶{ x: y }\nrules: []\n",
        "a map stands here",
    ),
    ("version: 1\nname: ¶\"a\\nb\"\nrules: []\n", "one line"),
    (
        "version: 1\nname: x\nmode: ¶audit\nrules: []\n",
        "`enforce` or `shadow`",
    ),
    (
        "version: 1\nname: x\nmode: ¶on\nrules: []\n",
        "`enforce` or `shadow`",
    ),
    (
        "version: 1\nname: x\nmode¶:\nrules: []\n",
        "nothing stands here",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶test: []\n",
        "did you mean `tests`?",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶extends: y\n",
        "its keys are `version`, `name`",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶name: y\n",
        "twice, first in line 2; leave one out",
    ),
    ("version: 1\nname: x\nrules: []\n¶'name': y\n", "twice"),
    (
        "version: 1\nname: x\nrules: []\n¶1: y\n",
        "a key is a text; write `1` in quotes",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶~: y\n",
        "a key is missing",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶[a, b]: y\n",
        "where a key is meant",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: &a own:/a\n  ¶<<: *a\n",
        "merge keys are not read",
    ),
    (
        "version: 1\nname: x\nrules¶:\n",
        "nothing stands here; write a list of rules",
    ),
    (
        "version: 1\nname: x\nrules: ¶{}\n",
        "a map stands here; write a list of rules",
    ),
    (
        "version: 1\nname: x\nrules: ¶deny\n",
        "the text `deny` stands here",
    ),
    (
        "version: 1\nname: x\nrules: []\ntests: ¶{}\n",
        "write a list of tests",
    ),
    (
        "version: 1\nname: x\nrules: []\ntests¶:\n",
        "leave the key out",
    ),
    // Trust domains and principals.
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: ¶[example.org]\n",
        "`{ example.org: {} }`",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains¶:\n",
        "leave the key out",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  ¶Example.org: {}\n",
        "example.org",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  ¶spiffe://example.org: {}\n",
        "example.org",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  ¶'*.example.org': {}\n",
        "`*.example.org`",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  ¶7: {}\n",
        "in quotes",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  example.org: ¶true\n",
        "a trust domain",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  example.org: { ¶federate: true }\n",
        "did you mean `federated`?",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  example.org: { federated: ¶yes }\n",
        "write `true` or `false`",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains:\n  a.b: {}\n  ¶a.b:\n",
        "twice",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals: ¶[a]\n",
        "a map of names to ID patterns",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a¶:\n",
        "nothing is written here; write an ID pattern",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: ¶[]\n",
        "the list is empty",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: ¶{ id: x }\n",
        "a map stands here",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: ¶spiffe://example.org/a\n",
        "add `example.org: {}` under `trust_domains`",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: { example.com: }\nprincipals:\n  a: ¶spiffe://example.co/a\n",
        "did you mean `example.com`?",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: { e: }\nprincipals:\n  a: ¶spiffe://e\n",
        "a path is missing",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: { e: }\nprincipals:\n  a: [ spiffe://e/a, ¶spiffe://e/b* ]\n",
        "whole segment",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: { e: }\nprincipals:\n  a: ¶'spiffe://e/{true}'\n",
        "CEL reserves",
    ),
    (
        "version: 1\nname: x\nrules: []\ntrust_domains: { e: }\nprincipals:\n  a: ¶spiffe://e/a/\n",
        "spiffe://e/a/",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: ¶own:ns/a\n",
        "`own:/ns/shop/sa/orders`",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  ¶anyone: own:/a\n",
        "names no principal",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  ¶authenticated: own:/a\n",
        "names no principal",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  ¶' ': own:/a\n",
        "the name is blank",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  ¶'own:/b': own:/a\n",
        "no `:` and no `/`",
    ),
    (
        "version: 1\nname: x\nrules: []\nprincipals:\n  a: own:/a\n  ¶a: own:/b\n",
        "twice, first in line 5",
    ),
    // Users.
    (
        "version: 1\nname: x\nrules: []\nusers: ¶[a]\n",
        "`{ issuer, audiences, bound_to }`",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: ¶https://id.example\n",
        "`issuer`, `audiences` and `bound_to`",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a:\n    ¶audiences: [b]\n",
        "without `issuer`",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a:\n    ¶issuer: i\n",
        "without `audiences`",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: { issuer: ¶'', audiences: [b] }\n",
        "blank",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: { issuer: i, audiences: ¶b }\n",
        "where a list is meant",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: { issuer: i, audiences: ¶[] }\n",
        "the list is empty",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: { issuer: i, audiences: [b], bound_to: ¶act }\n",
        "`actor` or `azp` or `cnf` or `none`",
    ),
    (
        "version: 1\nname: x\nrules: []\nusers:\n  a: { issuer: i, audiences: [b] }\n  ¶c: { issuer: i, audiences: [d] }\n",
        "has the issuer `i` already",
    ),
];

/// One rule behind [`HEAD`].
const RULES: &[(&str, &str)] = &[
    (
        "- ¶read-orders\n",
        "the text `read-orders` stands here; write the keys of a rule",
    ),
    ("- ¶\n", "nothing stands here"),
    (
        "- ¶allow: [GET /a]\n  from: [orders]\n",
        "a rule without `name`",
    ),
    ("- ¶name: a\n  allow: [GET /a]\n", "a rule without `from`"),
    ("- ¶name: a\n  from: [orders]\n", "a rule without an effect"),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  ¶deny: [GET /b]\n",
        "has `allow` and `deny`; make two rules",
    ),
    (
        "- name: ¶''\n  allow: [GET /a]\n  from: [orders]\n",
        "blank",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n- name: ¶a\n  deny: [GET /a]\n  from: [orders]\n",
        "a rule in line 10 has the name `a` already",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  ¶form: [stock]\n",
        "did you mean `from`?",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  ¶from: [stock]\n",
        "twice, first in line 12",
    ),
    // Actions.
    (
        "- name: a\n  allow: ¶GET /a\n  from: [orders]\n",
        "`GET /a` stands here, where a list is meant",
    ),
    (
        "- name: a\n  allow: ¶[]\n  from: [orders]\n",
        "the list is empty",
    ),
    (
        "- name: a\n  deny¶:\n  from: [orders]\n",
        "nothing stands here; write a list of actions",
    ),
    (
        "- name: a\n  allow:\n  - GET /a\n  - ¶GET\n  from: [orders]\n",
        "is no action: write `METHODS PATH`",
    ),
    (
        "- name: a\n  allow: [¶/a]\n  from: [orders]\n",
        "write `* /a`, or `GET /a`",
    ),
    (
        "- name: a\n  allow: [¶GET  /a]\n  from: [orders]\n",
        "one space",
    ),
    (
        "- name: a\n  allow: [¶' GET /a']\n  from: [orders]\n",
        "it begins with a space",
    ),
    (
        "- name: a\n  allow: [¶\"GET, POST /a\"]\n  from: [orders]\n",
        "write `GET,POST /path`",
    ),
    (
        "- name: a\n  allow: [¶\"GET ,POST /a\"]\n  from: [orders]\n",
        "write `GET,POST /path`",
    ),
    (
        "- name: a\n  allow: [¶\"GET,,POST /a\"]\n  from: [orders]\n",
        "a method is missing",
    ),
    (
        "- name: a\n  allow: [¶\"GET,* /a\"]\n  from: [orders]\n",
        "stands alone",
    ),
    (
        "- name: a\n  allow: [¶\"G@T /a\"]\n  from: [orders]\n",
        "`G@T` is no method",
    ),
    (
        "- name: a\n  allow: [GET /ok, ¶GET a]\n  from: [orders]\n",
        "a path begins with `/`",
    ),
    (
        "- name: a\n  allow: [¶GET /a/]\n  from: [orders]\n",
        "no trailing `/`",
    ),
    (
        "- name: a\n  allow: [¶GET /a%20b]\n  from: [orders]\n",
        "write the character itself",
    ),
    (
        "- name: a\n  allow: [¶GET /a*]\n  from: [orders]\n",
        "whole segment",
    ),
    (
        "- name: a\n  allow: [¶GET /**/a]\n  from: [orders]\n",
        "whole segment",
    ),
    (
        "- name: a\n  allow: [¶'GET /{in}']\n  from: [orders]\n",
        "CEL reserves the word `in`",
    ),
    (
        "- name: a\n  allow: [¶'GET /{a}/{a}']\n  from: [orders]\n",
        "stands twice in the path",
    ),
    (
        "- name: a\n  allow: [¶'GET /{1}']\n  from: [orders]\n",
        "is no capture",
    ),
    (
        "- name: a\n  allow: [¶GET /a/../b]\n  from: [orders]\n",
        "no request that is let through",
    ),
    (
        "- name: a\n  allow: [¶grpc /pkg.S/M]\n  from: [orders]\n",
        "after `grpc` stands `pkg.Service/Method`",
    ),
    (
        "- name: a\n  allow: [¶grpc pkg.S]\n  from: [orders]\n",
        "after `grpc` stands",
    ),
    (
        "- name: a\n  allow: [¶grpc */Get]\n  from: [orders]\n",
        "for another pattern write `POST` and the path",
    ),
    (
        "- name: a\n  allow: [¶'grpc pkg.S/{m}']\n  from: [orders]\n",
        "for another pattern write `POST`",
    ),
    (
        "- name: a\n  allow: [¶grpc pkg.S/**]\n  from: [orders]\n",
        "after `grpc` stands",
    ),
    (
        "- name: a\n  allow: [¶7]\n  from: [orders]\n",
        "`7` is a number",
    ),
    // Callers.
    (
        "- name: a\n  allow: [GET /a]\n  from: ¶orders\n",
        "write `[orders]`",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: ¶[]\n",
        "the list is empty",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from¶:\n",
        "nothing stands here",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: ¶{ a: b }\n",
        "a map stands here",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders, ¶oders]\n",
        "there is no principal `oders`; did you mean `orders`?",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [¶anyone]\n",
        "write `from: anyone`",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [¶spiffe://elsewhere.example/a]\n",
        "add `elsewhere.example: {}` under `trust_domains`",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [¶SPIFFE://example.org/a]\n",
        "lower case",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [¶own:/a/]\n",
        "is no ID pattern",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [¶on]\n",
        "there is no principal `on`",
    ),
    // Reasons, expressions, ends.
    (
        "- ¶name: a\n  allow: [GET /a]\n  from: anyone\n",
        "an allow `from: anyone` without `because`",
    ),
    (
        "- ¶name: a\n  allow: [GET /a]\n  from: authenticated\n  shadow: true\n",
        "an allow `from: authenticated` without `because`",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: anyone\n  because: ¶'  '\n",
        "the text is blank",
    ),
    (
        "- name: a\n  deny: [GET /a]\n  from: anyone\n  because¶:\n",
        "nothing is written here; write the reason",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  when¶:\n",
        "nothing is written here; write an expression",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  when: ¶\"\"\n",
        "blank",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  when: ¶[a]\n",
        "a list stands here",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  shadow: ¶on\n",
        "the text `on` stands here; write `true` or `false`",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  shadow: ¶1\n",
        "write `true` or `false`",
    ),
    (
        "- name: a\n  deny: [GET /a]\n  from: [orders]\n  ¶expires: 2031-01-31\n",
        "a deny does not expire",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  expires: ¶tomorrow\n",
        "`tomorrow` is no date",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  expires: ¶2031-02-30\n",
        "is no date",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  expires: ¶2031-01-31T18:00:00\n",
        "with its zone",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  expires: ¶20310131\n",
        "a number",
    ),
    // Users.
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: ¶needed\n",
        "write `required`, `absent`, or a map",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: ¶{}\n",
        "asks for nothing",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { ¶scope: [a] }\n",
        "did you mean `scopes`?",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { issuer: ¶stuff }\n",
        "there is no `stuff` under `users`; did you mean `staff`?",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { scopes: ¶read }\n",
        "where a list is meant",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { scopes: ¶[] }\n",
        "the list is empty",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { scopes: [¶7] }\n",
        "in quotes",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { subject: ¶7 }\n",
        "in quotes",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { claims: ¶{} }\n",
        "the map is empty",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { claims: ¶[a] }\n",
        "a list stands here",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { claims: { level: ¶.inf } }\n",
        "is no number of JSON",
    ),
    (
        "- name: a\n  allow: [GET /a]\n  from: [orders]\n  user: { claims: { a: { b: 1, ¶b: 2 } } }\n",
        "twice",
    ),
];

/// One entry of `tests` behind [`HEAD`] and [`RULE`].
const TESTS: &[(&str, &str)] = &[
    ("- ¶GET /a\n", "write the keys of a test"),
    ("- ¶expect: deny\n", "a test without `request`"),
    ("- ¶request: GET /a\n", "a test without `expect`"),
    (
        "- { request: GET /a, expect: ¶allowed }\n",
        "`allow` or `deny`",
    ),
    (
        "- { request: GET /a, expect: deny, ¶because: x }\n",
        "its keys are `name`, `peer`",
    ),
    (
        "- { request: GET /a, expect: allow, rule: ¶raed }\n",
        "there is no rule `raed`; did you mean `read`?",
    ),
    ("- { request: ¶GET, expect: deny }\n", "is no request"),
    ("- { request: ¶/a, expect: deny }\n", "is no request"),
    ("- { request: ¶\"G@T /a\", expect: deny }\n", "a token"),
    (
        "- { request: ¶grpc pkg, expect: deny }\n",
        "after `grpc` stands",
    ),
    (
        "- { request: GET /a, expect: deny, peer: ¶orders }\n",
        "`orders`",
    ),
    (
        "- { request: GET /a, expect: deny, peer: ¶spiffe://example.org }\n",
        "a path is missing",
    ),
    (
        "- { request: GET /a, expect: deny, headers: ¶[a] }\n",
        "a map of names",
    ),
    (
        "- { request: GET /a, expect: deny, headers: { ¶'a b': c } }\n",
        "no name of a header",
    ),
    (
        "- { request: GET /a, expect: deny, headers: { a: ¶7 } }\n",
        "in quotes",
    ),
    (
        "- { request: GET /a, expect: deny, headers: { a: [b, ¶\"c\\nd\"] } }\n",
        "no header has such a value",
    ),
    (
        "- { request: GET /a, expect: deny, user: ¶staff }\n",
        "the `user` of a request",
    ),
    (
        "- { request: GET /a, expect: deny, user: ¶{ subject: s } }\n",
        "without `issuer`",
    ),
    (
        "- { request: GET /a, expect: deny, user: { issuer: i, ¶sub: s } }\n",
        "has no key `sub`",
    ),
    (
        "- { request: GET /a, expect: deny, resource: ¶open }\n",
        "a map, such as",
    ),
    ("- { request: GET /a, expect: deny, name: ¶'' }\n", "blank"),
];

/// No YAML, or none that is read.
const SYNTAX: &[(&str, &str)] = &[
    ("version: 1\n¶\tname: x\n", "indent with spaces"),
    ("version: 1\nname: 'x\n¶rules: []\n", "close the quote"),
    ("version: 1\nname: \"x\n¶rules: []\n", "close the quote"),
    ("version: 1\nname: x\nrules: ¶[\n", "close every `[`"),
    ("version: 1\nname: x\nrules: ¶[}\n", "close every `[`"),
    ("version: 1\nname: ¶\"a\\q\"\nrules: []\n", "backslash"),
    ("version: 1\nname: x¶: y\nrules: []\n", "in quotes"),
    ("version: 1\nname: ¶@x\nrules: []\n", "in quotes"),
    ("version: 1\nname: ¶*x\nrules: []\n", "`*name` is an alias"),
    (
        "version: 1\nname: ¶!!str x\nrules: []\n",
        "`!!str` is a tag",
    ),
    ("version: 1\nname: x\nrules: ¶!r []\n", "`!r` is a tag"),
    (
        "version: 1\nname: x\nrules: &a [¶*a]\n",
        "within what it stands for",
    ),
    (
        "version: 1\nname: x\nrules: []\n¶---\nversion: 1\n",
        "a second document",
    ),
    ("version: 1\nname: x\n  y¶: z\n", "this is no YAML"),
];

#[test]
fn every_error_has_its_place_and_says_what_to_write_instead() {
    let rows = rows();
    assert!(rows.len() >= 80, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for (marked, piece) in &rows {
        let (text, at) = unmarked(marked);
        let told = told(&refused(&text));
        let hit = told
            .lines()
            .any(|line| line.starts_with(&at) && line.contains(piece));
        if !hit || told.lines().count() > 1 {
            wrong.push(format!(
                "{text}\n  expected {at}… {piece} …\n  got      {told}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_rows_are_good_files_but_for_what_they_show() {
    super::loaded(&format!("{HEAD}{RULE}"));
    super::loaded(&format!(
        "{HEAD}{RULE}tests: [{{ request: GET /a, expect: deny, rule: read }}]"
    ));
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
name: x
version: 2
rules:
- name: a
  allow: [GET a]
  from: [b]
  shadow: off
- from: anyone
  deny: []
colour: red
";
    let places: Vec<_> = refused(text)
        .iter()
        .map(|problem| (problem.line(), problem.column()))
        .collect();
    assert_eq!(
        places,
        [(2, 10), (5, 11), (6, 10), (7, 11), (8, 3), (9, 9), (10, 1)]
    );
}

#[test]
fn problems_and_messages_are_bounded() {
    let long = "x".repeat(1_000);
    let text: String = (0..200).map(|n| format!("{long}{n}: 1\n")).collect();
    let problems = refused(&text);
    assert_eq!(problems.len(), MAX_PROBLEMS);
    assert!(
        problems
            .iter()
            .all(|problem| problem.message().len() < 4_000)
    );

    let segment = format!(
        "version: 1\nname: x\nrules: [{{ name: a, allow: ['GET /{{{long}.}}'], from: [] }}]"
    );
    assert!(
        refused(&segment)
            .iter()
            .all(|problem| problem.message().len() < 4_000)
    );
}

fn rows() -> Vec<(String, &'static str)> {
    let files = FILES
        .iter()
        .chain(SYNTAX)
        .map(|(text, piece)| ((*text).to_owned(), *piece));
    let rules = RULES
        .iter()
        .map(|(text, piece)| (format!("{HEAD}{text}"), *piece));
    let tests = TESTS
        .iter()
        .map(|(text, piece)| (format!("{HEAD}{RULE}tests:\n{text}"), *piece));
    files.chain(rules).chain(tests).collect()
}

/// The text without its mark, and `LINE:COLUMN:` of the mark.
fn unmarked(text: &str) -> (String, String) {
    let (before, after) = text.split_once('¶').expect("a row marks a place");
    let line = before.matches('\n').count() + 1;
    let column = before
        .chars()
        .rev()
        .take_while(|sign| *sign != '\n')
        .count()
        + 1;
    (format!("{before}{after}"), format!("{line}:{column}: "))
}
