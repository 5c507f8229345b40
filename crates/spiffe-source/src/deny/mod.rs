//! Whom to refuse although its SVID is valid: the list, its text form, and the file that is watched.

mod entry;
mod error;
mod file;
mod list;
mod lists;
mod text;

pub use self::entry::DenyEntry;
pub use self::error::InvalidDenyList;
pub(crate) use self::file::DenyFile;
pub use self::list::DenyList;
pub(crate) use self::lists::{DenyLists, DenyParts};

#[cfg(test)]
mod tests;
