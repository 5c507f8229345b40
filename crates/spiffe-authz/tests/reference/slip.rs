//! Ways to get the semantics wrong, one rule at a time: with one of them, the reference has to differ
//! from the index, or the random pairs would not notice the same slip in the index.

macro_rules! slips {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Slip {
            $($(#[$doc])* $name,)*
        }

        impl Slip {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

slips! {
    /// `GET` does not cover `HEAD`.
    HeadIsForgotten,
    /// Methods are compared without regard to case.
    MethodsInAnyCase,
    /// The path is compared as it arrived.
    PathsAreNotDecoded,
    /// What a second decoding uncovers is let through.
    DecodedOnceOnly,
    /// A trailing slash is taken off.
    TrailingSlashPasses,
    /// A second `host` is not looked at.
    FirstHostCounts,
    /// `/**` asks for at least one segment.
    OpenEndIsNeverEmpty,
    /// `*` takes what is left of the path.
    StarCrossesSegments,
    /// Patterns are compared without the trust domain.
    TrustDomainsAreForgotten,
    /// A deny counts only where no allow stands before it.
    FirstMatchDecides,
    /// An error in a deny rule's `when` means that it does not match.
    DenyErrorPasses,
    /// An error in an allow rule's `when` means that it matches.
    AllowErrorAllows,
    /// An error for one pair ends the rule.
    ErrorBeatsALaterMatch,
    /// Only the first pair that meets the request is asked for its condition.
    OnePairIsAsked,
    /// `&&` and `||` give the error of either side.
    ErrorsAreNotAbsorbed,
    /// A header is its first value.
    FirstHeaderCounts,
    /// A rule in shadow is enforced.
    ShadowIsEnforced,
    /// A rule in shadow does not count in the shadow outcome either.
    ShadowIsNotCounted,
    /// A policy in shadow is enforced.
    ShadowModeIsEnforced,
    /// `expires` is not looked at.
    ExpiryIsForgotten,
    /// A rule still matches at the moment at which it expires.
    ExpiryIsLate,
    /// `authenticated` asks for nothing.
    AuthenticatedIsAnyone,
    /// Demands on the user are not looked at.
    UserIsForgotten,
    /// A token that is bad is none.
    BadUserIsAbsent,
    /// The audience of a token is not looked at.
    AudienceIsForgotten,
    /// The binding of a token is not looked at.
    BindingIsForgotten,
    /// One of the scopes suffices.
    OneScopeSuffices,
    /// Claims are compared as texts.
    ClaimTypesAreForgotten,
    /// A claim that is a list does not hold its items.
    ClaimListsAreForgotten,
    /// Whoever is denied gets the same status.
    StatusIsAlways403,
    /// The last rule that matches is named.
    LastMatchIsNamed,
}
