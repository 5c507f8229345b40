//! No token and no JWK Set makes the verifier panic, and its errors stay short.

#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use spiffe_peer::{TrustDomain, parse};
use spiffe_verify::{JwtBundle, JwtVerifier, default_provider};

/// Errors go to logs: whatever the input, this is enough for one.
const LONGEST_ERROR: usize = 4096;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    token: Written<'a>,
    jwks: Option<&'a [u8]>,
}

/// A token as it comes, or from its parts, so that the fuzzer need not find out base64.
#[derive(Debug, Arbitrary)]
enum Written<'a> {
    Raw(&'a str),
    Parts {
        header: &'a [u8],
        claims: &'a [u8],
        signature: &'a [u8],
    },
    Claims {
        claims: &'a [u8],
        signature: [u8; 64],
    },
}

impl Written<'_> {
    fn token(&self) -> String {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Raw(token) => (*token).to_owned(),
            Self::Parts {
                header,
                claims,
                signature,
            } => {
                format!(
                    "{}.{}.{}",
                    encoded(header),
                    encoded(claims),
                    encoded(signature)
                )
            }
            Self::Claims { claims, signature } => {
                let header = br#"{"alg":"ES256","kid":"1"}"#;
                format!(
                    "{}.{}.{}",
                    encoded(header),
                    encoded(claims),
                    encoded(signature)
                )
            }
        }
    }
}

fn trust_domain() -> TrustDomain {
    parse::trust_domain("example.org").unwrap()
}

static VERIFIER: LazyLock<JwtVerifier> =
    LazyLock::new(|| JwtVerifier::new(default_provider().unwrap(), ["us"]).unwrap());

/// The public key of a published example (RFC 7515, appendix A.3).
static BUNDLE: LazyLock<JwtBundle> = LazyLock::new(|| {
    let jwks = br#"{"keys": [{"kty": "EC", "use": "jwt-svid", "kid": "1", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    JwtBundle::parse(trust_domain(), jwks).unwrap()
});

fuzz_target!(|input: Input<'_>| {
    let parsed = input
        .jwks
        .map(|jwks| JwtBundle::parse(trust_domain(), jwks));
    let bundle = match &parsed {
        None => &*BUNDLE,
        Some(Ok(bundle)) => {
            assert_eq!(bundle.is_empty(), bundle.key_ids().next().is_none());
            assert!(bundle.key_ids().all(|id| !id.is_empty()));
            bundle
        }
        Some(Err(error)) => {
            assert!(error.to_string().len() < LONGEST_ERROR);
            return;
        }
    };

    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    match VERIFIER.verify(&input.token.token(), |_| Some(bundle), now) {
        Ok(svid) => {
            assert_eq!(svid.spiffe_id().trust_domain(), bundle.trust_domain());
            assert!(svid.expires_at() > now);
            assert!(svid.audience().iter().any(|audience| audience == "us"));
        }
        Err(error) => {
            let source = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(error.to_string().len() + source.len() < LONGEST_ERROR);
        }
    }
});
