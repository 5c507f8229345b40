use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use spiffe_peer::TrustDomain;

use super::key::Key;

/// The longest JWK Set that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The most keys that a JWK Set may have, usable or not.
const MAX_KEYS: usize = 512;

/// The JWT authorities of one trust domain: the keys that may sign its JWT-SVIDs.
///
/// It is read from a JWK Set, either a bundle document of SPIFFE or the plain set that the Workload
/// API hands out. A key counts where all of this holds; each that does not is left out, and the
/// others stay (SPIFFE Trust Domain and Bundle, section 4.2):
///
/// - Its `use` is `jwt-svid`. It may be absent in a plain set, in which no key has one.
/// - It has a `kid` that no other key of the set has; of two with the same, neither is used.
/// - It is an elliptic curve key on P-256, P-384 or P-521, or an RSA key of 2048 to 8192 bits.
///
/// A bundle without keys is a valid one, and no token is accepted by it.
///
/// ```
/// use spiffe_peer::parse;
/// use spiffe_verify::JwtBundle;
///
/// let bundle = JwtBundle::parse(parse::trust_domain("example.org")?, br#"{"keys": []}"#)?;
/// assert!(bundle.is_empty());
/// assert!(JwtBundle::parse(parse::trust_domain("example.org")?, b"{}").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct JwtBundle {
    trust_domain: TrustDomain,
    keys: BTreeMap<String, Key>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    spiffe_sequence: bool,
    #[serde(default, deserialize_with = "present")]
    spiffe_refresh_hint: bool,
}

#[derive(Deserialize)]
struct NamesUse {
    #[serde(default, rename = "use", deserialize_with = "present")]
    names_use: bool,
}

/// Asks every key, also one that cannot be used otherwise; what cannot even be asked counts as one
/// that names a use.
fn names_no_use(raw: &RawValue) -> bool {
    serde_json::from_str::<NamesUse>(raw.get()).is_ok_and(|key| !key.names_use)
}

/// A JWK as it is written. A member that stands in it twice, or has the wrong type, makes the key
/// malformed.
#[derive(Deserialize)]
pub(super) struct Jwk {
    pub(super) kty: String,
    #[serde(default, rename = "use", deserialize_with = "not_null")]
    usage: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) alg: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) crv: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) x: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) y: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) n: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    pub(super) e: Option<String>,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
}

impl JwtBundle {
    /// Reads the JWK Set of a trust domain.
    ///
    /// # Errors
    ///
    /// [`InvalidJwtBundle`] where the document is no JWK Set, or larger than 1 MiB or 512 keys. A
    /// single key that cannot be used is no error.
    pub fn parse(trust_domain: TrustDomain, jwks: &[u8]) -> Result<Self, InvalidJwtBundle> {
        if jwks.len() > MAX_BYTES {
            return Err(InvalidJwtBundle(Why::TooLong));
        }
        let document: Document<'_> = serde_json::from_slice(jwks)
            .map_err(|error| InvalidJwtBundle(Why::Json(Box::from(cause(&error)))))?;
        if document.keys.len() > MAX_KEYS {
            return Err(InvalidJwtBundle(Why::TooManyKeys));
        }
        let read: Vec<Jwk> = document
            .keys
            .iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect();
        let is_plain = !document.spiffe_sequence
            && !document.spiffe_refresh_hint
            && document.keys.iter().all(|raw| names_no_use(raw));

        let mut keys = BTreeMap::new();
        for jwk in read.iter().filter(|jwk| jwk.is_for_tokens(is_plain)) {
            let Some(kid) = jwk.kid.as_ref().filter(|kid| !kid.is_empty()) else {
                continue;
            };
            match keys.entry(kid.clone()) {
                Entry::Vacant(free) => drop(free.insert(Key::from_jwk(jwk))),
                // Which of the two signed a token could not be told.
                Entry::Occupied(mut taken) => drop(taken.insert(None)),
            }
        }
        let keys = keys
            .into_iter()
            .filter_map(|(kid, key)| Some((kid, key?)))
            .collect();
        Ok(Self { trust_domain, keys })
    }

    /// The trust domain that the keys speak for.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whether there is no usable key, so that no token of the trust domain is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The IDs of the usable keys, in order.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }
}

impl Jwk {
    fn is_for_tokens(&self, plain: bool) -> bool {
        match self.usage.as_deref() {
            Some(usage) => usage == "jwt-svid",
            // A certificate marks an authority for X.509-SVIDs.
            None => plain && !self.x5c,
        }
    }
}

/// `null` is no text, and not the same as nothing.
fn not_null<'de, D: Deserializer<'de>>(member: D) -> Result<Option<String>, D::Error> {
    String::deserialize(member).map(Some)
}

fn present<'de, D: Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(member).map(|_| true)
}

/// Says where the document breaks and not what stands there.
fn cause(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON",
        serde_json::error::Category::Data => "it is not an object with one array `keys`",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

impl fmt::Debug for JwtBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBundle")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("key_ids", &self.keys.keys())
            .finish_non_exhaustive()
    }
}

/// A document that is no JWK Set, or one beyond the bounds.
///
/// ```
/// use spiffe_peer::parse;
///
/// let error = spiffe_verify::JwtBundle::parse(parse::trust_domain("example.org")?, b"[]").unwrap_err();
/// assert!(error.to_string().contains("keys"));
/// # Ok::<(), spiffe_peer::parse::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidJwtBundle(Why);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    TooLong,
    TooManyKeys,
    Json(Box<str>),
}

impl fmt::Display for InvalidJwtBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the JWT bundle is no JWK Set: ")?;
        match &self.0 {
            Why::TooLong => write!(f, "it is longer than {MAX_BYTES} bytes"),
            Why::TooManyKeys => write!(f, "it has more than {MAX_KEYS} keys"),
            Why::Json(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for InvalidJwtBundle {}
