use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use spiffe_peer::TrustDomain;
use time::OffsetDateTime;

use super::{IssueError, IssueSpec, IssuedSvid};
use crate::random;

/// How far a certificate reaches into the past, for peers whose clocks are behind.
const SKEW: Duration = Duration::from_secs(30);

/// A root with an intermediate that issues the leaves.
pub(super) struct CertificateAuthority {
    pub(super) root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl CertificateAuthority {
    pub(super) fn new(
        trust_domain: &TrustDomain,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Self, IssueError> {
        let not_before = now.checked_sub(SKEW).unwrap_or(now);
        let not_after = now.checked_add(ttl).ok_or(IssueError::TIME)?;

        let root_key = KeyPair::generate()?;
        let mut root = ca_params(trust_domain, "root", not_before, not_after)?;
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root, root_key);

        let intermediate_key = KeyPair::generate()?;
        let mut intermediate = ca_params(trust_domain, "intermediate", not_before, not_after)?;
        intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        intermediate.use_authority_key_identifier_extension = true;
        let intermediate_certificate = intermediate.signed_by(&intermediate_key, &root_issuer)?;

        Ok(Self {
            root: root_certificate.der().to_vec(),
            intermediate: intermediate_certificate.der().to_vec(),
            issuer: Issuer::new(intermediate, intermediate_key),
            not_before,
            not_after,
        })
    }

    /// Issues a leaf with a fresh key.
    pub(super) fn issue(
        &self,
        spec: &IssueSpec,
        now: SystemTime,
    ) -> Result<IssuedSvid, IssueError> {
        let (not_before, starts) = match spec.starts_at {
            Some(start) => (start, start),
            None if now >= self.not_after => return Err(IssueError::AUTHORITY_ENDED),
            None => (
                now.checked_sub(SKEW).unwrap_or(now).max(self.not_before),
                now,
            ),
        };
        let end = starts.checked_add(spec.ttl).unwrap_or(self.not_after);
        let not_after = whole_seconds_up(end).min(self.not_after);

        let key = KeyPair::generate()?;
        let serial = random::serial()?;
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = name(&[(DnType::OrganizationName, "spiffe-devkit")]);
        params.not_before = date(not_before)?;
        params.not_after = date(not_after)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::URI(spec.spiffe_id.to_string().try_into()?)];
        for name in &spec.dns_names {
            params
                .subject_alt_names
                .push(SanType::DnsName(name.as_str().try_into()?));
        }
        let leaf = params.signed_by(&key, &self.issuer)?;

        Ok(IssuedSvid {
            spiffe_id: spec.spiffe_id.clone(),
            chain: vec![leaf.der().to_vec(), self.intermediate.clone()],
            key: key.serialize_der(),
            serial,
            not_before,
            not_after,
        })
    }
}

fn ca_params(
    trust_domain: &TrustDomain,
    role: &str,
    not_before: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, IssueError> {
    let serial = random::serial()?;
    // Each authority has a name of its own, so that a verifier never takes one for another. A common
    // name has at most 64 characters.
    let shown: String = trust_domain.as_str().chars().take(32).collect();
    let common_name = format!(
        "{shown} {role} {}",
        random::hex(serial.get(..4).unwrap_or_default())
    );

    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = name(&[
        (DnType::OrganizationName, "spiffe-devkit"),
        (DnType::CommonName, &common_name),
    ]);
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![SanType::URI(trust_domain.id_string().try_into()?)];
    Ok(params)
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, text) in parts {
        name.push(kind.clone(), *text);
    }
    name
}

/// Certificates count whole seconds: rounding down would take a second from a life of few.
fn whole_seconds_up(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let up = u64::from(since.subsec_nanos() > 0);
    UNIX_EPOCH
        .checked_add(Duration::from_secs(since.as_secs().saturating_add(up)))
        .unwrap_or(time)
}

fn date(time: SystemTime) -> Result<OffsetDateTime, IssueError> {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_err(|_| IssueError::TIME)?
        .as_secs();
    let seconds = i64::try_from(seconds).map_err(|_| IssueError::TIME)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::TIME)
}
