//! The types that an expression can have, as far as they are known before a request is there.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Bool,
    Int,
    Uint,
    Double,
    Null,
    List(Box<Self>),
    /// A map, with the type of its values; its keys are texts or unknown.
    Map(Box<Self>),
    /// Anything: what a token or the service's own data holds.
    Dynamic,
}

impl Type {
    pub(super) fn list_of(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether it can be a value of the other type: the same, or not known.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        *self == Self::Dynamic || *other == Self::Dynamic || self == other
    }

    /// Whether a value of each can ever be equal to one of the other.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dynamic, _) | (_, Self::Dynamic) => true,
            (Self::List(one), Self::List(two)) | (Self::Map(one), Self::Map(two)) => {
                one.may_equal(two)
            }
            (one, two) => one == two || (one.is_number() && two.is_number()),
        }
    }

    /// The type of a value that is of one or the other; `None` where they have nothing in common.
    pub(super) fn joined(self, other: Self) -> Option<Self> {
        if self == other {
            return Some(self);
        }
        match (self, other) {
            (Self::List(one), Self::List(two)) => {
                Some(Self::list_of(one.joined(*two).unwrap_or(Self::Dynamic)))
            }
            (Self::Map(one), Self::Map(two)) => Some(Self::Map(Box::new(
                one.joined(*two).unwrap_or(Self::Dynamic),
            ))),
            (one, two) => one.may_equal(&two).then_some(Self::Dynamic),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Uint => "an unsigned number",
            Self::Double => "a number with a fraction",
            Self::Null => "null",
            Self::List(element) if **element == Self::Text => "a list of texts",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Dynamic => "a dynamic value",
        })
    }
}
