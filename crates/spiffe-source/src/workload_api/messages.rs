//! The messages of the SPIFFE Workload API (SPIFFE Workload API, appendix A), written by hand so
//! that nothing that builds this crate needs a protobuf compiler.

use std::collections::HashMap;

use prost::bytes::Bytes;

/// The full name of the gRPC service. The specification gives it no package.
pub const SERVICE: &str = "SpiffeWorkloadAPI";

/// The metadata key that every request carries, with the value `true`
/// (SPIFFE Workload Endpoint, section 3).
pub const SECURITY_HEADER: &str = "workload.spiffe.io";

/// Asks for all X.509-SVIDs of the caller.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509SvidRequest {}

/// All X.509-SVIDs of the caller, and the bundles that it needs to verify its peers.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509SvidResponse {
    /// The SVIDs; the first is the default one.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<X509Svid>,
    /// Revocation lists, DER.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub crl: Vec<Bytes>,
    /// Bundles of foreign trust domains by their IDs, concatenated DER.
    #[prost(map = "string, bytes", tag = "3")]
    pub federated_bundles: HashMap<String, Bytes>,
}

/// One X.509-SVID with its key.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct X509Svid {
    /// The ID in the SVID.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The certificate chain, concatenated DER, leaf first.
    #[prost(bytes = "bytes", tag = "2")]
    pub x509_svid: Bytes,
    /// The private key, unencrypted PKCS#8 DER.
    #[prost(bytes = "bytes", tag = "3")]
    pub x509_svid_key: Bytes,
    /// The bundle of the SVID's own trust domain, concatenated DER.
    #[prost(bytes = "bytes", tag = "4")]
    pub bundle: Bytes,
    /// What tells several SVIDs apart.
    #[prost(string, tag = "5")]
    pub hint: String,
}

/// Asks for the X.509 bundles of all trust domains that the caller may verify.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509BundlesRequest {}

/// The X.509 bundles of all trust domains that the caller may verify, its own included.
#[derive(Clone, PartialEq, prost::Message)]
pub struct X509BundlesResponse {
    /// Revocation lists, DER.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub crl: Vec<Bytes>,
    /// Bundles by the IDs of their trust domains, concatenated DER.
    #[prost(map = "string, bytes", tag = "2")]
    pub bundles: HashMap<String, Bytes>,
}

/// Asks for JWT-SVIDs for an audience.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JwtSvidRequest {
    /// Those for whom the tokens are meant; at least one.
    #[prost(string, repeated, tag = "1")]
    pub audience: Vec<String>,
    /// The one ID that is wanted; empty for all.
    #[prost(string, tag = "2")]
    pub spiffe_id: String,
}

/// The JWT-SVIDs that were asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JwtSvidResponse {
    /// The SVIDs; the first is the default one.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<JwtSvid>,
}

/// One JWT-SVID.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct JwtSvid {
    /// The ID in the SVID.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The token, JWS compact serialization.
    #[prost(string, tag = "2")]
    pub svid: String,
    /// What tells several SVIDs apart.
    #[prost(string, tag = "3")]
    pub hint: String,
}

/// Asks for the JWT bundles of all trust domains that the caller may verify.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JwtBundlesRequest {}

/// The JWT bundles of all trust domains that the caller may verify, its own included.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JwtBundlesResponse {
    /// JWK sets by the IDs of their trust domains.
    #[prost(map = "string, bytes", tag = "1")]
    pub bundles: HashMap<String, Bytes>,
}

/// Asks the agent to validate a JWT-SVID.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct ValidateJwtSvidRequest {
    /// The audience that the caller expects itself to be.
    #[prost(string, tag = "1")]
    pub audience: String,
    /// The token.
    #[prost(string, tag = "2")]
    pub svid: String,
}

/// What a valid JWT-SVID says.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ValidateJwtSvidResponse {
    /// The ID in the SVID.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// The claims.
    #[prost(message, optional, tag = "2")]
    pub claims: Option<prost_types::Struct>,
}

/// What carries a key or a token tells in its debug output whose it is, never what it is.
macro_rules! debug_without_secrets {
    ($($message:ident { $($shown:ident),* })*) => {$(
        impl std::fmt::Debug for $message {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($shown), &self.$shown))*.finish_non_exhaustive()
            }
        }
    )*};
}

debug_without_secrets! {
    X509Svid { spiffe_id, hint }
    JwtSvid { spiffe_id, hint }
    ValidateJwtSvidRequest { audience }
}
