/// The [`IdPattern`](crate::IdPattern) of a literal, whose grammar is checked when the program is
/// compiled. It costs nothing at run time, and may be the value of a `static`.
///
/// ```
/// use spiffe_peer::{IdPattern, parse, pattern};
///
/// static SHOP: IdPattern = pattern!("spiffe://example.org/ns/shop/sa/{name}");
/// assert!(SHOP.matches(&parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?));
/// # Ok::<(), parse::InvalidId>(())
/// ```
///
/// ```compile_fail
/// // A wildcard stands for a whole segment.
/// spiffe_peer::pattern!("spiffe://example.org/ns/pay*");
/// ```
#[macro_export]
macro_rules! pattern {
    ($text:literal) => {{
        const CHECKED: $crate::__private::CheckedPattern<'static> =
            match $crate::__private::CheckedPattern::of_literal($text) {
                ::core::result::Result::Ok(checked) => checked,
                ::core::result::Result::Err(why) => ::core::panic!("{}", why),
            };
        CHECKED.pattern()
    }};
}
