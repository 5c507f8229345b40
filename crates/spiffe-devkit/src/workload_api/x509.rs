use std::collections::BTreeMap;

use bytes::Bytes;
use spiffe_source::workload_api::messages::{X509BundlesResponse, X509Svid, X509SvidResponse};
use time::OffsetDateTime;

use super::{Answer, WorkloadApi};
use crate::state::{Granted, Profile};

impl WorkloadApi {
    pub(super) fn x509_svids(&self) -> Answer<X509SvidResponse> {
        let view = self.state.x509_svids(&self.caller)?;
        let mut told: Vec<_> = view.svids.iter().map(tell_svid).collect();
        told.extend(tell_bundles("with", view.federated.keys()));
        let svids = view.svids.iter().map(message).collect();
        let federated_bundles = view.federated.into_iter().collect();
        Ok((
            X509SvidResponse {
                svids,
                crl: Vec::new(),
                federated_bundles,
            },
            told.join(", "),
        ))
    }

    pub(super) fn x509_bundles(&self) -> Answer<X509BundlesResponse> {
        let bundles = self.state.bundles(&self.caller, Profile::X509)?;
        let told = told(&bundles);
        Ok((
            X509BundlesResponse {
                crl: Vec::new(),
                bundles: bundles.into_iter().collect(),
            },
            told,
        ))
    }
}

pub(super) fn told(bundles: &BTreeMap<String, Bytes>) -> String {
    tell_bundles("", bundles.keys()).unwrap_or_default()
}

fn message(granted: &Granted) -> X509Svid {
    X509Svid {
        spiffe_id: granted.svid.spiffe_id.to_string(),
        x509_svid: granted.svid.chain.clone(),
        x509_svid_key: granted.svid.key.clone(),
        bundle: granted.bundle.clone(),
        hint: granted.hint.clone(),
    }
}

fn tell_svid(granted: &Granted) -> String {
    let svid = &granted.svid;
    let end = OffsetDateTime::from(svid.not_after);
    let (hour, minute, second) = end.to_hms();
    format!(
        "{} serial {} until {} {hour:02}:{minute:02}:{second:02} UTC",
        svid.spiffe_id,
        svid.serial,
        end.date()
    )
}

fn tell_bundles<'a>(before: &str, keys: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<_> = keys.map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!("{before} bundles of {}", names.join(" "))
            .trim_start()
            .to_owned()
    })
}
