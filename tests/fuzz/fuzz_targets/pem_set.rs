//! PEM is read whole or not at all: what is accepted is what another reader finds in it, and no
//! error shows what stands in a block.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuzz::der::Splice;
use fuzz::live::{Live, domain};
use fuzz::minted::{DOMAINS, NAMED, Spoilt};
use fuzz::opinion;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use spiffe_source::{InvalidPem, Material, Snapshot, SvidMaterial};

const LONGEST_ERROR: usize = 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    chain: Text<'a>,
    key: Text<'a>,
    bundle: Text<'a>,
    foreign: Text<'a>,
}

/// A file: the usual one as people may write it, spoilt, of blocks as they come, or of any bytes.
#[derive(Debug, Arbitrary)]
enum Text<'a> {
    Usual(Layout),
    Spliced(Layout, Vec<Splice<'a>>),
    Blocks(Vec<Block<'a>>),
    Bytes(&'a [u8]),
}

/// What may differ between two files that say the same.
#[derive(Debug, Clone, Copy, Arbitrary)]
struct Layout {
    width: u8,
    carriage_returns: bool,
    words: bool,
    indented: bool,
    without_last_end: bool,
}

#[derive(Debug, Arbitrary)]
struct Block<'a> {
    begin: Label<'a>,
    end: Option<Label<'a>>,
    content: Content<'a>,
    layout: Layout,
    behind: &'a str,
}

#[derive(Debug, Arbitrary)]
enum Label<'a> {
    Certificate,
    Key,
    EcKey,
    EcParameters,
    Text(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Content<'a> {
    Leaf,
    Intermediate,
    Root,
    ForeignRoot,
    Key,
    Spoilt(Spoilt<'a>),
    Bytes(&'a [u8]),
    Text(&'a str),
}

impl Label<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::Key => "PRIVATE KEY",
            Self::EcKey => "EC PRIVATE KEY",
            Self::EcParameters => "EC PARAMETERS",
            Self::Text(text) => text,
        }
    }
}

impl Content<'_> {
    fn base64(&self) -> String {
        let [own, foreign, _] = &*DOMAINS;
        let der = match self {
            Self::Leaf => own.leaf.der.clone(),
            Self::Intermediate => own.intermediate.der.clone(),
            Self::Root => own.root.der.clone(),
            Self::ForeignRoot => foreign.root.der.clone(),
            Self::Key => own.leaf.key.clone(),
            Self::Spoilt(how) => own.leaf.spoil(how),
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Text(text) => return (*text).to_owned(),
        };
        STANDARD.encode(der)
    }
}

impl Layout {
    fn block(self, begin: &str, end: &str, base64: &str) -> String {
        let mut lines = vec![format!("-----BEGIN {begin}-----")];
        let width = usize::from(self.width).max(1);
        let mut rest = base64;
        while !rest.is_empty() {
            let at = (width..=rest.len()).find(|at| rest.is_char_boundary(*at));
            let (line, behind) = rest.split_at(at.unwrap_or(rest.len()));
            lines.push(line.to_owned());
            rest = behind;
        }
        lines.push(format!("-----END {end}-----"));
        if self.words {
            lines.insert(0, "subject=O = fuzz, CN = what openssl writes".to_owned());
            lines.push(String::new());
        }
        let indent = if self.indented { " \t" } else { "" };
        let end = if self.carriage_returns { "\r\n" } else { "\n" };
        lines
            .iter()
            .map(|line| format!("{indent}{line}{end}"))
            .collect()
    }

    fn file(self, label: &str, values: &[&[u8]]) -> Vec<u8> {
        let mut text: String = values
            .iter()
            .map(|der| self.block(label, label, &STANDARD.encode(der)))
            .collect();
        if self.without_last_end {
            text.truncate(text.trim_end().len());
        }
        text.into_bytes()
    }
}

impl Text<'_> {
    fn bytes(&self, label: &str, usual: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Usual(layout) => layout.file(label, usual),
            Self::Spliced(layout, splices) => {
                let mut bytes = layout.file(label, usual);
                for splice in splices.iter().take(8) {
                    splice.apply(&mut bytes);
                }
                bytes
            }
            Self::Blocks(blocks) => {
                let text = blocks.iter().take(8).map(|block| {
                    let begin = block.begin.text();
                    let end = block.end.as_ref().map_or(begin, Label::text);
                    let text = block.layout.block(begin, end, &block.content.base64());
                    text + block.behind
                });
                text.collect::<String>().into_bytes()
            }
            Self::Bytes(bytes) => bytes.to_vec(),
        }
    }

    fn is_usual(&self) -> bool {
        matches!(self, Self::Usual(_))
    }
}

/// The text without indents: this project's reader takes them, the other does not.
fn flush_left(text: &[u8]) -> Vec<u8> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect::<Vec<_>>()
        .join(&b'\n')
}

/// The certificates that another reader finds.
fn certificates(text: &[u8]) -> Vec<u8> {
    CertificateDer::pem_slice_iter(&flush_left(text))
        .map(|certificate| {
            certificate
                .expect("a block that the other reader reads")
                .to_vec()
        })
        .collect::<Vec<_>>()
        .concat()
}

fn key(text: &[u8]) -> Vec<u8> {
    PrivatePkcs8KeyDer::from_pem_slice(&flush_left(text))
        .expect("a key that the other reader reads")
        .secret_pkcs8_der()
        .to_vec()
}

thread_local! {
    static LIVE: Live = Live::open(|source| source);
}

fuzz_target!(|input: Input<'_>| {
    let [own, named, _] = &*DOMAINS;
    let chain = input
        .chain
        .bytes("CERTIFICATE", &[&own.leaf.der, &own.intermediate.der]);
    let key_text = input.key.bytes("PRIVATE KEY", &[&own.leaf.key]);
    let bundle = input.bundle.bytes("CERTIFICATE", &[&own.root.der]);
    let foreign = input.foreign.bytes("CERTIFICATE", &[&named.root.der]);
    LIVE.with(|live| {
        let refused = |error: InvalidPem| {
            assert!(error.to_string().len() < LONGEST_ERROR);
            live.check_no_secret(&format!("{error} {error:?}"));
        };
        let svid = match SvidMaterial::from_pem(&chain, &key_text, &bundle) {
            Ok(svid) => svid,
            Err(error) => {
                let usual = [&input.chain, &input.key, &input.bundle];
                assert!(!usual.iter().all(|text| text.is_usual()), "{error}");
                return refused(error);
            }
        };
        live.check_no_secret(&format!("{svid:?}"));
        let other =
            SvidMaterial::from_der(certificates(&chain), key(&key_text), certificates(&bundle));
        let (mut material, mut other) = (Material::new(svid), Material::new(other));
        match material
            .clone()
            .foreign_bundle_pem(&domain(NAMED), &foreign)
        {
            Ok(with_foreign) => {
                material = with_foreign;
                other = other.foreign_bundle(&domain(NAMED), certificates(&foreign));
            }
            Err(error) => {
                assert!(!input.foreign.is_usual(), "{error}");
                refused(error);
            }
        }

        let applied = |material: &Material| {
            live.begin(true);
            let is_fresh = live.sink.update(material);
            let error = live.source.status().last_error().map(str::to_owned);
            (is_fresh, error, live.source.snapshot())
        };
        let (is_fresh, error, after) = applied(&material);
        live.check_what_is_shown();
        if let (true, Some(svid)) = (is_fresh, after.svid()) {
            let bundle = after.bundle(svid.spiffe_id().trust_domain());
            let roots = bundle.expect("its bundle is in force").authorities();
            assert_eq!(opinion::check(svid, roots), Ok(()));
        }
        let says = |snapshot: &Snapshot| (snapshot.svids().to_vec(), bundles(snapshot));
        let (other_is_fresh, other_error, other_after) = applied(&other);
        assert_eq!((is_fresh, error), (other_is_fresh, other_error));
        assert_eq!(says(&after), says(&other_after));
    });
});

fn bundles(snapshot: &Snapshot) -> Vec<spiffe_verify::X509Bundle> {
    snapshot.bundles().cloned().collect()
}
