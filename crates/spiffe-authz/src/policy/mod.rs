//! Policies: named sets of rules, in a file or in code, that are decided by the canonical path of a request.
//!
//! A rule allows or denies actions (methods and a path, or an RPC) to callers (SPIFFE IDs), perhaps on
//! behalf of an end user, perhaps under a condition. All ways to write a policy come to one compiled
//! form, whose answer takes time by the length of the path and by the rules that compete for it, not by
//! how many rules there are.
//!
//! ```
//! use http::{HeaderMap, Method};
//! use spiffe_authz::policy::{Policy, Query};
//! use spiffe_peer::parse;
//!
//! let policy = Policy::from_yaml(r#"
//! version: 1
//! name: disclosures
//! trust_domains:
//!   regulator.example.gov: { federated: true }
//! principals:
//!   partner: "spiffe://regulator.example.gov/office/{office}/client"
//! rules:
//!   - name: own-office-only
//!     allow: ["GET /offices/{office}/disclosures/{id}"]
//!     from: [partner]
//!     when: path.office == id.office
//! "#)?;
//!
//! let headers = HeaderMap::new();
//! let berlin = parse::workload_id("spiffe://regulator.example.gov/office/berlin/client")?;
//! let own = Query::new(&Method::GET, "/offices/berlin/disclosures/7", &headers).peer(&berlin);
//! assert!(policy.decide(&own).is_allowed());
//! let other = Query::new(&Method::GET, "/offices/paris/disclosures/7", &headers).peer(&berlin);
//! assert_eq!(policy.decide(&other).status(), 403);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A decision
//!
//! 1. What can be read in two ways is refused ([`canonical`](crate::canonical)): 400.
//! 2. An end user whose token is not to be believed is refused: 401. A policy without `users` looks at none.
//! 3. One rule that denies and matches, or whose condition cannot be evaluated, denies.
//! 4. Else one rule that allows and matches allows; one whose condition cannot be evaluated does not match.
//! 5. Else the request is denied: 401 without an identity, 403 with one.
//!
//! What is in `shadow`, a rule or a whole policy, changes nothing: its outcome is recorded beside the real one.
//!
//! # Conditions
//!
//! A `when` is an expression in CEL that must be true. What cannot exist where its rule applies is an
//! error when the policy is loaded.
//!
//! | name | type |
//! |---|---|
//! | `path.NAME`, `id.NAME` | text: what every action, or every ID pattern, of the rule captures |
//! | `peer.id`, `peer.trust_domain` | text |
//! | `request.method`, `request.path`, `request.host` | text |
//! | `request.headers["x"]` | list of texts, one for each value; names in lower case; `host` is not among them |
//! | `user.subject`, `user.issuer` | text |
//! | `user.scopes` | list of texts |
//! | `user.claims`, `resource` | dynamic: JSON, whose numbers are `int`, else `uint`, else `double` |
//!
//! Reading what is absent is an error of the evaluation, and so is a header value that is not UTF-8, where
//! it is read. `"x" in request.headers` and `has(..)` ask whether something is there; `has(peer.id)`,
//! `has(user.subject)` and `has(request.host)` ask it of the peer, the end user and the authority.
//!
//! What can be done with it:
//!
//! | form | takes | gives |
//! |---|---|---|
//! | `a && b`, `a \|\| b`, `!a` | bool | bool; `&&` and `\|\|` absorb an error on one side |
//! | `a ? b : c` | bool, two of one type | that type |
//! | `a == b`, `a != b` | two of one type, or two numbers of any kind | bool |
//! | `<`, `<=`, `>`, `>=` | two texts, two numbers | bool |
//! | `a in b` | a list, or a map and a key | bool |
//! | `+`, `-`, `*`, `/`, `%` | two numbers of one kind; `+` also two texts, two lists | the same |
//! | `text.startsWith(t)`, `text.endsWith(t)`, `text.contains(t)` | texts | bool |
//! | `text.matches("regex")` | a text, an expression that is written out; a search, not a whole match, in which `.` meets a newline too | bool |
//! | `text.lowerAscii()` | a text | text |
//! | `size(v)`, `v.size()` | a text (in characters), a list, a map | int |
//! | `int(v)`, `uint(v)`, `double(v)`, `string(v)` | a number or a text; `string` also a bool | what it is named for |
//! | `list.all(x, c)`, `list.exists(x, c)`, `list.exists_one(x, c)` | a list and a condition on its elements | bool |
//! | `list.filter(x, c)`, `list.map(x, v)`, `list.map(x, c, v)` | a list | list |
//! | `[a, b]`, `{"k": v}` | | list, map |
//!
//! A dynamic value can stand wherever a type is wanted; where it is of another type at the request, that
//! is an error of the evaluation. There is nothing else: no bytes, times, durations, structs or
//! optional values.
//!
//! Its limits:
//!
//! 16 KiB, 256 operators (`.`, indexes and calls count) and a nesting of 32, held before the text is
//! parsed. Operators in a chain nest, except `&&` and `||`. Comprehensions stand at most two deep in each
//! other, none goes through what `map` gives, and `+` joins no texts or lists in what is gone through, nor
//! two deep. A regular expression takes at most 256 KiB. One evaluation goes through at most 100 000
//! elements and pieces of JSON; more is an error.
//!
//! # Files
//!
//! [`Policy::from_path`] reads one, [`LivePolicy`] follows one. Write a file aside and rename it over the
//! old one: a rule that is cut off in the middle can be a rule without its condition.

mod builder;
mod caller;
mod case;
mod condition;
mod decision;
mod error;
mod index;
mod live;
mod loaded;
pub(crate) mod model;
pub(crate) mod path;
mod principals;
pub(crate) mod query;
pub mod review;
mod source;
mod users;
mod yaml;

pub(crate) use index::{NeedsResource, Step};
pub(crate) use live::Replaced;

pub use builder::{PolicyBuilder, PolicyRule};
pub use decision::{Decision, Shadow};
pub use error::{InvalidPolicy, Problem};
pub use live::{LivePolicy, PolicyStatus};
pub use loaded::{Loader, Policy};
pub use query::Query;
pub use source::PolicySource;
