use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use spiffe_peer::SpiffeId;

use super::IssueError;
use crate::random;

/// A key that signs JWT-SVIDs with ES256.
pub(super) struct JwtKey {
    kid: String,
    key: EcdsaKeyPair,
}

impl JwtKey {
    pub(super) fn generate() -> Result<Self, IssueError> {
        let kid = URL_SAFE_NO_PAD.encode(random::bytes::<18>()?);
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| IssueError::KEY)?;
        Ok(Self { kid, key })
    }

    pub(super) fn sign(
        &self,
        spiffe_id: &SpiffeId,
        audience: &[String],
        now: SystemTime,
        ttl: Duration,
    ) -> Result<String, IssueError> {
        let issued_at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expires_at = issued_at.saturating_add(ttl.as_secs());
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" });
        let claims = json!({ "sub": spiffe_id.to_string(), "aud": audience, "exp": expires_at, "iat": issued_at });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| IssueError::KEY)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public key as an entry of a JWK set. None where the key is no point of 65 bytes, which a
    /// P-256 key always is.
    pub(super) fn jwk(&self) -> Option<Value> {
        let (x, y) = self
            .key
            .public_key()
            .as_ref()
            .strip_prefix(&[4])?
            .split_at_checked(32)?;
        Some(json!({
            "kty": "EC", "use": "jwt-svid", "kid": self.kid, "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }))
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
