use std::time::{Duration, SystemTime};

use spiffe_peer::parse;
use spiffe_source::{Snapshot, Source};

use super::report::Report;
use crate::failure::Failure;
use crate::svid::left;

/// How long the JWT bundles may take, which come on a stream of their own.
const JWT_BUNDLES: Duration = Duration::from_secs(2);

/// Looks at what the agent has given.
pub(super) async fn examine(
    source: &Source,
    trusted: &[String],
    report: &mut Report,
) -> Result<(), Failure> {
    let snapshot = source.snapshot();
    let Some(svid) = snapshot.svid() else {
        return report.fault("svid", source.status());
    };
    let verified = svid.verified();
    let (start, end) = (verified.not_before(), verified.not_after());
    let now = SystemTime::now();
    let life = end.duration_since(start).unwrap_or_default();
    let age = now.duration_since(start).unwrap_or_default();
    let said = format!(
        "{}, serial {}, ends in {}",
        svid.spiffe_id(),
        verified.serial(),
        left(end)
    );
    if age > life / 3 * 2 {
        report.doubt(
            "svid",
            format!("{said}; it should have been renewed by now: look into the agent's log"),
        )?;
    } else {
        report.good("svid", said)?;
    }
    if snapshot.svids().len() > 1 {
        let hints: Vec<_> = snapshot
            .svids()
            .iter()
            .map(|svid| {
                format!(
                    "{} ({})",
                    svid.spiffe_id(),
                    svid.hint().unwrap_or("no hint")
                )
            })
            .collect();
        report.doubt(
            "svid",
            format!(
                "there are {}, and the first is used: {}; pick one by ID or hint",
                hints.len(),
                hints.join(", ")
            ),
        )?;
    }
    if let Some(error) = source.status().last_error() {
        report.doubt("svid", error)?;
    }
    report.good(
        "clock",
        format!("the SVID is valid since {} s", age.as_secs()),
    )?;
    bundles(source, &snapshot, trusted, report).await
}

async fn bundles(
    source: &Source,
    snapshot: &Snapshot,
    trusted: &[String],
    report: &mut Report,
) -> Result<(), Failure> {
    for bundle in snapshot.bundles() {
        let (domain, authorities) = (bundle.trust_domain(), bundle.authorities().len());
        let end = left(bundle.not_after());
        report.good(
            "bundle",
            format!("{domain} has {authorities} authorities, the last ends in {end}"),
        )?;
    }
    for name in trusted {
        let domain = parse::trust_domain(name).map_err(Failure::unusable)?;
        if snapshot.bundle(&domain).is_none() {
            report.fault(
                "bundle",
                format!("there is none of {domain}: let the entry federate with it"),
            )?;
        }
    }
    let Some(own) = snapshot.svid().map(|svid| svid.spiffe_id().trust_domain()) else {
        return Ok(());
    };
    let mut source = source.clone();
    let arrives = async {
        while source.snapshot().jwt_bundle(own).is_none() {
            source.changed().await?;
        }
        Ok::<_, spiffe_source::Closed>(())
    };
    match tokio::time::timeout(JWT_BUNDLES, arrives).await {
        Ok(Ok(())) => report.good("bundle", format!("{own} has keys for JWT-SVIDs")),
        _ => report.doubt("bundle", format!("{own} has no keys for JWT-SVIDs")),
    }
}
