//! Whatever chain a peer presents: what is accepted has one ID that its leaf names alone and a second
//! opinion agrees with, the ID's own trust domain vouches for it, and issuers that are known change
//! no verdict.

#![no_main]

use std::cell::RefCell;

use fuzz::minted::{DOMAINS, NAMED, OWN, Spoilt, UNNAMED, now};
use fuzz::opinion;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use spiffe_peer::{TrustDomain, parse};
use spiffe_verify::{
    KnownIssuers, MAX_CHAIN_BYTES, MAX_INTERMEDIATES, Purpose, VerifiedChain, X509Bundle,
    X509Error, X509Verifier, default_provider,
};

/// Errors go to logs: whatever the input, this is enough for one.
const LONGEST_ERROR: usize = 8192;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    certificates: Vec<Presented<'a>>,
    server: bool,
    /// The names of a trust domain whose root is in another's bundle too.
    shared_roots: bool,
}

#[derive(Debug, Arbitrary)]
enum Presented<'a> {
    Minted {
        domain: u8,
        role: Role,
        spoilt: Spoilt<'a>,
    },
    Bytes(&'a [u8]),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Role {
    Leaf,
    Intermediate,
    Root,
}

impl Presented<'_> {
    fn der(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Minted {
                domain,
                role,
                spoilt,
            } => {
                let domain = &DOMAINS[usize::from(*domain) % DOMAINS.len()];
                let minted = match role {
                    Role::Leaf => &domain.leaf,
                    Role::Intermediate => &domain.intermediate,
                    Role::Root => &domain.root,
                };
                minted.spoil(spoilt)
            }
        }
    }
}

struct Trust {
    bundles: [X509Bundle; 2],
    known: KnownIssuers,
}

impl Trust {
    fn new(shared_roots: bool) -> Self {
        let bundle = |name: &str, roots: &[&[u8]]| {
            let domain = parse::trust_domain(name).expect("a trust domain");
            X509Bundle::from_der(domain, &roots.concat()).expect("a bundle")
        };
        let [own, named, unnamed] = DOMAINS.each_ref().map(|domain| domain.root.der.as_slice());
        let named_roots: &[&[u8]] = if shared_roots {
            &[named, unnamed]
        } else {
            &[named]
        };
        Self {
            bundles: [bundle(OWN, &[own]), bundle(NAMED, named_roots)],
            known: KnownIssuers::default(),
        }
    }

    fn bundle(&self, domain: &TrustDomain) -> Option<&X509Bundle> {
        self.bundles
            .iter()
            .find(|bundle| bundle.trust_domain() == domain)
    }
}

thread_local! {
    static VERIFIER: X509Verifier = X509Verifier::new(&default_provider().expect("ring"));
    /// Kept from input to input: whatever has been learnt, no verdict changes.
    static TRUST: RefCell<[Trust; 2]> = RefCell::new([Trust::new(false), Trust::new(true)]);
}

fuzz_target!(|input: Input<'_>| {
    let chain: Vec<Vec<u8>> = input
        .certificates
        .iter()
        .take(8)
        .map(Presented::der)
        .collect();
    let purpose = if input.server {
        Purpose::Server
    } else {
        Purpose::Client
    };
    TRUST.with_borrow(|trust| {
        let trust = &trust[usize::from(input.shared_roots)];
        let bundle = |domain: &TrustDomain| trust.bundle(domain);
        let (whole, known) = VERIFIER.with(|verifier| {
            (
                verifier.verify(&chain, purpose, bundle, now()),
                verifier.verify_under(&trust.known, &chain, purpose, bundle, now()),
            )
        });
        assert_eq!(whole, known, "issuers that are known change no verdict");
        judge(&chain, purpose, trust, &whole);
    });
});

fn judge(
    chain: &[Vec<u8>],
    purpose: Purpose,
    trust: &Trust,
    verdict: &Result<VerifiedChain, X509Error>,
) {
    match verdict {
        Err(error) => assert!(error.to_string().len() < LONGEST_ERROR),
        Ok(verified) => {
            let id = verified.spiffe_id();
            assert!(chain.len() <= 1 + MAX_INTERMEDIATES);
            assert!(chain.iter().map(Vec::len).sum::<usize>() <= MAX_CHAIN_BYTES);
            assert_ne!(id.trust_domain().as_str(), UNNAMED);
            assert!(!id.path().is_empty());
            assert!(verified.is_valid_at(now()));
            let bundle = trust.bundle(id.trust_domain()).expect("a trusted domain");
            assert!(bundle.still_anchors(verified));
            let agreed = opinion::of_chain(chain, purpose, bundle.authorities(), &id.to_string());
            assert_eq!(agreed, Ok(()), "the second opinion");
        }
    }
}
