//! What the agent has to do with single tokens: it issues those of this process, and validates those
//! of others.

use http::uri::PathAndQuery;
use prost_types::value::Kind;
use serde_json::{Map, Number, Value};
use spiffe_peer::SpiffeId;
use tonic::{Code, Status};

use super::client::Client;
use super::messages::{
    JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidRequest, ValidateJwtSvidResponse,
};
use crate::error::Failure;
use crate::jwt::{IssuedJwtSvid, JwtAnswer, JwtAuthority, JwtAuthorityError, VouchedJwtSvid};

/// The shortest part of a token that is recognised in what an agent says.
const TELLING: usize = 8;

impl JwtAuthority for Client {
    fn fetch<'a>(
        &'a self,
        id: &'a SpiffeId,
        audience: &'a [String],
    ) -> JwtAnswer<'a, IssuedJwtSvid> {
        Box::pin(async move {
            let wanted = id.to_string();
            let question = JwtSvidRequest {
                audience: audience.to_vec(),
                spiffe_id: wanted.clone(),
            };
            let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchJWTSVID");
            token_of(&wanted, self.ask(path, question).await??)
        })
    }

    fn validate<'a>(&'a self, token: &'a str, audience: &'a str) -> JwtAnswer<'a, VouchedJwtSvid> {
        Box::pin(async move {
            let question = ValidateJwtSvidRequest {
                audience: audience.to_owned(),
                svid: token.to_owned(),
            };
            let path = PathAndQuery::from_static("/SpiffeWorkloadAPI/ValidateJWTSVID");
            let answer = self.ask(path, question).await?;
            let answer: ValidateJwtSvidResponse =
                answer.map_err(|status| refusal(&status, token))?;
            let claims = answer.claims.map(object).unwrap_or_default();
            Ok(VouchedJwtSvid::new(answer.spiffe_id, claims))
        })
    }
}

/// An agent that was asked for one ID may answer with more. The first of several with the same ID
/// is the default one (SPIFFE Workload API, section 8).
fn token_of(wanted: &str, answer: JwtSvidResponse) -> Result<IssuedJwtSvid, JwtAuthorityError> {
    let mut svids = answer.svids.into_iter();
    let svid = svids.find(|svid| svid.spiffe_id == wanted).ok_or_else(|| {
        JwtAuthorityError::bad_answer(format!("the agent's answer has no token of {wanted}"))
    })?;
    Ok(IssuedJwtSvid::new(svid.svid))
}

/// What a status says of a token that the agent was to validate. An agent may well repeat it, and a
/// token is not for the log.
fn refusal(status: &Status, token: &str) -> JwtAuthorityError {
    let mut parts = token.split('.').filter(|part| part.len() >= TELLING);
    let message = if parts.any(|part| status.message().contains(part)) {
        "its message holds the token, and is not shown"
    } else {
        status.message()
    };
    match status.code() {
        Code::InvalidArgument => JwtAuthorityError::refused(message),
        code => Status::new(code, message).into(),
    }
}

impl From<Status> for JwtAuthorityError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unimplemented => Self::unsupported("the agent does not serve JWT-SVIDs"),
            Code::InvalidArgument => Self::bad_answer(format!(
                "the agent does not understand the request ({})",
                status.message()
            )),
            _ => Failure::from_status(&status).into(),
        }
    }
}

impl From<Failure> for JwtAuthorityError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(_) => Self::denied(failure),
            Failure::Unreachable(_) | Failure::NotReady(_) | Failure::Hung(_) | Failure::Ended => {
                Self::unavailable(failure)
            }
            _ => Self::bad_answer(failure),
        }
    }
}

fn object(fields: prost_types::Struct) -> Map<String, Value> {
    let fields = fields.fields.into_iter();
    fields.map(|(name, field)| (name, value(field))).collect()
}

fn value(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(self::value).collect(),
        Some(Kind::StructValue(fields)) => Value::Object(object(fields)),
    }
}

/// Protobuf knows no whole numbers here, and JSON writes them without a fraction.
fn number(value: f64) -> Value {
    const WHOLE_UP_TO: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0
        && value.abs() < WHOLE_UP_TO
        && let Ok(whole) = format!("{value:.0}").parse::<i64>()
    {
        return whole.into();
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::messages::JwtSvid;
    use super::*;

    #[test]
    fn conformance_51_a_token_that_the_agent_repeats_is_not_shown() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
        for part in token.split('.').chain([token]) {
            for code in [Code::InvalidArgument, Code::Internal, Code::Unavailable] {
                let status = Status::new(code, format!("cannot parse `{part}`"));
                let shown = format!("{:?}", refusal(&status, token));
                assert!(!shown.contains(part), "{shown}");
            }
        }
        let status = Status::invalid_argument("the signature is wrong");
        let error = refusal(&status, token);
        assert!(error.is_refused() && error.to_string() == "the signature is wrong");
    }

    #[test]
    fn conformance_79_an_agent_that_answers_with_all_tokens_is_understood() {
        let svid = |of: &str, token: &str| JwtSvid {
            spiffe_id: of.to_owned(),
            svid: token.to_owned(),
            hint: String::new(),
        };
        let all = JwtSvidResponse {
            svids: vec![svid("other", "1"), svid("own", "2"), svid("own", "3")],
        };
        let token = token_of("own", all.clone()).unwrap().into_token();
        assert_eq!(*token, "2");
        assert!(token_of("none", all).unwrap_err().is_bad_answer());
    }

    #[test]
    fn a_whole_number_stays_one() {
        assert_eq!(number(1_700_000_000.0), json!(1_700_000_000));
        assert_eq!(number(-0.0), json!(0));
        assert_eq!(number(1.5), json!(1.5));
        assert_eq!(number(f64::NAN), Value::Null);
        assert_eq!(number(1e300), json!(1e300));
    }
}
