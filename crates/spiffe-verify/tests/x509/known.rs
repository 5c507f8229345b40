//! Issuers that are known save signatures, and change no verdict.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use rcgen::{GeneralSubtree, NameConstraints};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use spiffe_peer::{TrustDomain, parse};
use spiffe_verify::{
    KnownIssuers, Purpose, VerifiedChain, X509Bundle, X509Error, X509Fault, X509Verifier,
    default_provider,
};

use crate::ID;
use crate::mint::{Authority, Leaf, PARTNER, Signer, TD};

type Chain = Vec<Vec<u8>>;
type Verdict = Result<VerifiedChain, X509Error>;

struct Revision {
    verifier: X509Verifier,
    bundles: Vec<X509Bundle>,
    known: KnownIssuers,
}

impl Revision {
    fn new(bundles: impl IntoIterator<Item = X509Bundle>) -> Self {
        Self {
            verifier: X509Verifier::new(&default_provider().unwrap()),
            bundles: bundles.into_iter().collect(),
            known: KnownIssuers::default(),
        }
    }

    fn of_root(root: &Signer) -> Self {
        Self::new([bundle(TD, &root.root())])
    }

    fn bundle(&self, domain: &TrustDomain) -> Option<&X509Bundle> {
        self.bundles
            .iter()
            .find(|bundle| bundle.trust_domain() == domain)
    }

    fn known_at(&self, chain: &Chain, purpose: Purpose, now: SystemTime) -> Verdict {
        let bundle = |domain: &TrustDomain| self.bundle(domain);
        self.verifier
            .verify_under(&self.known, chain, purpose, bundle, now)
    }

    fn whole_at(&self, chain: &Chain, purpose: Purpose, now: SystemTime) -> Verdict {
        let bundle = |domain: &TrustDomain| self.bundle(domain);
        self.verifier.verify(chain, purpose, bundle, now)
    }

    /// The verdict, which has to be that of the whole way.
    #[expect(clippy::panic_in_result_fn, reason = "a test")]
    fn verdict(&self, chain: &Chain) -> Verdict {
        let now = SystemTime::now();
        let verdict = self.known_at(chain, Purpose::Client, now);
        assert_eq!(verdict, self.whole_at(chain, Purpose::Client, now));
        verdict
    }

    fn fault(&self, chain: &Chain) -> X509Fault {
        self.verdict(chain).unwrap_err().fault()
    }
}

fn bundle(domain: &str, root: &[u8]) -> X509Bundle {
    X509Bundle::from_der(parse::trust_domain(domain).unwrap(), root).unwrap()
}

thread_local! {
    static CHECKED: Cell<usize> = const { Cell::new(0) };
}

/// Counts the signatures that are checked on this thread.
#[derive(Debug)]
struct Counting;

/// The provider's own.
fn counted() -> &'static dyn SignatureVerificationAlgorithm {
    let provider = default_provider().unwrap();
    let all = provider.signature_verification_algorithms.all;
    let fits = |algorithm: &&&'static dyn SignatureVerificationAlgorithm| {
        algorithm.public_key_alg_id() == alg_id::ECDSA_P256
            && algorithm.signature_alg_id() == alg_id::ECDSA_SHA256
    };
    *all.iter().find(fits).unwrap()
}

impl SignatureVerificationAlgorithm for Counting {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        CHECKED.set(CHECKED.get() + 1);
        counted().verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        counted().public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        counted().signature_alg_id()
    }
}

#[test]
fn a_leaf_under_known_issuers_costs_one_signature() {
    static COUNTING: &[&dyn SignatureVerificationAlgorithm] = &[&Counting];
    let mut provider = default_provider().unwrap().as_ref().clone();
    provider.signature_verification_algorithms.all = COUNTING;
    let authority = Authority::new(TD);
    let mut revision = Revision::new([authority.bundle()]);
    revision.verifier = X509Verifier::new(&provider);
    let checked = |chain: &Chain| {
        let before = CHECKED.get();
        let verdict = revision.known_at(chain, Purpose::Client, SystemTime::now());
        verdict.unwrap();
        CHECKED.get() - before
    };
    assert_eq!(checked(&authority.issue(&Leaf::new(ID))), 2);
    assert_eq!(checked(&authority.issue(&Leaf::new(ID))), 1);
}

#[test]
fn an_issuer_that_no_path_has_led_through_is_not_learnt() {
    let root = Signer::new("root");
    let revision = Revision::of_root(&root);
    // The root signs the leaf itself; the certificate beside it only bears the root's name.
    let pretender = Signer::new("root");
    let pretended = pretender.root();
    let decoy = vec![root.leaf(&Leaf::new(ID)), pretended.clone()];
    revision
        .verdict(&decoy)
        .expect("a certificate too many does no harm");
    let forged = vec![
        pretender.leaf(&Leaf::new("spiffe://example.org/admin")),
        pretended,
    ];
    assert!(revision.verdict(&forged).is_err());
}

#[test]
fn issuers_vouch_for_their_own_trust_domain_alone() {
    let (own, partner) = (Authority::new(TD), Authority::new(PARTNER));
    let revision = Revision::new([own.bundle(), partner.bundle()]);
    revision.verdict(&own.issue(&Leaf::new(ID))).unwrap();
    let foreign = own.issue(&Leaf::new("spiffe://partner.test/service/orders"));
    assert_eq!(revision.fault(&foreign), X509Fault::UnknownAuthority);
}

#[test]
fn issuers_are_known_for_one_purpose() {
    let root = Signer::new("root");
    let mut issuer = Signer::new("issuer");
    issuer.params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let revision = Revision::of_root(&root);
    let chain = || vec![issuer.leaf(&Leaf::new(ID)), issuer.signed_by(&root)];
    // One certificate, so that the bytes are the same for both purposes.
    let first = chain();
    revision.verdict(&first).unwrap();
    let second = vec![issuer.leaf(&Leaf::new(ID)), first[1].clone()];
    let now = SystemTime::now();
    assert!(revision.known_at(&second, Purpose::Client, now).is_ok());
    let refused = revision.known_at(&second, Purpose::Server, now);
    assert_eq!(refused, revision.whole_at(&second, Purpose::Server, now));
    assert_eq!(refused.unwrap_err().fault(), X509Fault::ExtendedKeyUsage);
}

#[test]
fn issuers_that_constrain_names_are_asked_each_time() {
    let (root, lower) = (Signer::new("root"), Signer::new("lower"));
    let mut upper = Signer::new("upper");
    upper.params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
        excluded_subtrees: vec![],
    });
    let revision = Revision::of_root(&root);
    // The constraint is not the leaf's own issuer's, which one signature would still meet.
    let issuers = [lower.signed_by(&upper), upper.signed_by(&root)];
    let named = |dns: &str| {
        let names = [crate::san_uri(ID), crate::san_dns(dns)];
        let leaf = lower.leaf(&Leaf::new(ID).names(names));
        [vec![leaf], issuers.to_vec()].concat()
    };
    revision
        .verdict(&named("orders.example.org"))
        .expect("control: such a chain is good");
    assert!(revision.verdict(&named("orders.evil.test")).is_err());
}

#[test]
fn a_leaf_that_is_its_issuer_again_is_a_loop_either_way() {
    let (root, issuer) = (Signer::new("root"), Signer::new("issuer"));
    let revision = Revision::of_root(&root);
    let issuer_der = issuer.signed_by(&root);
    revision
        .verdict(&vec![issuer.leaf(&Leaf::new(ID)), issuer_der.clone()])
        .unwrap();
    let again = vec![issuer.leaf_like_itself(Leaf::new(ID)), issuer_der];
    assert!(revision.verdict(&again).is_err());
}

#[test]
fn known_issuers_end_with_their_dates_and_with_their_root() {
    let authority = Authority::new(TD);
    let revision = Revision::new([authority.bundle()]);
    let first = authority.issue(&Leaf::new(ID));
    revision.verdict(&first).unwrap();
    let far = SystemTime::now() + Duration::from_secs(48 * 3600);
    let leaf = Leaf::new(ID).valid(SystemTime::now(), far + Duration::from_secs(3600));
    let longer = authority.issue(&leaf);
    let verdict = revision.known_at(&longer, Purpose::Client, far);
    assert_eq!(verdict, revision.whole_at(&longer, Purpose::Client, far));
    assert!(verdict.is_err(), "the intermediate has expired by then");

    let other = Revision {
        bundles: vec![Authority::new(TD).bundle()],
        ..revision
    };
    assert!(
        other.verdict(&authority.issue(&Leaf::new(ID))).is_err(),
        "not even a memory of another revision keeps a root alive"
    );
}

/// Every chain here is asked about in many orders and at several times, under one memory: the verdict
/// and all that it says have to be those of the whole way.
#[test]
fn whatever_has_been_learnt_no_verdict_changes() {
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 3600);
    let (own, partner, stranger) = (
        Authority::new(TD),
        Authority::new(PARTNER),
        Authority::new(TD),
    );
    let root = Signer::new("root");
    let upper = Signer::new("upper");
    let lower = Signer::new("lower");
    let pretender = Signer::new("lower");
    let (upper_der, lower_der) = (upper.signed_by(&root), lower.signed_by(&upper));
    let (root_der, pretended) = (root.root(), pretender.root());
    let roots = [own.root_der(), root_der].concat();
    let revision = Revision::new([bundle(TD, &roots), partner.bundle()]);

    let ids = [
        ID,
        "spiffe://partner.test/service/orders",
        "spiffe://example.org/",
    ];
    let mut chains: Vec<Chain> = Vec::new();
    for id in ids {
        for leaf in [
            Leaf::new(id),
            Leaf::new(id).usages(vec![]),
            Leaf::new(id).extended(vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]),
            Leaf::new(id).valid(now - day, now - Duration::from_secs(60)),
            Leaf::new(id).valid(now, now + 3 * day),
            Leaf::new(id).names([]),
        ] {
            chains.extend([&own, &partner, &stranger].map(|authority| authority.issue(&leaf)));
            let two = [lower_der.clone(), upper_der.clone()];
            for (signer, issuers) in [
                (&lower, two.to_vec()),
                (&pretender, two.to_vec()),
                (&lower, vec![lower_der.clone()]),
                (&lower, vec![upper_der.clone(), lower_der.clone()]),
                (&upper, vec![upper_der.clone()]),
                (&root, vec![]),
                (&root, vec![lower_der.clone()]),
                (&pretender, vec![pretended.clone()]),
            ] {
                chains.push([vec![signer.leaf(&leaf)], issuers].concat());
            }
        }
    }
    let times = [now, now + Duration::from_secs(90), now + 2 * day, now - day];
    let mut accepted = 0;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..4_000 {
        let chain = &chains[draw(chains.len())];
        // Most at the present, or hardly any would be good.
        let time = if draw(3) == 0 {
            times[draw(times.len())]
        } else {
            now
        };
        let purpose = [Purpose::Client, Purpose::Server, Purpose::Both][draw(3)];
        let verdict = revision.known_at(chain, purpose, time);
        assert_eq!(verdict, revision.whole_at(chain, purpose, time));
        accepted += usize::from(verdict.is_ok());
    }
    assert!(
        (100..3_900).contains(&accepted),
        "control: both verdicts are met, {accepted} of 4000 accepted"
    );
}

#[test]
fn a_root_that_constrains_names_takes_over_from_one_that_does_not() {
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let mut free = Signer::new("root");
    free.params.not_after = (now + hour).into();
    let mut constrained = Signer::with_key("root", &free.key);
    constrained.params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
        excluded_subtrees: vec![],
    });
    let issuer = Signer::new("issuer");
    let issuer_der = issuer.signed_by(&free);
    let roots = [free.root(), constrained.root()].concat();
    let revision = Revision::new([bundle(TD, &roots)]);
    let named = |dns: &str| {
        let leaf = Leaf::new(ID)
            .names([crate::san_uri(ID), crate::san_dns(dns)])
            .valid(now - hour, now + 10 * hour);
        vec![issuer.leaf(&leaf), issuer_der.clone()]
    };
    revision
        .known_at(&named("orders.evil.test"), Purpose::Client, now)
        .unwrap();
    let later = now + 2 * hour;
    let other = named("other.evil.test");
    let whole = revision.whole_at(&other, Purpose::Client, later);
    assert!(whole.is_err(), "control");
    assert_eq!(revision.known_at(&other, Purpose::Client, later), whole);
}

#[test]
fn a_renewed_root_gives_its_own_end() {
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let mut old = Signer::new("root");
    old.params.not_after = (now + 5 * hour).into();
    let mut new = Signer::with_key("root", &old.key);
    new.params.not_before = (now + hour).into();
    let issuer = Signer::new("issuer");
    let issuer_der = issuer.signed_by(&old);
    let revision = Revision::new([bundle(TD, &[old.root(), new.root()].concat())]);
    let leaf = || {
        vec![
            issuer.leaf(&Leaf::new(ID).valid(now - hour, now + 10 * hour)),
            issuer_der.clone(),
        ]
    };
    revision.known_at(&leaf(), Purpose::Client, now).unwrap();
    let later = now + 2 * hour;
    let other = leaf();
    assert_eq!(
        revision.known_at(&other, Purpose::Client, later),
        revision.whole_at(&other, Purpose::Client, later)
    );
}
