//! Whatever an agent sends: only what verifies is put in force, a broken part breaks only what it
//! touches, and nobody is shown a key.

#![no_main]

use std::collections::HashMap;

use fuzz::der::{Edit, Node, Splice};
use fuzz::live::{HINT, Live, domain, good_jwks};
use fuzz::minted::{DOMAINS, Domain, NAMED, OWN, Spoilt, UNNAMED, stray_key};
use fuzz::opinion;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use prost::bytes::Bytes;
use spiffe_peer::parse;
use spiffe_source::workload_api::messages::{JwtBundlesResponse, X509Svid, X509SvidResponse};
use spiffe_source::{Material, Snapshot, Svid};
use spiffe_verify::{JwtBundle, split_der};

/// A message may hold longer texts; this is enough to see that they are not shown.
const LONGEST_TEXT: usize = 32 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    without_material: bool,
    pick: Pick,
    message: Message<'a>,
}

/// Which of several own SVIDs the source uses.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Pick {
    First,
    Hint,
    Id,
}

/// A message as its bytes, or as the fields of one, so that the fuzzer need not find out how to
/// sign.
#[derive(Debug, Arbitrary)]
enum Message<'a> {
    X509 {
        svid: Box<Own<'a>>,
        further: Vec<Own<'a>>,
        named: Bundle<'a>,
        federated: Vec<(Name<'a>, Bundle<'a>)>,
    },
    X509Spliced(Vec<Splice<'a>>),
    X509Bytes(&'a [u8]),
    Jwt(Vec<(Name<'a>, Jwks<'a>)>),
    JwtBytes(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
struct Own<'a> {
    domain: u8,
    id: Words<'a>,
    hint: Words<'a>,
    leaf: Spoilt<'a>,
    intermediate: Spoilt<'a>,
    chain: Chain<'a>,
    key: Key<'a>,
    bundle: Bundle<'a>,
}

/// A text; longer ones than the fuzzer would write down, too.
#[derive(Debug, Arbitrary)]
enum Words<'a> {
    Usual,
    Text(&'a str),
    Repeated(&'a str, u16),
}

#[derive(Debug, Arbitrary)]
enum Chain<'a> {
    Usual,
    LeafAlone,
    Reversed,
    WithRoot,
    Repeated(u8),
    Then(&'a [u8]),
    Bytes(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
enum Key<'a> {
    Usual,
    Stray,
    OfTheIntermediate,
    Edited(Vec<Edit<'a>>),
    Spliced(Splice<'a>),
    Bytes(&'a [u8]),
}

/// A bundle; without anything said, the usual one.
#[derive(Debug, Arbitrary)]
enum Bundle<'a> {
    Usual,
    None,
    Spoilt(Spoilt<'a>),
    Of(u8),
    And(u8),
    AndSpoilt(Spoilt<'a>),
    Repeated(u8),
    Key,
    Bytes(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Named,
    Own,
    Unnamed,
    Other(Words<'a>),
}

#[derive(Debug, Arbitrary)]
enum Jwks<'a> {
    Usual,
    Spliced(Vec<Splice<'a>>),
    Bytes(&'a [u8]),
}

fn of(domain: u8) -> &'static Domain {
    &DOMAINS[usize::from(domain) % DOMAINS.len()]
}

impl Own<'_> {
    fn message(&self) -> X509Svid {
        let domain = of(self.domain);
        let leaf = domain.leaf.spoil(&self.leaf);
        let intermediate = domain.intermediate.spoil(&self.intermediate);
        let chain = match self.chain {
            Chain::Usual => [leaf, intermediate].concat(),
            Chain::LeafAlone => leaf,
            Chain::Reversed => [intermediate, leaf].concat(),
            Chain::WithRoot => [leaf, intermediate, domain.root.der.clone()].concat(),
            Chain::Repeated(times) => [leaf, intermediate.repeat(usize::from(times) % 64)].concat(),
            Chain::Then(bytes) => [&*leaf, &*intermediate, bytes].concat(),
            Chain::Bytes(bytes) => bytes.to_vec(),
        };
        let key = match &self.key {
            Key::Usual => domain.leaf.key.clone(),
            Key::Stray => stray_key(),
            Key::OfTheIntermediate => domain.intermediate.key.clone(),
            Key::Edited(edits) => {
                let mut key = Node::parse(&domain.leaf.key);
                edits.iter().take(4).for_each(|edit| key.edit(edit));
                key.encode()
            }
            Key::Spliced(splice) => {
                let mut key = domain.leaf.key.clone();
                splice.apply(&mut key);
                key
            }
            Key::Bytes(bytes) => bytes.to_vec(),
        };
        X509Svid {
            spiffe_id: self.id.text(&domain.spiffe_id),
            x509_svid: chain.into(),
            x509_svid_key: key.into(),
            bundle: self.bundle.bytes(domain),
            hint: self.hint.text(HINT),
        }
    }
}

impl Words<'_> {
    fn text(&self, usual: &str) -> String {
        match self {
            Self::Usual => usual.to_owned(),
            Self::Text(text) => (*text).to_owned(),
            Self::Repeated(text, times) => {
                let most = LONGEST_TEXT / text.len().max(1);
                text.repeat(usize::from(*times).min(most))
            }
        }
    }
}

impl Bundle<'_> {
    fn bytes(&self, domain: &Domain) -> Bytes {
        let usual = &domain.root.der;
        match self {
            Self::Usual => usual.clone(),
            Self::None => Vec::new(),
            Self::Spoilt(how) => domain.root.spoil(how),
            Self::Of(other) => of(*other).root.der.clone(),
            Self::And(other) => [&**usual, &of(*other).root.der].concat(),
            Self::AndSpoilt(how) => [&**usual, &domain.root.spoil(how)].concat(),
            Self::Repeated(times) => usual.repeat(usize::from(*times) % 64),
            Self::Key => domain.leaf.key.clone(),
            Self::Bytes(bytes) => bytes.to_vec(),
        }
        .into()
    }
}

impl Name<'_> {
    fn id(&self) -> String {
        match self {
            Self::Named => format!("spiffe://{NAMED}"),
            Self::Own => format!("spiffe://{OWN}"),
            Self::Unnamed => format!("spiffe://{UNNAMED}"),
            Self::Other(words) => words.text(&format!("SPIFFE://{NAMED}")),
        }
    }
}

impl Jwks<'_> {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Usual => good_jwks("another"),
            Self::Spliced(splices) => {
                let mut jwks = good_jwks("another");
                splices
                    .iter()
                    .take(8)
                    .for_each(|splice| splice.apply(&mut jwks));
                jwks
            }
            Self::Bytes(bytes) => bytes.to_vec(),
        }
        .into()
    }
}

enum Decoded {
    X509(X509SvidResponse),
    Jwt(JwtBundlesResponse),
}

impl Message<'_> {
    fn decoded(&self) -> Option<Decoded> {
        let x509 = |bytes: &[u8]| X509SvidResponse::decode(bytes).ok().map(Decoded::X509);
        match self {
            Self::X509 {
                svid,
                further,
                named,
                federated,
            } => {
                let mut federated_bundles: HashMap<String, Bytes> = federated
                    .iter()
                    .take(8)
                    .map(|(name, bundle)| (name.id(), bundle.bytes(&DOMAINS[1])))
                    .collect();
                federated_bundles.insert(Name::Named.id(), named.bytes(&DOMAINS[1]));
                let svids = [&**svid].into_iter().chain(further).take(8);
                Some(Decoded::X509(X509SvidResponse {
                    svids: svids.map(Own::message).collect(),
                    crl: Vec::new(),
                    federated_bundles,
                }))
            }
            Self::X509Spliced(splices) => {
                let mut bytes = good_response().encode_to_vec();
                splices
                    .iter()
                    .take(8)
                    .for_each(|splice| splice.apply(&mut bytes));
                x509(&bytes)
            }
            Self::X509Bytes(bytes) => x509(bytes),
            Self::Jwt(bundles) => {
                let bundles = bundles.iter().map(|(name, jwks)| (name.id(), jwks.bytes()));
                Some(Decoded::Jwt(JwtBundlesResponse {
                    bundles: bundles.collect(),
                }))
            }
            Self::JwtBytes(bytes) => JwtBundlesResponse::decode(*bytes).ok().map(Decoded::Jwt),
        }
    }
}

fn good_response() -> X509SvidResponse {
    let [own, named, _] = &*DOMAINS;
    X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: own.spiffe_id.clone(),
            x509_svid: own.chain().into(),
            x509_svid_key: own.leaf.key.clone().into(),
            bundle: own.root.der.clone().into(),
            hint: HINT.to_owned(),
        }],
        crl: Vec::new(),
        federated_bundles: HashMap::from([(Name::Named.id(), named.root.der.clone().into())]),
    }
}

struct Sources {
    first: Live,
    by_hint: Live,
    by_id: Live,
}

thread_local! {
    static SOURCES: Sources = Sources {
        first: Live::open(|source| source),
        by_hint: Live::open(|source| source.pick_hint(HINT)),
        by_id: Live::open(|source| source.pick_id(&DOMAINS[0].spiffe_id)),
    };
}

fuzz_target!(|input: Input<'_>| {
    let Some(message) = input.message.decoded() else {
        return;
    };
    SOURCES.with(|sources| {
        let live = match input.pick {
            Pick::First => &sources.first,
            Pick::Hint => &sources.by_hint,
            Pick::Id => &sources.by_id,
        };
        let before = live.begin(!input.without_material);
        match message {
            Decoded::X509(message) => {
                let material = Material::from(message.clone());
                live.check_no_secret(&format!("{:?} {material:?}", message.svids));
                let is_fresh = live.sink.update(&material);
                let after = live.source.snapshot();
                check_own(&message, is_fresh, input.pick, &before, &after);
                check_foreign(&message, &after);
                let is_trusted = |name| is_trusted(&after, name);
                assert!(
                    after
                        .jwt_bundles()
                        .all(|jwt| is_trusted(jwt.trust_domain().as_str()))
                );
            }
            Decoded::Jwt(message) => {
                // As the feed does: what is not the ID of a trust domain is nobody's.
                let known = message.bundles.iter().filter_map(|(id, jwks)| {
                    Some((parse::trust_domain_id(id).ok()?, jwks.to_vec()))
                });
                live.sink.update_jwt_bundles(known);
                check_jwt(
                    &message,
                    &before,
                    &live.source.snapshot(),
                    input.without_material,
                );
            }
        }
        live.check_what_is_shown();
    });
});

fn is_trusted(snapshot: &Snapshot, name: &str) -> bool {
    let own = snapshot.svid().map(|svid| svid.spiffe_id().trust_domain());
    name == NAMED || own.is_some_and(|own| own.as_str() == name)
}

fn is_that_of(svid: &Svid, message: &X509Svid) -> bool {
    svid.chain().collect::<Vec<_>>().concat() == message.x509_svid
        && svid.expose_key() == message.x509_svid_key
        && svid.spiffe_id().to_string() == message.spiffe_id
        && svid.hint().unwrap_or_default() == message.hint
}

fn check_own(
    message: &X509SvidResponse,
    is_fresh: bool,
    pick: Pick,
    before: &Snapshot,
    after: &Snapshot,
) {
    let own_bundle = |snapshot: &Snapshot| {
        let svid = snapshot.svid()?;
        let bundle = snapshot.bundle(svid.spiffe_id().trust_domain())?;
        Some(bundle.authorities().collect::<Vec<_>>().concat())
    };
    if !is_fresh {
        let (known, now) = (before.svid(), after.svid());
        if let (Some(known), None) = (known, now) {
            let has_other_id = |svid: &X509Svid| svid.spiffe_id != known.spiffe_id().to_string();
            assert!(
                !message.svids.is_empty() && message.svids.iter().all(has_other_id),
                "only an identity that is left out is taken back"
            );
            return;
        }
        assert_eq!(now, known, "what was in force stays");
        for further in after.svids().iter().skip(1) {
            check_brought(message, further);
        }
        let kept = [own_bundle(before)];
        let brought = message.svids.iter().map(|svid| Some(svid.bundle.to_vec()));
        assert!(
            kept.into_iter()
                .chain(brought)
                .any(|bundle| bundle == own_bundle(after))
        );
        return;
    }
    let in_use = after.svid().expect("a fresh SVID is in force");
    match pick {
        Pick::First => assert!(is_that_of(in_use, &message.svids[0])),
        Pick::Hint => assert_eq!(in_use.hint(), Some(HINT)),
        Pick::Id => assert_eq!(in_use.spiffe_id().to_string(), DOMAINS[0].spiffe_id),
    }
    let bundle = own_bundle(after).expect("its bundle is in force");
    assert!(
        message
            .svids
            .iter()
            .any(|svid| is_that_of(in_use, svid) && svid.bundle == bundle)
    );
    for svid in after.svids() {
        check_brought(message, svid);
    }
}

/// That an SVID stands in the message, and verifies.
fn check_brought(message: &X509SvidResponse, svid: &Svid) {
    let mut opinions = message
        .svids
        .iter()
        .filter(|brought| is_that_of(svid, brought))
        .map(|brought| opinion::check(svid, split_der(&brought.bundle)?.into_iter()))
        .collect::<Vec<_>>();
    opinions.sort();
    // One with the same bytes may stand beside another bundle.
    assert_eq!(opinions.first(), Some(&Ok(())));
}

fn check_foreign(message: &X509SvidResponse, after: &Snapshot) {
    let Some(own) = after.svid().map(|svid| svid.spiffe_id().trust_domain()) else {
        assert_eq!(after.bundles().len(), 0, "no trust without an identity");
        return;
    };
    for bundle in after
        .bundles()
        .filter(|bundle| own != bundle.trust_domain())
    {
        assert_eq!(bundle.trust_domain().as_str(), NAMED);
        let brought = &message.federated_bundles[&bundle.trust_domain().id_string()];
        assert_eq!(bundle.authorities().collect::<Vec<_>>().concat(), *brought);
    }
    let brought = message.federated_bundles.get(&Name::Named.id());
    if brought.is_some_and(|brought| *brought == DOMAINS[1].root.der) {
        assert!(
            after.bundle(&domain(NAMED)).is_some(),
            "the rest is applied"
        );
    }
}

fn check_jwt(message: &JwtBundlesResponse, before: &Snapshot, after: &Snapshot, withdrawn: bool) {
    assert_eq!(after.svids(), before.svids());
    assert!(after.bundles().eq(before.bundles()));
    if withdrawn {
        // Only X.509 material ends a withdrawal.
        assert_eq!(after.jwt_bundles().len(), 0);
        return;
    }
    for bundle in after.jwt_bundles() {
        assert!(is_trusted(after, bundle.trust_domain().as_str()));
        assert!(
            message
                .bundles
                .contains_key(&bundle.trust_domain().id_string())
        );
    }
    for name in [OWN, NAMED] {
        let brought = message.bundles.get(&domain(name).id_string());
        let read = brought.map(|jwks| JwtBundle::parse(domain(name), jwks));
        let expected = match &read {
            Some(Ok(bundle)) => Some(bundle),
            // The own keys stay where the new ones cannot be read.
            Some(Err(_)) if name == OWN => before.jwt_bundle(&domain(OWN)),
            Some(Err(_)) | None => None,
        };
        assert_eq!(after.jwt_bundle(&domain(name)), expected);
    }
}
