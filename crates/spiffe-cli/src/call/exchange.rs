//! One request and its response over HTTP.

use std::fmt::Write as _;

use bytes::Bytes;
use http::response::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use spiffe_connector::{Connector, PeerIdentity};

use super::Http;
use super::escape::escaped;
use super::output::Output;
use super::told::{Told, say};
use crate::failure::Failure;

pub(super) async fn exchange(
    connector: &Connector,
    request: Request<Full<Bytes>>,
    http: &Http,
    told: &Told,
) -> Result<(), Failure> {
    let connector = match (http.http1, http.http2) {
        (true, _) => connector.clone().http1_only(),
        (_, true) => connector.clone().http2_only(),
        (false, false) => connector.clone(),
    };
    let response = connector.http_client().request(request).await;
    let (head, mut body) = response
        .map_err(|error| Told::unanswered(&error))?
        .into_parts();
    let server = head.extensions.get::<PeerIdentity>();
    told.who(server, format_args!("{:?}", head.version));
    if http.fail && head.status.as_u16() >= 400 {
        return Err(Failure::failed(told.answered(server, &head)));
    }
    if [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&head.status) {
        say(format_args!("spiffectl: {}", told.answered(server, &head)));
    }

    let mut output = Output::open(http.output.as_deref())?;
    if http.include {
        output.write(describe(&head).as_bytes())?;
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Told::unanswered(&error))?;
        if let Ok(data) = frame.into_data() {
            output.write(&data)?;
        }
    }
    Ok(())
}

fn describe(head: &Parts) -> String {
    let mut text = format!("{:?} {}\n", head.version, head.status);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", escaped(value.as_bytes()));
    }
    text.push('\n');
    text
}
