//! Chains that are changed at random.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::case::{Bundles, Case, Role, Verdict};
use crate::der;
use crate::judge::Judge;

/// What became of so many mutations.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Chains that were verified.
    pub count: usize,
    /// Those that were refused.
    pub refused: usize,
    /// Those that came out as something that an authority has signed: unchanged, mended, or changed
    /// only behind what proves the identity.
    pub originals: usize,
    /// Those that were accepted and should not have been, described.
    pub accepted: Vec<String>,
    /// Those at which the verifier panicked, described.
    pub panics: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mutated chains: {} refused, {} accepted that are originals, {} accepted that are none, {} panics",
            self.count,
            self.refused,
            self.originals,
            self.accepted.len(),
            self.panics.len()
        )
    }
}

/// Changes chains of the corpus `count` times, and verifies each.
#[must_use]
pub fn run(cases: &[Case], count: usize, seed: u64) -> Tally {
    let mut random = Random(seed);
    let mut judges: Vec<(Role, Bundles, Judge)> = Vec::new();
    let bases: Vec<(&Case, usize)> = cases
        .iter()
        .filter(|case| case.presented.chain.iter().map(Vec::len).sum::<usize>() < 16 * 1024)
        .map(|case| {
            let known = judges.iter().position(|(role, bundles, _)| {
                *role == case.role && *bundles == case.presented.bundles
            });
            let place = known.unwrap_or_else(|| {
                let bundles = case.presented.bundles.clone();
                judges.push((case.role, bundles.clone(), Judge::new(&bundles, case.role)));
                judges.len() - 1
            });
            (case, place)
        })
        .collect();
    let good: Vec<_> = bases
        .iter()
        .filter(|(case, _)| !case.verdict.is_bad())
        .copied()
        .collect();
    let genuine = Genuine::of(cases);
    let mut tally = Tally::default();
    for _ in 0..count {
        // Most of them begin with a good chain, or most would be refused for what was wrong before.
        let pool = if random.below(4) == 0 { &bases } else { &good };
        let (case, place) = pool[random.below(pool.len())];
        let mut chain = case.presented.chain.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut chain, cases, &mut random);
        }
        let judge = &judges[place].2;
        let verify = |chain: &[Vec<u8>]| judge.verify(chain, case.now);
        tally.count += 1;
        match catch_unwind(AssertUnwindSafe(|| verify(&chain).is_ok())) {
            Err(_) => tally.panics.push(case.id()),
            Ok(false) => tally.refused += 1,
            Ok(true) => {
                // A certificate behind the one that a root has signed proves nothing and harms nothing.
                let proven = (1..=chain.len()).find(|end| verify(&chain[..*end]).is_ok());
                let proven = &chain[..proven.unwrap_or(chain.len())];
                if genuine.covers(proven, case) {
                    tally.originals += 1;
                } else {
                    tally.accepted.push(case.id());
                }
            }
        }
    }
    tally
}

/// Certificates, each out of `originals` and changed up to three times with what the corpus holds.
pub fn certificates(
    originals: &[Vec<u8>],
    cases: &[Case],
    count: usize,
    seed: u64,
) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(seed);
    (0..count).filter_map(move |_| {
        let mut chain = vec![originals[random.below(originals.len())].clone()];
        for _ in 0..=random.below(3) {
            mutate(&mut chain, cases, &mut random);
        }
        chain.into_iter().next()
    })
}

/// What may be accepted: certificates of the corpus as they are, but for leaves that are refused.
struct Genuine<'a> {
    whole: HashSet<&'a [u8]>,
    /// What has been signed in them.
    signed: HashSet<&'a [u8]>,
}

impl<'a> Genuine<'a> {
    fn of(cases: &'a [Case]) -> Self {
        let sound = cases.iter().flat_map(|case| {
            let faulty = matches!(case.verdict, Verdict::Refused(_)) && leaf_is_at_fault(case);
            case.presented.chain.iter().skip(usize::from(faulty))
        });
        let all = cases.iter().flat_map(|case| &case.presented.chain);
        Self {
            whole: sound.map(Vec::as_slice).collect(),
            signed: all.filter_map(|der| signed(der)).collect(),
        }
    }

    fn covers(&self, chain: &[Vec<u8>], base: &Case) -> bool {
        // A certificate that was broken after it had been signed may come out mended.
        let may_mend = base.verdict.is_bad()
            && ["encoding", "signature"].contains(&area(base))
            && leaf_is_at_fault(base);
        chain.iter().all(|der| {
            let mended = || {
                let is_tight = header(der).is_some_and(|(body, length)| {
                    der::tlv(0x30, &der[body..body + length]) == *der
                });
                is_tight && signed(der).is_some_and(|signed| self.signed.contains(signed))
            };
            self.whole.contains(der.as_slice()) || (may_mend && mended())
        })
    }
}

fn area(case: &Case) -> &str {
    case.class.split("::").next().unwrap_or_default()
}

fn leaf_is_at_fault(case: &Case) -> bool {
    match area(case) {
        "ids" | "leaf" | "names" => true,
        "encoding" | "signature" | "time" => !case.class.contains("intermediate"),
        _ => false,
    }
}

/// The first part of a certificate.
fn signed(der: &[u8]) -> Option<&[u8]> {
    let (body, length) = header(der)?;
    let inner = &der[body..body + length];
    let (body, length) = header(inner)?;
    Some(&inner[..body + length])
}

fn mutate(chain: &mut Vec<Vec<u8>>, cases: &[Case], random: &mut Random) {
    let other = &cases[random.below(cases.len())].presented.chain;
    let other = &other[random.below(other.len())];
    if chain.is_empty() {
        chain.push(other.clone());
    }
    let place = random.below(chain.len());
    let kind = random.below(14);
    if kind < 3 {
        match kind {
            0 => {
                let second = random.below(chain.len());
                chain.swap(place, second);
            }
            1 => drop(chain.remove(place)),
            _ => chain.insert(random.below(chain.len() + 1), other.clone()),
        }
        return;
    }
    let it = &mut chain[place];
    let at = random.below(it.len().max(1)).min(it.len());
    match kind {
        3 | 4 if at < it.len() => it[at] ^= 1 << random.below(8),
        5 if at < it.len() => it[at] = random.byte(),
        6 => it.truncate(at),
        7 => {
            let inserted: Vec<u8> = (0..=random.below(8)).map(|_| random.byte()).collect();
            it.splice(at..at, inserted);
        }
        8 => {
            let end = (at + 1 + random.below(8)).min(it.len());
            it.drain(at..end);
        }
        9 => edit_length(it, random),
        // Whole values; the lengths around them are put right, or left wrong.
        10 | 11 => {
            let donated = value_of(other, random);
            *it = replaced(it, random, |_| donated);
        }
        12 => *it = replaced(it, random, |_| Vec::new()),
        _ => *it = replaced(it, random, |value| [value, value].concat()),
    }
}

fn edit_length(der: &mut [u8], random: &mut Random) {
    let headers = headers(der);
    if let Some(byte) = headers
        .get(random.below(headers.len().max(1)))
        .and_then(|at| der.get_mut(at + 1))
    {
        *byte = match random.below(5) {
            0 => byte.wrapping_add(1),
            1 => byte.wrapping_sub(1),
            2 => 0x80,
            3 => 0xff,
            _ => random.byte(),
        };
    }
}

/// A value somewhere in a certificate.
fn value_of(der: &[u8], random: &mut Random) -> Vec<u8> {
    let headers = headers(der);
    match headers.get(random.below(headers.len().max(1))) {
        Some(at) => {
            let (body, length) = header(&der[*at..]).unwrap_or((0, 0));
            der[*at..*at + body + length].to_vec()
        }
        None => der.to_vec(),
    }
}

/// The certificate with another value in the place of one, all lengths put right.
fn replaced(der: &[u8], random: &mut Random, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let headers = headers(der);
    let Some(at) = headers.get(random.below(headers.len().max(1))).copied() else {
        return change(der);
    };
    let mut change = Some(change);
    rebuild(der, 0, at, &mut change)
}

fn rebuild<F: FnOnce(&[u8]) -> Vec<u8>>(
    der: &[u8],
    offset: usize,
    at: usize,
    change: &mut Option<F>,
) -> Vec<u8> {
    if offset == at {
        return change.take().map_or_else(Vec::new, |change| change(der));
    }
    let Some((body, length)) = header(der) else {
        return der.to_vec();
    };
    if at < offset + body || at >= offset + body + length {
        return der.to_vec();
    }
    let mut inner = Vec::new();
    let mut place = body;
    while place < body + length {
        let size =
            header(&der[place..]).map_or(body + length - place, |(body, length)| body + length);
        inner.extend(rebuild(
            &der[place..place + size],
            offset + place,
            at,
            change,
        ));
        place += size;
    }
    der::tlv(der[0], &inner)
}

/// Where the values begin, nested ones included; also those in OCTET STRINGs that hold values.
fn headers(der: &[u8]) -> Vec<usize> {
    fn walk(der: &[u8], offset: usize, found: &mut Vec<usize>) {
        let mut place = 0;
        while let Some((body, length)) = header(&der[place..]) {
            found.push(offset + place);
            let inner = &der[place + body..place + body + length];
            let nested = der[place] & 0x20 != 0 || (der[place] == 4 && is_value(inner));
            if nested {
                walk(inner, offset + place + body, found);
            }
            place += body + length;
        }
    }
    let mut found = Vec::new();
    walk(der, 0, &mut found);
    found
}

fn is_value(der: &[u8]) -> bool {
    header(der).is_some_and(|(body, length)| body + length == der.len())
}

/// The lengths of a header and of what follows it, where that is whole.
fn header(der: &[u8]) -> Option<(usize, usize)> {
    let (body, length) = match *der.get(1)? {
        short @ 0..=0x7f => (2, usize::from(short)),
        long @ 0x81..=0x84 => {
            let body = 2 + usize::from(long & 0x7f);
            let length = der.get(2..body)?.iter();
            (
                body,
                length.fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            )
        }
        _ => return None,
    };
    (body + length <= der.len()).then_some((body, length))
}

/// Numbers that a seed makes, the same every time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
