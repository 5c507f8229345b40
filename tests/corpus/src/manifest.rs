//! The corpus as files: a manifest in the schema of x509-limbo with an object of SPIFFE's own, and
//! each case in PEM and DER.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use der::DateTime;
use serde::{Deserialize, Serialize};

use crate::case::{Bundles, Case, Verdict};
use crate::pem;

/// What is written beside the manifest for those who read it.
const README: &str = include_str!("README.md");

/// The manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limbo {
    /// Of the schema: 1.
    pub version: u8,
    /// The cases.
    pub testcases: Vec<Testcase>,
}

/// A case. The fields up to `spiffe` are those of x509-limbo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Testcase {
    /// Names it among all.
    pub id: String,
    /// Empty.
    pub conflicts_with: Vec<String>,
    /// What not everybody has: skip a case whose feature you do not know.
    pub features: Vec<String>,
    /// How much depends on it.
    pub importance: String,
    /// What is peculiar to it.
    pub description: String,
    /// `CLIENT` where a client shows the chain, `SERVER` where a server does.
    pub validation_kind: String,
    /// The roots of all trust domains together, PEM. A verifier of SPIFFE takes `trust_bundles`.
    pub trusted_certs: Vec<String>,
    /// The rest of the chain as it is shown, PEM.
    pub untrusted_intermediates: Vec<String>,
    /// The leaf, PEM.
    pub peer_certificate: String,
    /// The key that the peer holds, PKCS #8 in PEM.
    pub peer_certificate_key: Option<String>,
    /// When the verdict is the right one (RFC 3339).
    pub validation_time: Option<String>,
    /// Empty: those that the verifier accepts by default.
    pub signature_algorithms: Vec<String>,
    /// Empty.
    pub key_usage: Vec<String>,
    /// What the end that shows the chain needs.
    pub extended_key_usage: Vec<String>,
    /// `SUCCESS` or `FAILURE`.
    pub expected_result: String,
    /// None: the identity is in `expected_spiffe_id`.
    pub expected_peer_name: Option<String>,
    /// Empty, for the same reason.
    pub expected_peer_names: Vec<String>,
    /// None: how many intermediates there may be is part of what is tested.
    pub max_chain_depth: Option<u32>,
    /// What x509-limbo has no field for.
    pub spiffe: Spiffe,
}

/// What a verifier of X.509-SVIDs needs beside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spiffe {
    /// What is peculiar to the case; cases of one class differ in keys, role and `variant`.
    pub class: String,
    /// The kind of the leaf's key.
    pub key_type: String,
    /// The authorities of each trust domain, PEM.
    pub trust_bundles: BTreeMap<String, Vec<String>>,
    /// Whose SVID it is, where it is one.
    pub expected_spiffe_id: Option<String>,
    /// The rule that is broken, where one is; `handshake` where only the handshake fails.
    pub expected_reason: Option<String>,
    /// Numbers of the conformance list.
    pub conformance: Vec<u8>,
    /// Numbers of the list of threats.
    pub threats: Vec<u8>,
    /// The folder with the case's files.
    pub files: String,
}

/// Writes manifest, files and README into a folder.
///
/// # Errors
///
/// Where the folder cannot be written.
pub fn write(directory: &Path, cases: &[Case]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut testcases = Vec::with_capacity(cases.len());
    for case in cases {
        let testcase = testcase(case);
        // Both roles show the same.
        let files = directory.join(&testcase.spiffe.files);
        if !files.exists() {
            write_files(&files, case)?;
        }
        testcases.push(testcase);
    }
    let limbo = Limbo {
        version: 1,
        testcases,
    };
    fs::write(
        directory.join("limbo.json"),
        serde_json::to_vec_pretty(&limbo)?,
    )?;
    fs::write(directory.join("README.md"), README)
}

/// Reads a manifest back.
///
/// # Errors
///
/// Where it is not there, or is none.
pub fn read(directory: &Path) -> io::Result<Limbo> {
    let json = fs::read(directory.join("limbo.json"))?;
    serde_json::from_slice(&json).map_err(io::Error::from)
}

fn write_files(directory: &Path, case: &Case) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let presented = &case.presented;
    for (number, der) in presented.chain.iter().enumerate() {
        fs::write(directory.join(format!("{number}.der")), der)?;
    }
    let chain: String = presented
        .chain
        .iter()
        .map(|der| pem::certificate(der))
        .collect();
    fs::write(directory.join("chain.pem"), chain)?;
    let key = pem::block("PRIVATE KEY", presented.key.pkcs8());
    fs::write(directory.join("key.pem"), key)?;
    for (number, (domain, roots)) in presented.bundles.iter().enumerate() {
        let roots: String = roots.iter().map(|der| pem::certificate(der)).collect();
        let bundle = format!("# spiffe://{domain}\n{roots}");
        fs::write(directory.join(format!("bundle-{number}.pem")), bundle)?;
    }
    Ok(())
}

fn testcase(case: &Case) -> Testcase {
    let presented = &case.presented;
    let (leaf, issuers) = presented.chain.split_first().unwrap();
    let pems = |ders: &[Vec<u8>]| {
        ders.iter()
            .map(|der| pem::certificate(der))
            .collect::<Vec<_>>()
    };
    let mut trusted = pems(
        &presented
            .bundles
            .values()
            .flatten()
            .cloned()
            .collect::<Vec<_>>(),
    );
    trusted.dedup();
    let purpose = format!("{}Auth", case.role.name());
    let bundles = presented.bundles.iter();
    let variant = case.variant.iter().map(|variant| format!("{variant}-"));
    let variant: String = variant.collect();
    Testcase {
        id: case.id(),
        conflicts_with: Vec::new(),
        features: features(case),
        importance: importance(case).to_owned(),
        description: case.description.clone(),
        validation_kind: case.role.name().to_ascii_uppercase(),
        trusted_certs: trusted,
        untrusted_intermediates: pems(issuers),
        peer_certificate: pem::certificate(leaf),
        peer_certificate_key: Some(pem::block("PRIVATE KEY", presented.key.pkcs8())),
        validation_time: Some(rfc3339(case.now)),
        signature_algorithms: Vec::new(),
        key_usage: Vec::new(),
        extended_key_usage: vec![purpose],
        expected_result: if case.verdict.is_bad() {
            "FAILURE"
        } else {
            "SUCCESS"
        }
        .to_owned(),
        expected_peer_name: None,
        expected_peer_names: Vec::new(),
        max_chain_depth: None,
        spiffe: Spiffe {
            class: case.class.clone(),
            key_type: case.kind.name().to_owned(),
            trust_bundles: bundles
                .map(|(domain, roots)| (domain.clone(), pems(roots)))
                .collect(),
            expected_spiffe_id: match &case.verdict {
                Verdict::Accepted(id) => Some(id.clone()),
                Verdict::Refused(_) | Verdict::HandshakeFails => None,
            },
            expected_reason: case.verdict.reason().map(str::to_owned),
            conformance: case.conformance.clone(),
            threats: case.threats.clone(),
            files: format!(
                "cases/{}/{variant}{}",
                case.class.replace("::", "/"),
                case.kind.name()
            ),
        },
    }
}

fn features(case: &Case) -> Vec<String> {
    let mut features = Vec::new();
    if case.verdict == Verdict::HandshakeFails {
        features.push("handshake");
    }
    if case.class.starts_with("keys::p521") {
        features.push("p521");
    }
    if case.verdict == Verdict::Refused(spiffe_verify::X509Fault::ChainTooLong) {
        features.push("denial-of-service");
    }
    features.into_iter().map(str::to_owned).collect()
}

fn importance(case: &Case) -> &'static str {
    match case.class.split("::").next().unwrap_or_default() {
        "trust" | "signature" | "names" | "leaf" => "critical",
        "encoding" | "constraints" => "medium",
        _ => "high",
    }
}

fn rfc3339(at: SystemTime) -> String {
    let text = DateTime::from_system_time(at).unwrap().to_string();
    text.replace('Z', "+00:00")
}

impl Testcase {
    /// The chain as it is shown, leaf first, DER.
    ///
    /// # Errors
    ///
    /// Where what stands in the manifest is no PEM.
    pub fn chain(&self) -> Result<Vec<Vec<u8>>, String> {
        std::iter::once(&self.peer_certificate)
            .chain(&self.untrusted_intermediates)
            .map(|pem| pem::open(pem))
            .collect()
    }

    /// The bundles of the trust domains, DER.
    ///
    /// # Errors
    ///
    /// As [`chain`](Self::chain).
    pub fn bundles(&self) -> Result<Bundles, String> {
        let bundles = self.spiffe.trust_bundles.iter();
        bundles
            .map(|(domain, roots)| {
                let roots = roots
                    .iter()
                    .map(|pem| pem::open(pem))
                    .collect::<Result<_, _>>()?;
                Ok((domain.clone(), roots))
            })
            .collect()
    }

    /// When it is judged.
    ///
    /// # Errors
    ///
    /// Where there is no such time.
    pub fn time(&self) -> Result<SystemTime, String> {
        let text = self.validation_time.as_deref().unwrap_or_default();
        let date: DateTime = text
            .replace("+00:00", "Z")
            .parse()
            .map_err(|error: der::Error| error.to_string())?;
        let since: Duration = date.unix_duration();
        Ok(SystemTime::UNIX_EPOCH + since)
    }
}
