use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($code:ident $text:literal $doc:literal,)*) => {
        /// A status code of gRPC other than `OK`.
        ///
        /// ```
        /// use spiffe_devkit::Code;
        ///
        /// assert_eq!("unavailable".parse(), Ok(Code::Unavailable));
        /// assert!("ok".parse::<Code>().is_err());
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $doc] $code,)*
        }

        impl Code {
            const NAMES: &[(&str, Self)] = &[$(($text, Self::$code)),*];
        }

        impl From<Code> for tonic::Code {
            fn from(code: Code) -> Self {
                match code { $(Code::$code => Self::$code,)* }
            }
        }
    };
}

codes! {
    Cancelled "cancelled" "The call was cancelled.",
    Unknown "unknown" "Nobody knows.",
    InvalidArgument "invalid-argument" "The request makes no sense.",
    DeadlineExceeded "deadline-exceeded" "It took too long.",
    NotFound "not-found" "There is no such thing.",
    AlreadyExists "already-exists" "The thing is there already.",
    PermissionDenied "permission-denied" "The caller has no identity here.",
    ResourceExhausted "resource-exhausted" "Too much was asked.",
    FailedPrecondition "failed-precondition" "The system is not in the state for it.",
    Aborted "aborted" "It was broken off.",
    OutOfRange "out-of-range" "It reaches past the end.",
    Unimplemented "unimplemented" "The method is not served.",
    Internal "internal" "Something is broken.",
    Unavailable "unavailable" "Not now; try again.",
    DataLoss "data-loss" "Something is lost.",
    Unauthenticated "unauthenticated" "The caller is not known.",
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, code)| *code)
            .ok_or(UnknownCode(()))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES
            .iter()
            .find(|(_, code)| code == self)
            .map_or("unknown", |(name, _)| *name);
        f.write_str(name)
    }
}

/// A text that is no [`Code`]. Its own text lists those that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode(());

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Code::NAMES.iter().map(|(name, _)| *name).collect();
        write!(f, "no such status code; write one of {}", names.join(", "))
    }
}

impl std::error::Error for UnknownCode {}
