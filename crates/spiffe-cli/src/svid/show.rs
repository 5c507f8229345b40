//! SVIDs and bundles for a person. Nothing secret.

use std::fmt::Write as _;
use std::time::SystemTime;

use spiffe_source::{Snapshot, Svid};

pub(super) fn describe(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for svid in snapshot.svids() {
        text.push_str(&line(svid));
        let _ = writeln!(text, "  fingerprint {}", svid.verified().peer().fingerprint);
        for certificate in svid.verified().certificates().take(1) {
            let _ = writeln!(text, "  key-sha256:{}", certificate.key_sha256());
        }
        if let Some(hint) = svid.hint() {
            let _ = writeln!(text, "  hint {hint}");
        }
    }
    for bundle in snapshot.bundles() {
        let authorities = bundle.authorities().len();
        let _ = writeln!(
            text,
            "bundle of {}: authorities {authorities}, the last ends in {}",
            bundle.trust_domain(),
            left(bundle.not_after())
        );
    }
    text
}

pub(super) fn line(svid: &Svid) -> String {
    format!(
        "{} serial {} ends in {}\n",
        svid.spiffe_id(),
        svid.verified().serial(),
        left(svid.verified().not_after())
    )
}

pub(crate) fn left(end: SystemTime) -> String {
    let seconds = end
        .duration_since(SystemTime::now())
        .unwrap_or_default()
        .as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
