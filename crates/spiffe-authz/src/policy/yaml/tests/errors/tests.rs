//! What is wrong in an entry of `tests`. One entry to a row.

#[rustfmt::skip]
pub(super) const ROWS: &[(&str, &str)] = &[
    ("- ¶GET /a\n", "write the keys of a test"),
    ("- ¶expect: deny\n", "a test without `request`"),
    ("- ¶request: GET /a\n", "a test without `expect`"),
    ("- { request: GET /a, expect: ¶allowed }\n", "`allow` or `deny`"),
    ("- { request: GET /a, expect: deny, ¶because: x }\n", "its keys are `name`, `peer`"),
    ("- { request: GET /a, expect: allow, rule: ¶raed }\n", "there is no rule `raed` (did you mean `read`?)"),
    ("- { request: ¶GET, expect: deny }\n", "is no request"),
    ("- { request: ¶/a, expect: deny }\n", "is no request"),
    ("- { request: ¶\"G@T /a\", expect: deny }\n", "a token"),
    ("- { request: ¶grpc pkg, expect: deny }\n", "after `grpc` stands"),
    ("- { request: GET /a, expect: deny, peer: ¶orders }\n", "`orders`"),
    ("- { request: GET /a, expect: deny, peer: ¶spiffe://example.org }\n", "a path is missing"),
    ("- { request: GET /a, expect: deny, headers: ¶[a] }\n", "a map of names"),
    ("- { request: GET /a, expect: deny, headers: ¶~ }\n", "nothing stands here; write a map"),
    ("- { request: GET /a, expect: deny, headers: { ¶'a b': c } }\n", "no name of a header"),
    ("- { request: GET /a, expect: deny, headers: { a: ¶7 } }\n", "in quotes"),
    ("- { request: GET /a, expect: deny, headers: { a: [b, ¶\"c\\nd\"] } }\n", "no header has such a value"),
    ("- { request: GET /a, expect: deny, user: ¶staff }\n", "the `user` of a request"),
    ("- { request: GET /a, expect: deny, user: ¶{ subject: s } }\n", "without `issuer`"),
    ("- { request: GET /a, expect: deny, user: { issuer: i, ¶sub: s } }\n", "has no key `sub`"),
    ("- { request: GET /a, expect: deny, resource: ¶open }\n", "a map, such as"),
    ("- { request: GET /a, expect: deny, name: ¶'' }\n", "blank"),
];
