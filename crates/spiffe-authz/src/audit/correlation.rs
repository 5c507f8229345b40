use http::HeaderMap;

/// The longest correlation ID that a record takes over.
const LONGEST: usize = 128;

/// What ties the records of one request together: the trace ID of `traceparent` (W3C Trace Context,
/// section 3.2), else `x-request-id`. The caller chose it, so it is bounded and plain.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .and_then(trace_id)
        .or_else(|| {
            let value = headers.get("x-request-id")?.to_str().ok()?;
            let plain = !value.is_empty()
                && value.len() <= LONGEST
                && value.bytes().all(|byte| byte.is_ascii_graphic());
            plain.then_some(value)
        })
}

fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let is_id = id.len() == 32
        && id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && id.bytes().any(|byte| byte != b'0');
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_comes_before_a_request_id_and_nonsense_is_neither() {
        let mut headers = HeaderMap::new();
        assert_eq!(correlation_id(&headers), None);
        headers.insert("x-request-id", "r-1".parse().unwrap());
        assert_eq!(correlation_id(&headers), Some("r-1"));
        let trace = "0af7651916cd43dd8448eb211c80319c";
        headers.insert(
            "traceparent",
            format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap(),
        );
        assert_eq!(correlation_id(&headers), Some(trace));
        for nonsense in [
            "",
            "00",
            "00-xyz-1-01",
            &format!("00-{}-1-01", "0".repeat(32)),
        ] {
            headers.insert("traceparent", nonsense.parse().unwrap());
            assert_eq!(correlation_id(&headers), Some("r-1"), "{nonsense:?}");
        }
        for nonsense in ["", "a b", "x\ty", &"y".repeat(LONGEST + 1)] {
            headers.insert("x-request-id", nonsense.parse().unwrap());
            assert_eq!(correlation_id(&headers), None, "{nonsense:?}");
        }
    }
}
