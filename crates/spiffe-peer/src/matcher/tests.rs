use super::*;
use crate::parse;

const EVERYBODY: [&str; 9] = [
    "spiffe://example.org/service/payment-processor",
    "spiffe://example.org/service/payment-processor-2",
    "spiffe://example.org/services/payment-processor",
    "spiffe://example.org/service",
    "spiffe://example.org/ns/shop/sa/orders",
    "spiffe://example.org.evil/service/payment-processor",
    "spiffe://sub.example.org/service/payment-processor",
    "spiffe://partner.test/service/payment-processor",
    "spiffe://partner.test/ns/shop/sa/orders",
];

fn id(text: &str) -> SpiffeId {
    parse::spiffe_id(text).unwrap()
}

fn pattern(text: &str) -> IdMatcher {
    text.parse::<IdPattern>().unwrap().into()
}

fn members(set: &IdMatcher) -> Vec<&'static str> {
    let is_member = |text: &&str| set.matches(&id(text));
    EVERYBODY.into_iter().filter(is_member).collect()
}

fn building_blocks() -> Vec<IdMatcher> {
    vec![
        pattern("spiffe://example.org/service/payment-processor"),
        pattern("spiffe://example.org/service/*"),
        pattern("spiffe://example.org/**"),
        pattern("spiffe://partner.test/service/**"),
        IdMatcher::member_of(TrustDomain::new("example.org").unwrap()),
        IdMatcher::member_of(TrustDomain::new("partner.test").unwrap()),
        IdMatcher::any_of::<IdMatcher>([]),
        IdMatcher::all_of::<IdMatcher>([]),
    ]
}

/// Every set that up to so many operations make of the building blocks.
fn sets_of(operations: usize) -> Vec<IdMatcher> {
    let mut sets = building_blocks();
    for _ in 0..operations {
        let former = sets.clone();
        for set in &former {
            sets.push(set.clone().not());
            for block in building_blocks() {
                sets.push(set.clone().and(block.clone()));
                sets.push(set.clone().or(block.clone()));
                sets.push(set.clone().except(block.clone()));
                sets.push(block.clone().and(set.clone()));
                sets.push(block.except(set.clone()));
            }
        }
    }
    sets
}

#[test]
fn a_set_of_nothing_has_no_members_in_any_combination() {
    let any = || IdMatcher::any_of::<IdMatcher>([]);
    let all = || IdMatcher::all_of::<IdMatcher>([]);
    for empty in [
        any(),
        all(),
        any().not(),
        all().not(),
        any().or(all()),
        any().or(all()).not(),
        all().and(pattern("spiffe://example.org/**")),
        all().and(pattern("spiffe://example.org/**")).not(),
        any().except(pattern("spiffe://example.org/service/*")),
        IdMatcher::all_of([any(), all().not()]),
    ] {
        assert!(members(&empty).is_empty(), "{empty:?}");
    }
}

#[test]
fn look_alikes_are_no_members() {
    let exact = pattern("spiffe://example.org/service/payment-processor");
    assert_eq!(
        members(&exact),
        ["spiffe://example.org/service/payment-processor"]
    );
    let own = IdMatcher::member_of(TrustDomain::new("example.org").unwrap());
    assert_eq!(members(&own), EVERYBODY[..5]);
    assert_eq!(members(&own.and(exact).not()), EVERYBODY[1..5]);
}

#[test]
fn the_operations_are_those_of_sets() {
    let sets = sets_of(1);
    let blocks = building_blocks();
    for (set, block) in sets
        .iter()
        .flat_map(|set| blocks.iter().map(move |block| (set, block)))
    {
        let both = set.clone().and(block.clone());
        let either = set.clone().or(block.clone());
        let difference = set.clone().except(block.clone());
        for text in EVERYBODY {
            let (one, other) = (set.matches(&id(text)), block.matches(&id(text)));
            assert_eq!(both.matches(&id(text)), one && other, "{text} {both:?}");
            assert_eq!(either.matches(&id(text)), one || other, "{text} {either:?}");
            assert_eq!(
                difference.matches(&id(text)),
                one && !other,
                "{text} {difference:?}"
            );
        }
    }
}

#[test]
fn a_negation_shares_nobody_with_its_set_and_its_own_negation_is_the_set() {
    for set in sets_of(2) {
        let others = members(&set.clone().not());
        let own = members(&set);
        assert!(own.iter().all(|text| !others.contains(text)), "{set:?}");
        assert_eq!(members(&set.clone().not().not()), own, "{set:?}");
    }
}

#[test]
fn nobody_beyond_the_named_trust_domains_is_a_member() {
    for set in sets_of(2) {
        for stranger in [
            "spiffe://example.org.evil/service/payment-processor",
            EVERYBODY[6],
        ] {
            assert!(!set.matches(&id(stranger)), "{stranger} {set:?}");
        }
    }
}

#[test]
fn a_trust_domain_is_no_workload() {
    for set in sets_of(2) {
        for no_workload in ["spiffe://example.org", "spiffe://partner.test"] {
            assert!(!set.matches(&id(no_workload)), "{no_workload} {set:?}");
        }
    }
}

#[test]
fn a_long_chain_is_a_long_list() {
    let one = pattern("spiffe://example.org/service/payment-processor");
    let mut chains = [one.clone(), one.clone(), one.clone()];
    for _ in 0..100_000 {
        let [any, all, rest] = chains;
        let other = || pattern("spiffe://partner.test/service/other");
        chains = [any.or(other()), all.and(one.clone()), rest.except(other())];
    }
    for chain in &chains {
        assert_eq!(members(chain).len(), 1);
    }
}
