//! The part of CEL that the random policies use, as a tree and as text.

use std::fmt::Write as _;

/// Something that is true, false or an error.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Equal(Term, Term),
    Unequal(Term, Term),
    Less(Term, Term),
    In(Term, Term),
    StartsWith(Term, Term),
    /// `"name" in request.headers`
    HasHeader(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Term {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Self>),
    Path(String),
    Id(String),
    PeerId,
    PeerTrustDomain,
    Method,
    RequestPath,
    Host,
    /// Every value of a header.
    Header(String),
    HeaderAt(String, usize),
    UserSubject,
    UserIssuer,
    UserScopes,
    /// A claim, and a key in it, and so on.
    Claim(Vec<String>),
    /// The resource itself where there are no keys.
    Resource(Vec<String>),
}

/// How an expression is written where the language leaves a choice.
pub(crate) trait Taste {
    /// Parentheses where none are needed.
    fn superfluous_parentheses(&mut self) -> bool;
    /// `'` in place of `"`.
    fn single_quotes(&mut self) -> bool;
    /// `["key"]` in place of `.key`.
    fn index_by_key(&mut self) -> bool;
    /// What stands around an operator.
    fn gap(&mut self) -> &'static str;
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    Or,
    And,
    Relation,
    Not,
    Primary,
}

impl Expression {
    pub(crate) fn text(&self, taste: &mut impl Taste) -> String {
        let mut text = String::new();
        self.write(&mut text, Strength::Or, taste);
        text
    }

    fn write(&self, out: &mut String, least: Strength, taste: &mut impl Taste) {
        let wrapped = self.strength() < least || taste.superfluous_parentheses();
        if wrapped {
            out.push('(');
        }
        match self {
            Self::Not(inner) => {
                out.push('!');
                inner.write(out, Strength::Primary, taste);
            }
            Self::And(left, right) => {
                left.write(out, Strength::And, taste);
                operator(out, "&&", taste);
                right.write(out, Strength::Relation, taste);
            }
            Self::Or(left, right) => {
                left.write(out, Strength::Or, taste);
                operator(out, "||", taste);
                right.write(out, Strength::And, taste);
            }
            Self::Equal(left, right) => relation(out, left, "==", right, taste),
            Self::Unequal(left, right) => relation(out, left, "!=", right, taste),
            Self::Less(left, right) => relation(out, left, "<", right, taste),
            Self::In(left, right) => {
                left.write(out, taste);
                out.push_str(" in ");
                right.write(out, taste);
            }
            Self::StartsWith(text, start) => {
                text.write(out, taste);
                out.push_str(".startsWith(");
                start.write(out, taste);
                out.push(')');
            }
            Self::HasHeader(name) => {
                quoted(out, name, taste);
                out.push_str(" in request.headers");
            }
        }
        if wrapped {
            out.push(')');
        }
    }

    fn strength(&self) -> Strength {
        match self {
            Self::Or(..) => Strength::Or,
            Self::And(..) => Strength::And,
            Self::Not(_) => Strength::Not,
            Self::StartsWith(..) => Strength::Primary,
            Self::Equal(..)
            | Self::Unequal(..)
            | Self::Less(..)
            | Self::In(..)
            | Self::HasHeader(_) => Strength::Relation,
        }
    }
}

impl Term {
    fn write(&self, out: &mut String, taste: &mut impl Taste) {
        match self {
            Self::Text(text) => quoted(out, text, taste),
            Self::Integer(number) => write!(out, "{number}").unwrap(),
            Self::Boolean(truth) => write!(out, "{truth}").unwrap(),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.write(out, taste);
                }
                out.push(']');
            }
            Self::Path(name) => write!(out, "path.{name}").unwrap(),
            Self::Id(name) => write!(out, "id.{name}").unwrap(),
            Self::PeerId => out.push_str("peer.id"),
            Self::PeerTrustDomain => out.push_str("peer.trust_domain"),
            Self::Method => out.push_str("request.method"),
            Self::RequestPath => out.push_str("request.path"),
            Self::Host => out.push_str("request.host"),
            Self::Header(name) => {
                out.push_str("request.headers[");
                quoted(out, name, taste);
                out.push(']');
            }
            Self::HeaderAt(name, index) => {
                Self::Header(name.clone()).write(out, taste);
                write!(out, "[{index}]").unwrap();
            }
            Self::UserSubject => out.push_str("user.subject"),
            Self::UserIssuer => out.push_str("user.issuer"),
            Self::UserScopes => out.push_str("user.scopes"),
            Self::Claim(keys) => {
                out.push_str("user.claims");
                select(out, keys, taste);
            }
            Self::Resource(keys) => {
                out.push_str("resource");
                select(out, keys, taste);
            }
        }
    }
}

fn relation(out: &mut String, left: &Term, sign: &str, right: &Term, taste: &mut impl Taste) {
    left.write(out, taste);
    operator(out, sign, taste);
    right.write(out, taste);
}

fn operator(out: &mut String, sign: &str, taste: &mut impl Taste) {
    let gap = taste.gap();
    write!(out, "{gap}{sign}{gap}").unwrap();
}

fn select(out: &mut String, keys: &[String], taste: &mut impl Taste) {
    for key in keys {
        if taste.index_by_key() {
            out.push('[');
            quoted(out, key, taste);
            out.push(']');
        } else {
            write!(out, ".{key}").unwrap();
        }
    }
}

fn quoted(out: &mut String, text: &str, taste: &mut impl Taste) {
    let quote = if taste.single_quotes() { '\'' } else { '"' };
    out.push(quote);
    for c in text.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(quote);
}
