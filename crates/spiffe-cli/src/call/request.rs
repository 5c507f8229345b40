//! The request, of what a person has written.

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::{Http, data};
use crate::failure::Failure;

/// What follows from the URL, the body and the protocol: another value would make two requests of one.
const NOT_TO_BE_SET: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
const OWN_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("spiffectl/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
/// What curl says of its data, so that a command of it means the same here.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

pub(super) fn build(url: &Uri, http: &Http) -> Result<Request<Full<Bytes>>, Failure> {
    let data = http.data.as_deref().map(data::read).transpose()?;
    let method = match (&http.request, &data) {
        (Some(method), _) => method_of(method)?,
        (None, Some(_)) => Method::POST,
        (None, None) => Method::GET,
    };
    let has_data = data.is_some();
    let mut request = Request::new(Full::new(data.unwrap_or_default()));
    *request.method_mut() = method;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    for header in &http.header {
        let (name, value) = header_of(header)?;
        headers
            .try_append(name, value)
            .map_err(|_| Failure::unusable("--header: these are too many"))?;
    }
    let mut defaults = vec![(USER_AGENT, OWN_USER_AGENT), (ACCEPT, ANYTHING)];
    if has_data {
        defaults.push((CONTENT_TYPE, FORM));
    }
    for (name, value) in defaults {
        if !headers.contains_key(&name) {
            headers
                .try_append(name, value)
                .map_err(|_| Failure::unusable("--header: these are too many"))?;
        }
    }
    Ok(request)
}

fn method_of(text: &str) -> Result<Method, Failure> {
    let method = Method::from_bytes(text.as_bytes())
        .map_err(|_| Failure::unusable("--request: this is no method; write one such as PUT"))?;
    if method == Method::CONNECT {
        return Err(Failure::unusable("--request: CONNECT is for proxies alone"));
    }
    Ok(method)
}

/// The value is not repeated where it is refused: it may be a token.
fn header_of(text: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Failure::unusable("--header: write 'NAME: VALUE'"))?;
    let name: HeaderName = name
        .parse()
        .map_err(|_| Failure::unusable("--header: what stands before the colon is no name"))?;
    if NOT_TO_BE_SET.contains(&name) {
        return Err(Failure::unusable(format!(
            "--header: {name} follows from the URL and the data, and cannot be set"
        )));
    }
    let value = HeaderValue::from_str(value.trim()).map_err(|_| {
        Failure::unusable(format!(
            "--header: the value of {name} has a character that none may have"
        ))
    })?;
    Ok((name, value))
}
