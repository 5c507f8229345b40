//! A second opinion on SVIDs, by `webpki` and `ring` alone.

use std::time::SystemTime;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::{CertificateDer, UnixTime};
use spiffe_source::Svid;
use spiffe_verify::Purpose;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::minted::now;

/// Why an SVID does not prove its ID under these roots, on both ends of a connection, or has not its
/// key.
///
/// # Errors
///
/// What is wrong with it.
pub fn check<'a>(svid: &Svid, roots: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
    let chain: Vec<CertificateDer<'_>> = svid.chain().map(CertificateDer::from).collect();
    let usages = [KeyUsage::client_auth(), KeyUsage::server_auth()];
    let public_key = path(&chain, &usages, roots, &svid.spiffe_id().to_string())?;
    let verified = svid.verified();
    if now() < verified.not_before() || verified.not_after() <= now() {
        return Err("it is not valid now".to_owned());
    }
    // The targets have keys of this kind alone.
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(svid.expose_key())
        .map_err(|error| format!("the key: {error}"))?;
    let public = [&[0x03, 0x21, 0x00], key.public_key().as_ref()].concat();
    if public_key.ends_with(&public) {
        Ok(())
    } else {
        Err("the key does not fit".to_owned())
    }
}

/// Why a chain does not prove that ID at that end of a connection.
///
/// # Errors
///
/// What is wrong with it.
pub fn of_chain<'a>(
    chain: &[Vec<u8>],
    purpose: Purpose,
    roots: impl Iterator<Item = &'a [u8]>,
    spiffe_id: &str,
) -> Result<(), String> {
    let chain: Vec<CertificateDer<'_>> = chain
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let usages = match purpose {
        Purpose::Client => vec![KeyUsage::client_auth()],
        Purpose::Server => vec![KeyUsage::server_auth()],
        Purpose::Both => vec![KeyUsage::client_auth(), KeyUsage::server_auth()],
    };
    path(&chain, &usages, roots, spiffe_id).map(drop)
}

/// The leaf's public key.
fn path<'a>(
    chain: &[CertificateDer<'_>],
    usages: &[KeyUsage],
    roots: impl Iterator<Item = &'a [u8]>,
    spiffe_id: &str,
) -> Result<Vec<u8>, String> {
    let said = |what: &'static str| move |error: webpki::Error| format!("{what}: {error}");
    let roots: Vec<CertificateDer<'_>> = roots.map(CertificateDer::from).collect();
    let anchors = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root))
        .collect::<Result<Vec<_>, _>>()
        .map_err(said("a root"))?;
    let (leaf, issuers) = chain.split_first().ok_or("no leaf")?;
    let leaf = EndEntityCert::try_from(leaf).map_err(said("the leaf"))?;
    let time = now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    for usage in usages {
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            issuers,
            UnixTime::since_unix_epoch(time),
            *usage,
            None,
            None,
        )
        .map_err(said("the chain"))?;
    }
    let uris: Vec<&str> = leaf.valid_uri_names().collect();
    if uris != [spiffe_id] {
        return Err(format!("the leaf names {uris:?}"));
    }
    Ok(leaf.subject_public_key_info().to_vec())
}
