//! Policies: rules in a file, or in code, that are decided by the canonical path of a request.

mod builder;
mod caller;
mod case;
mod condition;
mod decision;
mod error;
mod index;
mod live;
mod loaded;
pub(crate) mod model;
pub(crate) mod path;
pub(crate) mod query;
mod source;
mod users;
mod yaml;

pub(crate) use index::Step;
pub(crate) use live::Replaced;

pub use builder::{PolicyBuilder, PolicyRule};
pub use decision::{Decision, Shadow};
pub use error::{InvalidPolicy, Problem};
pub use live::{LivePolicy, PolicyStatus};
pub use loaded::{Loader, Policy};
pub use query::Query;
pub use source::PolicySource;
