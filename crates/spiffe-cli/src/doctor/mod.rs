//! `spiffectl doctor`: the way from the variable to a peer, step by step.

mod identity;
mod peer;
mod report;
mod socket;

use std::time::Duration;

use clap::Args;
use spiffe_source::{ConnectError, Endpoint, Source};
use tokio::runtime::Runtime;

use self::report::Report;
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The agent's socket; SPIFFE_ENDPOINT_SOCKET, or else SPIRE_AGENT_SOCKET, where it is not given
    #[arg(long, value_name = "ENDPOINT")]
    socket: Option<String>,
    /// A foreign trust domain that ought to be trusted; may be said for several
    #[arg(long, value_name = "TRUST_DOMAIN")]
    trust: Vec<String>,
    /// The ID of the SVID to use, where there are several; the first without this
    #[arg(long, value_name = "SPIFFE_ID", conflicts_with = "hint")]
    id: Option<String>,
    /// The hint of the SVID to use, where there are several
    #[arg(long, value_name = "HINT")]
    hint: Option<String>,
    /// How many seconds the agent may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// A server to shake hands with
    #[arg(long, value_name = "HOST:PORT", requires = "expect")]
    peer: Option<String>,
    /// The SPIFFE ID that this server has to prove
    #[arg(long, value_name = "SPIFFE_ID", requires = "peer")]
    expect: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let report = Runtime::new()
        .map_err(Failure::failed)?
        .block_on(examine(arguments))?;
    match report.faults() {
        0 => Ok(()),
        1 => Err(Failure::failed("one step has failed")),
        faults => Err(Failure::failed(format!("{faults} steps have failed"))),
    }
}

/// Goes as far as it can: a step that has failed leaves out those that need it.
async fn examine(arguments: Arguments) -> Result<Report, Failure> {
    let mut report = Report::new(print);
    let endpoint = match &arguments.socket {
        Some(text) => text.parse(),
        None => Endpoint::from_env(),
    };
    let endpoint: Endpoint = match endpoint {
        Ok(endpoint) => {
            report.good("variable", format!("the agent is at {endpoint}"))?;
            endpoint
        }
        Err(error) => {
            report.fault("variable", error)?;
            report.left_out(&[
                "socket", "agent", "entry", "svid", "clock", "bundle", "peer",
            ])?;
            return Ok(report);
        }
    };
    socket::examine(&endpoint, &mut report)?;

    let mut builder = Source::workload_api()
        .endpoint(endpoint.to_string())
        .first_update_within(Duration::from_secs(arguments.wait));
    for trust_domain in &arguments.trust {
        builder = builder.trust(trust_domain);
    }
    if let Some(id) = &arguments.id {
        builder = builder.pick_id(id);
    }
    if let Some(hint) = &arguments.hint {
        builder = builder.pick_hint(hint);
    }
    match builder.connect().await {
        Ok(source) => {
            report.good("agent", "it speaks the Workload API")?;
            report.good("entry", "it has an identity for this process")?;
            identity::examine(&source, &arguments.trust, &mut report).await?;
            if let (Some(address), Some(expected)) = (arguments.peer, arguments.expect) {
                peer::examine(source, &address, &expected, &mut report).await?;
            }
        }
        Err(error) => explain(&error, &mut report)?,
    }
    Ok(report)
}

/// Says at which step the agent's answer has failed.
fn explain(error: &ConnectError, report: &mut Report) -> Result<(), Failure> {
    if error.is_configuration() {
        return Err(Failure::unusable(error));
    }
    let is_of_the_clock = |fault: spiffe_verify::X509Fault| {
        let text = spiffe_verify::X509Error::from(fault).to_string();
        error.to_string().contains(&text)
    };
    if error.is_denied() {
        report.good("agent", "it speaks the Workload API")?;
        report.fault("entry", error)?;
        report.left_out(&["svid", "clock", "bundle", "peer"])
    } else if error.is_bad_answer() {
        report.good("agent", "it answers")?;
        report.fault("svid", error)?;
        if is_of_the_clock(spiffe_verify::X509Fault::NotYetValid)
            || is_of_the_clock(spiffe_verify::X509Fault::Expired)
        {
            report.fault(
                "clock",
                "the agent's SVID is not valid by this host's clock: compare both, for instance with `chronyc tracking`",
            )?;
            report.left_out(&["bundle", "peer"])
        } else {
            report.left_out(&["clock", "bundle", "peer"])
        }
    } else {
        report.fault("agent", error)?;
        report.left_out(&["entry", "svid", "clock", "bundle", "peer"])
    }
}
