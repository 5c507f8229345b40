use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use spiffe_authz::policy::review::{RecordedRequest, explain};

use super::excerpt::harmless;
use super::{Clock, File};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: File,
    /// A method and a path, or `grpc pkg.Service/Method`
    #[arg(long, value_name = "REQUEST")]
    request: String,
    /// The SPIFFE ID of the caller; nobody without it
    #[arg(long, value_name = "ID")]
    peer: Option<String>,
    /// The end user: {"issuer": .., "subject": .., "scopes": [..], "claims": {..}}
    #[arg(long, value_name = "JSON")]
    user: Option<String>,
    /// A header; may be said for several
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
    /// What the service says of the thing that the request is about
    #[arg(long, value_name = "JSON")]
    resource: Option<String>,
    #[command(flatten)]
    clock: Clock,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let request = arguments.request()?;
    let policy = arguments.file.load()?;
    let explanation = explain(&policy, &request, arguments.clock.now());
    print(&format!("{explanation}\n"))
}

impl Arguments {
    /// The request as `eval` would read it, so that both take the same.
    fn request(&self) -> Result<RecordedRequest, Failure> {
        let mut headers = BTreeMap::<String, Vec<&str>>::new();
        for header in &self.header {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                Failure::unusable(format!("--header {}: write NAME:VALUE", harmless(header)))
            })?;
            let values = headers.entry(name.to_ascii_lowercase()).or_default();
            values.push(value.trim_start_matches(' '));
        }
        let known =
            json!({ "id": "", "request": self.request, "peer": self.peer, "headers": headers });
        let mut line = known.to_string();
        for (key, text) in [("user", &self.user), ("resource", &self.resource)] {
            if let Some(text) = text {
                // One value, as it stands, so that the reader sees a key that is written twice.
                let _: Value = serde_json::from_str(text)
                    .map_err(|error| Failure::unusable(format!("--{key} is no JSON: {error}")))?;
                line.pop();
                line.push_str(&format!(",\"{key}\":{text}}}"));
            }
        }
        RecordedRequest::from_json(&line)
            .map_err(|error| Failure::unusable(harmless(&error.to_string())))
    }
}
