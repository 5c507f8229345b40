//! `spiffectl call`: one request to a server whose identity is proved and expected.

mod data;
mod escape;
mod exchange;
mod health;
mod output;
mod reflection;
mod request;
mod rpc;
mod told;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::Request;
use http_body_util::Full;
use spiffe_connector::{Connector, ExpectedServer};
use tokio::runtime::Runtime;

use self::rpc::Rpc;
use self::told::Told;
use crate::failure::Failure;
use crate::svid;

/// How long the head of a response may take where nobody says how long the whole may.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spiffectl call https://orders.internal:8443/orders/1 --expect spiffe://example.org/service/orders
  spiffectl call https://orders.internal:8443/orders --expect 'spiffe://example.org/service/*' \\
      -d @order.json -H 'Content-Type: application/json' -i -v
  spiffectl call https://orders.internal:8443/orders/1 --expect spiffe://example.org/service/orders \\
      -X DELETE --http1 --fail --max-time 2.5 -o answer.json
  spiffectl call https://orders.internal:8443 --expect spiffe://example.org/service/orders --grpc-health
  spiffectl call https://orders.internal:8443 --expect spiffe://example.org/service/orders \\
      --grpc-list=grpc.health.v1.Health

Status: 0 where the server has answered, 1 where it has not or where --fail or --grpc-health
say so, 2 where what was given cannot be used. No redirect is followed.")]
pub(crate) struct Arguments {
    /// What to call: https://HOST:PORT/PATH, and for gRPC without a path
    url: String,
    /// Who has to answer: a SPIFFE ID, or an ID pattern; it gets no byte of the request before it has
    /// proved to be that
    #[arg(long, value_name = "ID")]
    expect: String,
    #[command(flatten)]
    agent: svid::Agent,
    #[command(flatten)]
    http: Http,
    #[command(flatten)]
    grpc: Grpc,
    /// How many seconds the whole call may take, as in 0.5; without it the head of the response has
    /// 30 seconds and its body any time, and gRPC has 30 seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_time: Option<Duration>,
    /// Say on stderr who calls, who has answered, when its SVID ends, and the protocol
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Http {
    /// The method; GET without it, and POST where there is data
    #[arg(short = 'X', long, value_name = "METHOD", conflicts_with = "Grpc")]
    request: Option<String>,
    /// A header to send, as in 'Accept: text/plain'; may be said for several
    #[arg(short = 'H', long, value_name = "HEADER", conflicts_with = "Grpc")]
    header: Vec<String>,
    /// The body to send as it is, at most 16 MiB; @FILE is that of a file, and @- that of stdin
    #[arg(
        short,
        long,
        value_name = "DATA",
        allow_hyphen_values = true,
        conflicts_with = "Grpc"
    )]
    data: Option<String>,
    /// Speak HTTP/1.1 alone; otherwise the server chooses
    #[arg(long, conflicts_with_all = ["Grpc", "http2"])]
    http1: bool,
    /// Speak HTTP/2 alone
    #[arg(long)]
    http2: bool,
    /// Write the status line and the headers before the body, their control characters escaped
    #[arg(short, long, conflicts_with = "Grpc")]
    include: bool,
    /// Write no body and end with status 1 where the response is 400 or above
    #[arg(short, long, conflicts_with = "Grpc")]
    fail: bool,
    /// Write to a file; it is made once there is a response
    #[arg(short, long, value_name = "FILE", conflicts_with = "Grpc")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(id = "Grpc", multiple = false)]
pub(crate) struct Grpc {
    /// Ask grpc.health.v1.Health for the state of a service, or of the whole server
    #[arg(
        long,
        value_name = "SERVICE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    grpc_health: Option<String>,
    /// Print the services that the server's reflection names, or the methods of one
    #[arg(
        long,
        value_name = "SERVICE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    grpc_list: Option<String>,
}

enum Call {
    Grpc(Rpc),
    Http(Box<Request<Full<Bytes>>>),
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::failed)?;
    let done = runtime.block_on(call(arguments));
    // A look-up of a name that nobody answers would hold up the end.
    runtime.shutdown_background();
    done
}

async fn call(arguments: Arguments) -> Result<(), Failure> {
    let url = url::read(&arguments.url)?;
    let expected: ExpectedServer = arguments.expect.parse().map_err(Failure::unusable)?;
    let rpc = match (arguments.grpc.grpc_health, arguments.grpc.grpc_list) {
        (Some(service), _) => Some(Rpc::Health(service)),
        (None, Some(service)) => Some(Rpc::List(service)),
        (None, None) => None,
    };
    // What cannot be used is told before anybody is called.
    let call = match rpc {
        Some(rpc) => {
            url::check_origin(&url)?;
            Call::Grpc(rpc)
        }
        None => Call::Http(Box::new(request::build(&url, &arguments.http)?)),
    };

    let source = svid::connect(arguments.agent).await?;
    let told = Told::new(&source, &expected, arguments.verbose);
    let connector = Connector::new(source, expected)
        .map_err(Failure::unusable)?
        .response_header_timeout(arguments.max_time.unwrap_or(PATIENCE))
        .overall_timeout(arguments.max_time);
    match call {
        Call::Grpc(rpc) => {
            let within = arguments.max_time.unwrap_or(PATIENCE);
            rpc::call(&connector, url, within, rpc, &told).await
        }
        Call::Http(request) => {
            exchange::exchange(&connector, *request, &arguments.http, &told).await
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "write a number of seconds above 0, as in 2.5".to_owned())
}
