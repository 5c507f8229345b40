//! What the targets that read certificates share: valid ones to begin with, ways of spoiling them
//! that get past the signatures, and a second opinion on what was accepted.

pub mod der;
pub mod live;
pub mod minted;
pub mod opinion;
