use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::JwtFault;

/// The end of the year 9999, in seconds since 1970: what lies beyond is no point in time that
/// anybody means.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// `exp`, which must be there.
pub(super) fn expires_at(claims: &Map<String, Value>) -> Result<SystemTime, JwtFault> {
    claims
        .get("exp")
        .and_then(point_in_time)
        .ok_or(JwtFault::Time)
}

/// `nbf`, which may be absent.
pub(super) fn not_before(claims: &Map<String, Value>) -> Result<Option<SystemTime>, JwtFault> {
    claims
        .get("nbf")
        .map(|nbf| point_in_time(nbf).ok_or(JwtFault::Time))
        .transpose()
}

/// `aud`, a text or a list of texts, at least one.
pub(super) fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, JwtFault> {
    let audience: Option<Vec<_>> = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    audience
        .filter(|audience| !audience.is_empty())
        .ok_or(JwtFault::Audience)
}

/// A NumericDate (RFC 7519, section 2): seconds since 1970, fractions allowed.
fn point_in_time(value: &Value) -> Option<SystemTime> {
    let number = value.as_number()?;
    let since_1970 = match number.as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        // Refuses what is negative or too large.
        None => Duration::try_from_secs_f64(number.as_f64()?).ok()?,
    };
    if since_1970 > LATEST {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_date_is_a_number_within_bounds() {
        let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(point_in_time(&json!(0)), at(0));
        assert_eq!(point_in_time(&json!(1_700_000_000)), at(1_700_000_000_000));
        assert_eq!(point_in_time(&json!(1.5)), at(1500));
        assert_eq!(point_in_time(&json!(2e9)), at(2_000_000_000_000));
        assert_eq!(
            point_in_time(&json!(253_402_300_799_u64)),
            at(253_402_300_799_000)
        );
        for bad in [
            json!(-1),
            json!(-0.5),
            json!(1e300),
            json!(253_402_300_800_u64),
            json!(u64::MAX),
            json!("1700000000"),
            json!(true),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(point_in_time(&bad), None, "{bad}");
        }
    }
}
