use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::JwtFault;
use super::algorithm::Algorithm;
use super::json;

/// The longest token that is read, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// A JWS in compact serialization whose header is that of a JWT-SVID. Nothing of it is verified.
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: String,
    pub(super) claims: Map<String, Value>,
    pub(super) signature: Vec<u8>,
    /// Header and claims as they stand in the token: what the signature is over.
    pub(super) signed: &'t [u8],
}

impl<'t> Token<'t> {
    /// Takes the token apart. The claims are not looked at before the header is found to be right.
    pub(super) fn parse(token: &'t str) -> Result<Self, JwtFault> {
        if token.len() > MAX_BYTES {
            return Err(JwtFault::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtFault::NotCompact)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtFault::NotCompact)?;
        // A further dot is no letter of base64url.
        let (header, signature) = (part(header)?, part(signature)?);
        let (algorithm, key_id) = parse_header(&header)?;
        let claims = json::object(&part(claims)?).ok_or(JwtFault::Claims)?;
        Ok(Self {
            algorithm,
            key_id,
            claims,
            signature,
            signed: signed.as_bytes(),
        })
    }
}

fn part(text: &str) -> Result<Vec<u8>, JwtFault> {
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(JwtFault::NotCompact),
    }
}

fn parse_header(json: &[u8]) -> Result<(Algorithm, String), JwtFault> {
    let header = json::object(json).ok_or(JwtFault::Header)?;
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::from_name);
    let algorithm = algorithm.ok_or(JwtFault::Algorithm)?;
    if header
        .keys()
        .any(|name| !matches!(name.as_str(), "alg" | "kid" | "typ"))
    {
        return Err(JwtFault::HeaderParameter);
    }
    if header
        .get("typ")
        .is_some_and(|typ| !matches!(typ.as_str(), Some("JWT" | "JOSE")))
    {
        return Err(JwtFault::Type);
    }
    match header.get("kid").and_then(Value::as_str) {
        Some(kid) if !kid.is_empty() => Ok((algorithm, kid.to_owned())),
        _ => Err(JwtFault::KeyId),
    }
}
