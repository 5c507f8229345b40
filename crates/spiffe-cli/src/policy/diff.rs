use std::path::PathBuf;

use clap::Args;
use spiffe_authz::policy::review::diff;

use super::{Clock, Service};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy as it was
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policy as it is to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    service: Service,
    #[command(flatten)]
    clock: Clock,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let old = arguments.service.load(&arguments.old)?;
    let new = arguments.service.load(&arguments.new)?;
    print(&format!("{}\n", diff(&old, &new, arguments.clock.now())))
}
