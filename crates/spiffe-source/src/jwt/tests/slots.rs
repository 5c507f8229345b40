use spiffe_verify::JwtVerifier;

use super::super::audience::Audience;
use super::super::slots::{Departure, Found, Key, Moment, Pace, Slots};
use super::*;

const CAPACITY: usize = 8;

fn key(number: usize) -> Key {
    Key {
        id: id(ORDERS),
        audience: Audience::new([number.to_string()]).unwrap(),
    }
}

fn moment() -> Moment {
    Moment {
        now: SystemTime::now(),
        instant: Instant::now(),
        revision: 1,
    }
}

struct Filled {
    slots: Slots,
    ca: Authority,
}

impl Filled {
    fn new() -> Self {
        let mut filled = Self {
            slots: Slots::new(CAPACITY),
            ca: Authority::new("example.org").unwrap(),
        };
        for number in 0..CAPACITY {
            let departure = filled.ask(number).1.expect("it is not held");
            filled.settle(&departure);
        }
        filled
    }

    fn ask(&mut self, number: usize) -> (Found, Option<Departure>) {
        self.slots.ask(key(number), moment())
    }

    fn settle(&mut self, departure: &Departure) {
        let Key { id, audience } = &*departure.key;
        let token = self.ca.issue_jwt(id, audience.as_slice(), LIFE).unwrap();
        let provider = spiffe_verify::default_provider().unwrap();
        let verifier = JwtVerifier::new(provider, audience.as_slice()).unwrap();
        let token = IssuedJwtSvid::new(token).into_token();
        let svid =
            OwnJwtSvid::check(&token, &departure.key, None, &verifier, SystemTime::now()).unwrap();
        let pace = |_| Pace {
            refresh_after: 500,
            retry_after: Duration::ZERO,
            refuse_for: Duration::ZERO,
        };
        let outcome = Ok(Arc::new(svid));
        self.slots
            .settle(&departure.key, departure.number, &outcome, moment(), pace);
    }
}

#[test]
fn invariant_14_the_token_that_was_not_asked_for_the_longest_makes_room() {
    let mut filled = Filled::new();
    assert_eq!(filled.slots.held(), CAPACITY);
    assert!(matches!(filled.ask(0), (Found::Token(_), None)));
    let departure = filled.ask(CAPACITY).1.expect("it is not held");
    filled.settle(&departure);
    assert_eq!(filled.slots.held(), CAPACITY);
    for number in (0..=CAPACITY).filter(|number| *number != 1) {
        let found = filled.ask(number).0;
        assert!(matches!(found, Found::Token(_)), "{number}");
    }
    assert!(filled.ask(1).1.is_some(), "it is fetched anew");
}

#[test]
fn invariant_14_what_is_being_fetched_makes_no_room() {
    let mut filled = Filled::new();
    let departures: Vec<_> = (CAPACITY..2 * CAPACITY)
        .map(|number| filled.ask(number).1.expect("one makes room"))
        .collect();
    assert_eq!(filled.slots.held(), 0);
    let (found, departure) = filled.ask(2 * CAPACITY);
    let Found::Refusal(error) = found else {
        panic!("there is no room");
    };
    assert!(error.is_unavailable() && departure.is_none(), "{error}");
    // One that is under way is shared nevertheless.
    assert!(matches!(filled.ask(CAPACITY), (Found::Fetch(_), None)));
    filled.settle(&departures[0]);
    assert!(filled.ask(2 * CAPACITY).1.is_some(), "control");
}

#[test]
fn an_answer_to_a_question_of_before_is_not_held() {
    let mut filled = Filled::new();
    let old = filled.ask(CAPACITY).1.unwrap();
    filled.slots.withdraw(2);
    assert!(old.withdrawn.is_cancelled());
    let new = filled.ask(CAPACITY).1.unwrap();
    filled.settle(&old);
    assert_eq!(filled.slots.held(), 0);
    filled.settle(&new);
    assert_eq!(filled.slots.held(), 1);
}

#[test]
fn a_withdrawal_leaves_what_came_after_it() {
    let mut filled = Filled::new();
    filled.slots.withdraw(1);
    assert_eq!(filled.slots.held(), CAPACITY);
    filled.slots.withdraw(2);
    assert_eq!(filled.slots.held(), 0);
}
