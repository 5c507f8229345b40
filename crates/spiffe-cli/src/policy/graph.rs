use std::path::PathBuf;

use clap::{Args, ValueEnum};
use spiffe_authz::policy::review::Graph;
use spiffe_peer::TrustDomain;

use super::check::routes;
use super::{File, Service};
use crate::failure::Failure;
use crate::print;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: File,
    /// The routes of the application, as JSON: their rules in code are drawn as well
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    /// How it is drawn
    #[arg(long, value_enum)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A picture
    Svg,
    /// For Graphviz
    Dot,
    /// A table
    Markdown,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // What is drawn is what is written, and says `own:` itself: whose it is plays no part.
    let service = Service {
        trust_domain: match &arguments.file.service.trust_domain {
            Some(own) => Some(own.clone()),
            None => TrustDomain::new("own.invalid").ok(),
        },
    };
    let policy = service.load(&arguments.file.file)?;
    let graph = match arguments.routes.as_deref().map(routes).transpose()? {
        Some(routes) => Graph::of_service(&policy, &routes),
        None => Graph::of(&policy),
    };
    print(&match arguments.format {
        Format::Svg => graph.svg(),
        Format::Dot => graph.dot(),
        Format::Markdown => graph.markdown(),
    })
}
