use std::fmt;

/// The most audiences of one token.
const MAX_AUDIENCES: usize = 32;

/// The longest audience, in bytes: that of a SPIFFE ID.
const MAX_BYTES: usize = 2048;

/// The longest that all audiences of one token may be. A token has at most 16 KiB, and nobody would
/// read one that does not fit.
const MAX_TOTAL_BYTES: usize = 8 << 10;

/// For whom a token is meant: at least one, none twice, in order, so that the same audiences are
/// the same value however they were written down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Audience(Box<[String]>);

impl Audience {
    pub(super) fn new<A: Into<String>>(
        audiences: impl IntoIterator<Item = A>,
    ) -> Result<Self, InvalidAudience> {
        let mut read = Vec::new();
        let mut bytes = 0_usize;
        for audience in audiences {
            let audience = audience.into();
            bytes = bytes.saturating_add(audience.len());
            if audience.trim().is_empty() {
                return Err(InvalidAudience::Blank);
            }
            if audience.len() > MAX_BYTES || bytes > MAX_TOTAL_BYTES {
                return Err(InvalidAudience::TooLong);
            }
            if read.len() == MAX_AUDIENCES {
                return Err(InvalidAudience::TooMany);
            }
            read.push(audience);
        }
        if read.is_empty() {
            return Err(InvalidAudience::Empty);
        }
        read.sort_unstable();
        read.dedup();
        Ok(Self(read.into_boxed_slice()))
    }

    pub(super) fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidAudience {
    Empty,
    Blank,
    TooMany,
    TooLong,
}

impl fmt::Display for InvalidAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("there is no audience; say for whom the token is meant, since one that is meant for nobody would be taken by anybody")
            }
            Self::Blank => f.write_str("an audience is blank"),
            Self::TooMany => write!(f, "there are more than {MAX_AUDIENCES} audiences"),
            Self::TooLong => write!(
                f,
                "an audience has more than {MAX_BYTES} bytes, or all have more than {MAX_TOTAL_BYTES}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(count: usize) -> String {
        "a".repeat(count)
    }

    #[test]
    fn the_same_audiences_are_the_same_value() {
        let one = Audience::new(["stock", "audit", "stock"]).unwrap();
        assert_eq!(one, Audience::new(["audit", "stock"]).unwrap());
        assert_ne!(one, Audience::new(["audit"]).unwrap());
        assert_ne!(one, Audience::new(["Audit", "stock"]).unwrap());
    }

    #[test]
    fn conformance_43_nobody_is_no_audience_and_there_are_bounds() {
        let refusal = |audiences: Vec<String>| Audience::new(audiences).unwrap_err();
        assert_eq!(refusal(vec![]), InvalidAudience::Empty);
        for blank in ["", " ", "\t\n"] {
            let audiences = vec!["stock".to_owned(), blank.to_owned()];
            assert_eq!(refusal(audiences), InvalidAudience::Blank, "{blank:?}");
        }
        assert!(Audience::new([bytes(MAX_BYTES)]).is_ok(), "control");
        assert_eq!(
            refusal(vec![bytes(MAX_BYTES + 1)]),
            InvalidAudience::TooLong
        );
        assert!(Audience::new(vec![bytes(MAX_BYTES); 4]).is_ok(), "control");
        assert_eq!(refusal(vec![bytes(MAX_BYTES); 5]), InvalidAudience::TooLong);
        let many = |count: usize| (0..count).map(|number| number.to_string());
        assert!(Audience::new(many(MAX_AUDIENCES)).is_ok(), "control");
        assert_eq!(
            refusal(many(MAX_AUDIENCES + 1).collect()),
            InvalidAudience::TooMany
        );
        let endless = std::iter::repeat("stock");
        assert_eq!(
            Audience::new(endless).unwrap_err(),
            InvalidAudience::TooMany,
            "what never ends is not waited for"
        );
    }
}
