use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use spiffe_peer::{SpiffeId, parse};
use spiffe_verify::{JwtError, JwtFault, JwtVerifier};

/// What a token says of itself. Its form has been checked as strictly as that of a token of
/// somebody else, its signature has not.
pub(super) struct Claims {
    pub(super) subject: SpiffeId,
    pub(super) audience: Vec<String>,
    pub(super) expires_at: SystemTime,
    pub(super) key_id: String,
}

impl Claims {
    pub(super) fn read(token: &str, verifier: &JwtVerifier) -> Result<Self, JwtError> {
        // Without a bundle the verifier finds out everything that there is to find out without a key.
        match verifier.verify(token, |_| None, SystemTime::UNIX_EPOCH) {
            Err(error) if error.fault() != JwtFault::UnknownTrustDomain => return Err(error),
            Err(_) | Ok(_) => {}
        }
        let mut parts = token.split('.').map(object);
        let header = parts.next().flatten().ok_or(JwtFault::Header)?;
        let claims = parts.next().flatten().ok_or(JwtFault::Claims)?;
        let key_id = text(&header, "kid").ok_or(JwtFault::KeyId)?;
        let subject = text(&claims, "sub").ok_or(JwtFault::Subject)?;
        Ok(Self {
            subject: parse::workload_id(subject).map_err(|_| JwtFault::Subject)?,
            audience: audience(&claims).ok_or(JwtFault::Audience)?,
            expires_at: expires_at(&claims).ok_or(JwtFault::Time)?,
            key_id: key_id.to_owned(),
        })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn audience(claims: &Map<String, Value>) -> Option<Vec<String>> {
    match claims.get("aud")? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn expires_at(claims: &Map<String, Value>) -> Option<SystemTime> {
    let seconds = claims.get("exp")?.as_f64()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}
