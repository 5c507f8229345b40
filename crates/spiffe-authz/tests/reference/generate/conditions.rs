use super::vocabulary::{
    HEADERS, HOSTS, ID_WORDS, ISSUERS, METHODS, ODD_WORDS, ROLES, SCOPES, SUBJECTS, TRUST_DOMAINS,
    WORDS,
};
use crate::expression::{Expression, Term};
use crate::random::Random;

/// What can exist where a rule applies.
pub(super) struct Scope {
    /// What each of its actions captures.
    pub(super) path: Vec<String>,
    /// What each of its ID patterns captures.
    pub(super) id: Vec<String>,
    /// Whether it has several actions or ID patterns.
    pub(super) has_pairs: bool,
    pub(super) has_peer: bool,
    pub(super) has_users: bool,
}

pub(super) fn expression(scope: &Scope, random: &mut Random) -> Expression {
    let depth = *random.item(&[0, 0, 1, 1, 2, 3]);
    let condition = branch(scope, depth, random);
    let captures = !scope.path.is_empty() || !scope.id.is_empty();
    if !scope.has_pairs || !captures || random.percent(15) {
        return condition;
    }
    // Each pair is to have an answer of its own: one an error, another none.
    let capture = if scope.id.is_empty() || (!scope.path.is_empty() && random.percent(50)) {
        let name = random.item(&scope.path).clone();
        Expression::Equal(
            Term::Path(name),
            Term::Text(random.one_of(WORDS).to_owned()),
        )
    } else {
        let name = random.item(&scope.id).clone();
        Expression::Equal(
            Term::Id(name),
            Term::Text(random.one_of(ID_WORDS).to_owned()),
        )
    };
    let condition = match random.below(4) {
        0 => about_lists_of_headers(random),
        1 => about_resource(random),
        _ => condition,
    };
    if random.percent(70) {
        Expression::Or(Box::new(capture), Box::new(condition))
    } else {
        Expression::And(Box::new(condition), Box::new(capture))
    }
}

fn branch(scope: &Scope, depth: usize, random: &mut Random) -> Expression {
    if depth == 0 {
        return leaf(scope, random);
    }
    let one = Box::new(branch(scope, depth - 1, random));
    if random.percent(20) {
        return Expression::Not(one);
    }
    let other = Box::new(branch(scope, random.below(depth), random));
    if random.percent(50) {
        Expression::And(one, other)
    } else {
        Expression::Or(one, other)
    }
}

fn leaf(scope: &Scope, random: &mut Random) -> Expression {
    match random.below(100) {
        0..12 => Expression::HasHeader(random.one_of(HEADERS).to_owned()),
        12..20 => about_lists_of_headers(random),
        20..40 => about_resource(random),
        40..52 if scope.has_users => about_user(random),
        _ => about_text(scope, random),
    }
}

/// A text that is known, and what it is likely to be.
fn known_text(scope: &Scope, random: &mut Random) -> (Term, &'static [&'static str]) {
    loop {
        match random.below(12) {
            0..4 if !scope.path.is_empty() => {
                return (Term::Path(random.item(&scope.path).clone()), WORDS);
            }
            4..7 if !scope.id.is_empty() => {
                return (Term::Id(random.item(&scope.id).clone()), ID_WORDS);
            }
            7 if scope.has_peer || random.percent(50) => {
                return (Term::PeerTrustDomain, TRUST_DOMAINS);
            }
            8 if scope.has_peer || random.percent(20) => {
                return (
                    Term::PeerId,
                    &["spiffe://prod.example/ns/web", "spiffe://stage.example/7"],
                );
            }
            9 => return (Term::Method, METHODS),
            10 => {
                return (
                    Term::RequestPath,
                    &["/orders/7", "/", "/docs", "/shop.Orders/List"],
                );
            }
            11 if random.percent(50) => return (Term::Host, HOSTS),
            0..7 if random.percent(30) => {
                return (
                    Term::HeaderAt(random.one_of(HEADERS).to_owned(), random.below(2)),
                    ROLES,
                );
            }
            _ => {}
        }
    }
}

fn about_text(scope: &Scope, random: &mut Random) -> Expression {
    let (text, likely) = known_text(scope, random);
    let mut literal = || {
        let word = match random.below(20) {
            // What no host can be is an error of the policy.
            0 if !matches!(text, Term::Host) => random.one_of(ODD_WORDS),
            _ => random.one_of(likely),
        };
        Term::Text(word.to_owned())
    };
    let (first, second) = (literal(), literal());
    match random.below(10) {
        0..3 => Expression::Equal(text, first),
        3 => Expression::Equal(first, text),
        4 => Expression::Unequal(text, first),
        5 => Expression::In(text, Term::List(vec![first, second])),
        6 => {
            let start: String = random
                .one_of(likely)
                .chars()
                .take(random.between(0, 12))
                .collect();
            Expression::StartsWith(text, Term::Text(start))
        }
        _ => {
            let (other, _) = known_text(scope, random);
            Expression::Equal(text, other)
        }
    }
}

fn about_lists_of_headers(random: &mut Random) -> Expression {
    let header = Term::Header(random.one_of(HEADERS).to_owned());
    Expression::In(Term::Text(random.one_of(ROLES).to_owned()), header)
}

fn about_user(random: &mut Random) -> Expression {
    let claim = |name: &str| Term::Claim(vec![name.to_owned()]);
    let text = |words: &[&str], random: &mut Random| Term::Text(random.one_of(words).to_owned());
    match random.below(7) {
        0 => Expression::Equal(Term::UserSubject, text(SUBJECTS, random)),
        1 => Expression::Unequal(Term::UserIssuer, text(ISSUERS, random)),
        2 | 3 => Expression::In(text(SCOPES, random), Term::UserScopes),
        4 => Expression::Equal(claim("team"), text(&["web", "7"], random)),
        5 => Expression::Equal(claim("level"), Term::Integer(7)),
        _ => Expression::In(text(&["admin", "team"], random), Term::Claim(Vec::new())),
    }
}

fn about_resource(random: &mut Random) -> Expression {
    let field = |keys: &[&str]| Term::Resource(keys.iter().map(|key| (*key).to_owned()).collect());
    let text = |words: &[&str], random: &mut Random| Term::Text(random.one_of(words).to_owned());
    match random.below(10) {
        0..3 => Expression::Equal(field(&["state"]), text(&["draft", "web"], random)),
        3 => Expression::Unequal(field(&["state"]), text(&["draft"], random)),
        4 => Expression::Less(field(&["count"]), Term::Integer(7)),
        5 => Expression::Equal(field(&["count"]), Term::Integer(7)),
        6 => Expression::In(text(&["web", "docs"], random), field(&["tags"])),
        7 => Expression::Equal(field(&["public"]), Term::Boolean(random.percent(50))),
        8 => Expression::StartsWith(field(&["meta", "tier"]), text(&["g", "w"], random)),
        _ => Expression::In(text(&["state", "meta"], random), field(&[])),
    }
}
