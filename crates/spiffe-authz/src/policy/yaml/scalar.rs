//! What a plain scalar means: the core schema of YAML 1.2 (section 10.3.2), and nothing else.

use serde_json::Number;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'d> {
    Null,
    Bool(bool),
    /// Nothing where the number has no place in JSON: an integer of more than 64 bits, or no finite one.
    Number(Option<Number>),
    Text(&'d str),
}

pub(super) fn plain(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return based(text, digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(text, digits, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if all_digits(unsigned) {
        return Scalar::Number(integer(text));
    }
    if is_float(unsigned) {
        return Scalar::Number(text.parse().ok().and_then(Number::from_f64));
    }
    Scalar::Text(text)
}

fn integer(text: &str) -> Option<Number> {
    let unsigned = text.parse::<u64>().map(Number::from);
    unsigned
        .or_else(|_| text.parse::<i64>().map(Number::from))
        .ok()
}

fn based<'d>(text: &'d str, digits: &str, radix: u32) -> Scalar<'d> {
    if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)) {
        Scalar::Number(u64::from_str_radix(digits, radix).ok().map(Number::from))
    } else {
        Scalar::Text(text)
    }
}

fn is_float(unsigned: &str) -> bool {
    if matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_fits =
        exponent.is_none_or(|digits| all_digits(digits.strip_prefix(['+', '-']).unwrap_or(digits)));
    let mantissa_fits = match mantissa.split_once('.') {
        None => all_digits(mantissa),
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, "")) => all_digits(whole),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
    };
    exponent_fits && mantissa_fits
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
