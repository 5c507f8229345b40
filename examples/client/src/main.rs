//! Calls one URL, if it is the expected server that answers there.
//!
//! Run with `SPIFFE_ENDPOINT_SOCKET=unix:///path/of/agent.sock cargo run -p example-client --
//! https://127.0.0.1:8443/api/hello --expect spiffe://example.org/service/orders`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use spiffe_connector::{Connector, ExpectedServer, Failure};
use spiffe_source::Source;

const OVERALL: Duration = Duration::from_secs(15);
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Calls a server that has to prove its SPIFFE ID.
#[derive(Parser)]
struct Arguments {
    /// What to call, for instance https://127.0.0.1:8443/api/hello
    url: Uri,
    /// The SPIFFE ID of the server, or an ID pattern
    #[arg(long, value_name = "ID")]
    expect: ExpectedServer,
    /// The method of the request; POST where there is data, otherwise GET
    #[arg(long)]
    method: Option<Method>,
    /// The body of the request
    #[arg(long)]
    data: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) => {
            let status = if wrong.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
            // Nobody reads it: there is nobody left to tell.
            let _ = wrong.print();
            return status;
        }
    };
    match run(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("client: {}", Failure::of(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, Box<dyn Error + Send + Sync>> {
    if arguments.url.scheme() != Some(&http::uri::Scheme::HTTPS) {
        return Err("the URL begins with `https://`: this client speaks nothing else".into());
    }
    let source = Source::workload_api().connect().await?;
    let client = Connector::new(source, arguments.expect)?.http_client();
    let method = arguments.method.unwrap_or(if arguments.data.is_some() {
        Method::POST
    } else {
        Method::GET
    });
    let body = Full::new(Bytes::from(arguments.data.unwrap_or_default()));
    let request = Request::builder()
        .method(method)
        .uri(arguments.url)
        .body(body)?;
    let call = async {
        let response = client.request(request).await?;
        let status = response.status();
        println!("{status}");
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await?
            .to_bytes();
        println!("{}", String::from_utf8_lossy(&body));
        Ok(status.is_success())
    };
    tokio::time::timeout(OVERALL, call)
        .await
        .map_err(|_| format!("no answer within {OVERALL:?}"))?
}
