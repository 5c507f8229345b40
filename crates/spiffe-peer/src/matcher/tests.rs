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
fn what_is_not_in_a_set_is_taken_away_in_every_trust_domain() {
    let own = || IdMatcher::member_of(TrustDomain::new("example.org").unwrap());
    let foreign = || IdMatcher::member_of(TrustDomain::new("partner.test").unwrap());
    let service = || pattern("spiffe://example.org/service/*");
    for set in [
        own().or(foreign()).except(service().not()),
        own()
            .or(foreign())
            .except(own().or(foreign()).except(service())),
        own().or(foreign()).and(service().not().or(foreign()).not()),
    ] {
        assert_eq!(members(&set), EVERYBODY[..2], "{set:?}");
    }
}

/// A set beside what plain sets make of it.
#[derive(Clone)]
struct Model {
    set: IdMatcher,
    /// Who is in it, whatever it names.
    members: [bool; EVERYBODY.len()],
    /// Who is of a trust domain that it names.
    named: [bool; EVERYBODY.len()],
    /// Whether it negates, other than in what it takes away.
    negates: bool,
}

/// A fixed sequence: what fails once fails always.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

impl Model {
    fn random(choices: &mut Choices, depth: usize) -> Self {
        if depth == 0 || choices.below(4) == 0 {
            return Self::block(choices.below(6));
        }
        let mut inner = || Self::random(choices, depth - 1);
        let (one, other, third) = (inner(), inner(), inner());
        match choices.below(7) {
            0 | 1 => Self {
                set: one.set.not(),
                members: one.members.map(|is_member| !is_member),
                named: one.named,
                negates: true,
            },
            2 => {
                let set = one.set.clone().and(other.set.clone());
                Self::of(set, [&one, &other], |[one, other]| one && other)
            }
            3 => {
                let set = one.set.clone().or(other.set.clone());
                Self::of(set, [&one, &other], |[one, other]| one || other)
            }
            4 => {
                let set = one.set.clone().except(other.set.clone());
                Self {
                    negates: one.negates,
                    ..Self::of(set, [&one, &other], |[one, other]| one && !other)
                }
            }
            5 => {
                let parts = [&one, &other, &third];
                let set = IdMatcher::all_of(parts.map(|part| part.set.clone()));
                Self::of(set, parts, |are| are.into_iter().all(|is| is))
            }
            _ => {
                let parts = [&one, &other, &third];
                let set = IdMatcher::any_of(parts.map(|part| part.set.clone()));
                Self::of(set, parts, |are| are.into_iter().any(|is| is))
            }
        }
    }

    fn block(index: usize) -> Self {
        let block = |set, domain: &str, members: &[usize]| Self {
            set,
            members: std::array::from_fn(|index| members.contains(&index)),
            named: EVERYBODY.map(|text| text.split('/').nth(2) == Some(domain)),
            negates: false,
        };
        let all_of = |name| IdMatcher::member_of(TrustDomain::new(name).unwrap());
        match index {
            0 => block(pattern(EVERYBODY[0]), "example.org", &[0]),
            1 => {
                let services = pattern("spiffe://example.org/service/*");
                block(services, "example.org", &[0, 1])
            }
            2 => {
                let services = pattern("spiffe://partner.test/service/**");
                block(services, "partner.test", &[7])
            }
            3 => block(all_of("example.org"), "example.org", &[0, 1, 2, 3, 4]),
            4 => block(all_of("partner.test"), "partner.test", &[7, 8]),
            _ => block(IdMatcher::any_of::<IdMatcher>([]), "", &[]),
        }
    }

    fn of<const N: usize>(
        set: IdMatcher,
        parts: [&Self; N],
        combined: impl Fn([bool; N]) -> bool,
    ) -> Self {
        Self {
            set,
            members: std::array::from_fn(|index| combined(parts.map(|part| part.members[index]))),
            named: std::array::from_fn(|index| parts.iter().any(|part| part.named[index])),
            negates: parts.iter().any(|part| part.negates),
        }
    }
}

#[test]
fn nobody_is_a_member_who_is_none_of_plain_sets_or_of_no_named_trust_domain() {
    let mut choices = Choices(0x9e37_79b9_7f4a_7c15);
    let (mut members, mut strangers, mut narrowed) = (0, 0, 0);
    for _ in 0..20_000 {
        let model = Model::random(&mut choices, 4);
        for (index, text) in EVERYBODY.into_iter().enumerate() {
            let (plain, named) = (model.members[index], model.named[index]);
            let is_member = model.set.matches(&id(text));
            assert!(!is_member || plain && named, "{text} {:?}", model.set);
            assert!(
                model.negates || is_member == plain,
                "{text} is lost, and nothing is negated: {:?}",
                model.set
            );
            members += u32::from(is_member);
            strangers += u32::from(plain && !named);
            narrowed += u32::from(plain && named && !is_member);
        }
    }
    for (count, what) in [
        (members, "members"),
        (strangers, "members of plain sets alone, whom nobody named"),
        (narrowed, "members of plain sets alone, of named domains"),
    ] {
        assert!(count > 1_000, "control: {count} {what}");
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
