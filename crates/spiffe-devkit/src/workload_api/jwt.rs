use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{self as json, Map};
use spiffe_peer::parse;
use spiffe_source::workload_api::messages::{
    JwtBundlesResponse, JwtSvid, JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidRequest,
    ValidateJwtSvidResponse,
};
use spiffe_verify::{JwtBundle, JwtVerifier};
use tonic::Status;

use super::x509::told;
use super::{Answer, WorkloadApi};
use crate::state::{Profile, Refusal};

/// A token cannot be withdrawn, so it lives shortly whatever the entry says.
const MAX_TTL: Duration = Duration::from_secs(300);

impl WorkloadApi {
    pub(super) fn jwt_bundles(&self) -> Answer<JwtBundlesResponse> {
        let bundles = self.state.bundles(&self.caller, Profile::Jwt)?;
        let told = told(&bundles);
        Ok((
            JwtBundlesResponse {
                bundles: bundles.into_iter().collect(),
            },
            told,
        ))
    }

    pub(super) fn jwt_svids(&self, request: &JwtSvidRequest) -> Answer<JwtSvidResponse> {
        if request.audience.is_empty() || request.audience.iter().any(String::is_empty) {
            return Err(Status::invalid_argument("audience must be specified"));
        }
        let mut entries = self.state.entries_of(&self.caller)?;
        if !request.spiffe_id.is_empty() {
            let wanted = parse::workload_id(&request.spiffe_id)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            entries.retain(|entry| entry.spiffe_id == wanted);
        }
        let mut svids = Vec::new();
        let mut told = Vec::new();
        for entry in &entries {
            let authority = self
                .state
                .authority(entry.spiffe_id.trust_domain())
                .ok_or(Refusal::NoIdentity)?;
            let svid = authority
                .issue_jwt(&entry.spiffe_id, &request.audience, entry.ttl.min(MAX_TTL))
                .map_err(Refusal::from)?;
            told.push(format!("{} for {:?}", entry.spiffe_id, request.audience));
            svids.push(JwtSvid {
                spiffe_id: entry.spiffe_id.to_string(),
                svid,
                hint: entry.hint.clone(),
            });
        }
        if svids.is_empty() {
            return Err(Status::permission_denied(
                "the caller does not have this identity",
            ));
        }
        Ok((JwtSvidResponse { svids }, told.join(", ")))
    }
}

impl WorkloadApi {
    pub(super) fn validate_jwt_svid(
        &self,
        request: &ValidateJwtSvidRequest,
    ) -> Answer<ValidateJwtSvidResponse> {
        let missing = [("audience", &request.audience), ("svid", &request.svid)];
        if let Some((field, _)) = missing.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(Status::invalid_argument(format!(
                "{field} must be specified"
            )));
        }
        let bundles: BTreeMap<_, _> = self
            .state
            .bundles(&self.caller, Profile::Jwt)?
            .into_iter()
            // A bundle that was broken for a test vouches for nobody.
            .filter_map(|(key, jwks)| {
                JwtBundle::parse(parse::trust_domain_id(&key).ok()?, &jwks).ok()
            })
            .map(|bundle| (bundle.trust_domain().clone(), bundle))
            .collect();

        let provider = spiffe_verify::default_provider()
            .map_err(|error| Status::internal(error.to_string()))?;
        let verifier = JwtVerifier::new(provider, [request.audience.as_str()])
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let svid = verifier
            .verify(
                &request.svid,
                |trust_domain| bundles.get(trust_domain),
                SystemTime::now(),
            )
            .map_err(|error| Status::invalid_argument(error.to_string()))?;

        let spiffe_id = svid.spiffe_id().to_string();
        let told = format!("{spiffe_id} is valid for {:?}", request.audience);
        let claims = Some(protobuf(svid.claims()));
        Ok((ValidateJwtSvidResponse { spiffe_id, claims }, told))
    }
}

fn protobuf(claims: &Map<String, json::Value>) -> Struct {
    let fields = claims
        .iter()
        .map(|(name, value)| (name.clone(), protobuf_value(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn protobuf_value(value: &json::Value) -> Value {
    let kind = match value {
        json::Value::Null => Kind::NullValue(0),
        json::Value::Bool(value) => Kind::BoolValue(*value),
        json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        json::Value::String(value) => Kind::StringValue(value.clone()),
        json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(protobuf_value).collect(),
        }),
        json::Value::Object(fields) => Kind::StructValue(protobuf(fields)),
    };
    Value { kind: Some(kind) }
}
