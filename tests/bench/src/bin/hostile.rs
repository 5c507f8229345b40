//! What the dearest chain costs that somebody without any identity can show, beside the verification of a
//! good one: every bad case of the corpus, and chains that are made to be dear to decode.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use bench::{Gate, Report, Row, thread_cpu};
use corpus::case::{Case, Role};
use corpus::der::{bits, explicit, octets, oid, sequence, set, tlv, unsigned, utf8};
use corpus::key::KeyKind;
use corpus::world::World;
use spiffe_peer::{TrustDomain, parse};
use spiffe_verify::{KnownIssuers, Purpose, X509Bundle, X509Verifier, default_provider};

const ROUNDS: usize = 31;
const REPEATED: u32 = 4;

struct Shown {
    what: String,
    chain: Vec<Vec<u8>>,
    bundles: Vec<X509Bundle>,
    purpose: Purpose,
    now: SystemTime,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let verifier = X509Verifier::new(&*default_provider()?);
    let now = SystemTime::now();
    let cases = corpus::cases::of_kind(&World::new(KeyKind::P256, now));
    let (bad, good): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.verdict.is_bad());
    let usual = good
        .iter()
        .map(|case| shown(case))
        .find(|shown| shown.chain.len() == 2)
        .ok_or("the corpus has no usual chain")?;
    let known = KnownIssuers::default();
    took(&verifier, &usual, Some(&known));

    let mut shows: Vec<Shown> = bad.iter().map(|case| shown(case)).collect();
    shows.extend(dear(&usual));
    let mut costs: Vec<(Duration, String)> = Vec::new();
    let mut reference = Vec::new();
    for shown in &shows {
        let mut both = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            both.0.push(took(&verifier, shown, Some(&known)));
            both.1.push(took(&verifier, &usual, None));
        }
        costs.push((median(&mut both.0), shown.what.clone()));
        reference.push(median(&mut both.1));
    }
    let good = micros(median(&mut reference));
    costs.sort();
    let rows = costs
        .iter()
        .rev()
        .take(5)
        .map(|(cost, what)| {
            Row::new(
                &format!("verifying {what}"),
                micros(*cost),
                ("a usual good chain, verified in full", good),
                "µs of CPU",
                Gate::AtMostTimes(2.0),
            )
        })
        .collect();
    println!("the five dearest of {} bad chains", shows.len());
    Ok(bench::publish(&Report::new("hostile", ROUNDS, rows))?)
}

fn shown(case: &Case) -> Shown {
    let bundles = case.presented.bundles.iter().filter_map(|(domain, roots)| {
        let domain = parse::trust_domain(domain).ok()?;
        X509Bundle::from_der(domain, &roots.concat()).ok()
    });
    Shown {
        what: case.class.clone(),
        chain: case.presented.chain.clone(),
        bundles: bundles.collect(),
        purpose: match case.role {
            Role::Client => Purpose::Client,
            Role::Server => Purpose::Server,
        },
        now: case.now,
    }
}

fn took(verifier: &X509Verifier, shown: &Shown, known: Option<&KnownIssuers>) -> Duration {
    let bundle = |domain: &TrustDomain| {
        let mut bundles = shown.bundles.iter();
        bundles.find(|bundle| bundle.trust_domain() == domain)
    };
    let (chain, purpose, now) = (&shown.chain, shown.purpose, shown.now);
    let begun = thread_cpu();
    for _ in 0..REPEATED {
        let _ = match known {
            Some(known) => verifier.verify_under(known, chain, purpose, bundle, now),
            None => verifier.verify(chain, purpose, bundle, now),
        };
    }
    (thread_cpu() - begun) / REPEATED
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations
        .get(durations.len() / 2)
        .copied()
        .unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Chains within every bound that costs the most there is to decode: names, extensions, other names.
fn dear(usual: &Shown) -> Vec<Shown> {
    let uri = tlv(0x86, b"spiffe://example.org/service/orders");
    let directory = |names: usize| tlv(0xa4, &relative_names(names));
    let with = |what: &str, chain: Vec<Vec<u8>>| Shown {
        what: what.to_owned(),
        chain,
        bundles: usual.bundles.clone(),
        purpose: usual.purpose,
        now: usual.now,
    };
    let line = |names: usize, extensions: usize| {
        let leaf = certificate(names, extensions, Some(sequence([uri.clone()])));
        let issuers = (0..4).map(|_| certificate(names, extensions, None));
        std::iter::once(leaf).chain(issuers).collect()
    };
    vec![
        with("five certificates of many extensions", line(0, 45)),
        with("five certificates of long names", line(20, 3)),
        with("five certificates of both", line(8, 25)),
        with("five certificates of more than is taken", line(100, 511)),
        with(
            "a leaf with a directory among its names",
            vec![certificate(
                0,
                0,
                Some(sequence([directory(180), uri.clone()])),
            )],
        ),
        with(
            "a leaf with 256 names",
            vec![certificate(
                0,
                0,
                Some(sequence(
                    (0..255).map(|_| tlv(0x82, b"n.example.org")).chain([uri]),
                )),
            )],
        ),
    ]
}

fn relative_names(count: usize) -> Vec<u8> {
    sequence((0..count).map(|_| set([sequence([oid("2.5.4.3"), utf8("x")])])))
}

fn certificate(names: usize, extensions: usize, san: Option<Vec<u8>>) -> Vec<u8> {
    let algorithm = sequence([oid("1.2.840.10045.4.3.2")]);
    let name = relative_names(names);
    let validity = sequence([tlv(0x17, b"250101000000Z"), tlv(0x17, b"350101000000Z")]);
    let kind = sequence([oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")]);
    let key = sequence([kind, bits(&[4; 65])]);
    let unknown =
        (0..extensions).map(|n| sequence([oid(&format!("1.3.6.1.4.1.{n}")), octets(&[])]));
    let san = san.map(|names| sequence([oid("2.5.29.17"), octets(&names)]));
    let signed = sequence([
        explicit(0, [unsigned(&[2])]),
        unsigned(&[1]),
        algorithm.clone(),
        name.clone(),
        validity,
        name,
        key,
        explicit(3, [sequence(unknown.chain(san))]),
    ]);
    sequence([signed, algorithm, bits(&[0x30, 0])])
}
