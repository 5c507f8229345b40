//! Whether a request names one authority, and that one host and port.

use http::HeaderMap;
use http::header::HOST;

use super::{Kind, NotCanonical, STEP};

/// Up to so many headers are gone through; hashing a name is dearer.
const FEW_HEADERS: usize = 12;

/// What an authority is made of that names one host and port: everything that can be seen but
/// `,`, `@`, `/`, `\`, `?` and `#`.
const AUTHORITY: [bool; 256] = {
    let mut table = [false; 256];
    let (mut left, mut byte): (&mut [bool], u8) = (&mut table, 0);
    while let Some((fits, more)) = left.split_first_mut() {
        *fits =
            byte.is_ascii_graphic() && !matches!(byte, b',' | b'@' | b'/' | b'\\' | b'?' | b'#');
        byte = byte.wrapping_add(1);
        left = more;
    }
    table
};

/// The one authority, as it was written.
#[inline]
pub(super) fn one_authority<'a>(
    target: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Option<&'a [u8]>, NotCanonical> {
    // As almost every request of HTTP/1.1 has it: no name has two values.
    if target.is_none() && headers.len() <= FEW_HEADERS && headers.keys_len() == headers.len() {
        let host = headers.iter().find(|(name, _)| *name == HOST);
        if let Some((_, host)) = host
            && names_one(host.as_bytes())
        {
            return Ok(Some(host.as_bytes()));
        }
    }
    check_authority(target, headers)
}

fn check_authority<'a>(
    target: Option<&'a str>,
    headers: &'a HeaderMap,
) -> Result<Option<&'a [u8]>, NotCanonical> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts
        .next()
        .map(|value| value.to_str().map_err(|_| NotCanonical(Kind::Authority)))
        .transpose()?;
    if hosts.next().is_some() {
        return Err(NotCanonical(Kind::TwoAuthorities));
    }
    if let (Some(target), Some(host)) = (target, host)
        && !target.eq_ignore_ascii_case(host)
    {
        return Err(NotCanonical(Kind::TwoAuthorities));
    }
    let authority = target.or(host).map(str::as_bytes);
    if names_one(authority.unwrap_or_default()) {
        Ok(authority)
    } else {
        Err(NotCanonical(Kind::Authority))
    }
}

#[inline]
fn names_one(authority: &[u8]) -> bool {
    is_plain_name(without_port(authority)) || names_one_beyond_doubt(authority)
}

#[cold]
fn names_one_beyond_doubt(authority: &[u8]) -> bool {
    let fits = |byte: &u8| AUTHORITY.get(usize::from(*byte)) == Some(&true);
    authority.iter().all(fits) && has_one_port_at_most(authority)
}

#[inline]
fn without_port(authority: &[u8]) -> &[u8] {
    let mut left = authority;
    while let [before @ .., b'0'..=b'9'] = left {
        left = before;
    }
    left.strip_suffix(b":").unwrap_or(authority)
}

/// Whether letters, digits, `-`, `.` and `_` are all there is, as in almost every name and address. What
/// is very short is looked at closer too.
#[inline]
fn is_plain_name(name: &[u8]) -> bool {
    match (name.last_chunk(), name.first_chunk(), name.last_chunk()) {
        (Some(last), ..) => name.as_chunks().0.iter().all(are_in_names) && are_in_names(last),
        (None, Some(first), Some(last)) => both_are_in_names(first, last),
        _ => false,
    }
}

/// Not inlined: what the compiler knows of single bytes keeps it from making vectors of all.
#[inline(never)]
fn are_in_names(step: &[u8; STEP]) -> bool {
    step.iter().fold(true, |all, byte| all & is_in_names(*byte))
}

#[inline(never)]
fn both_are_in_names(first: &[u8; STEP / 2], last: &[u8; STEP / 2]) -> bool {
    let both = first.iter().zip(last);
    both.fold(true, |all, (one, other)| {
        all & is_in_names(*one) & is_in_names(*other)
    })
}

#[inline]
fn is_in_names(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    let is_dash_or_dot = byte.wrapping_sub(b'-') < 2;
    is_letter | is_digit | is_dash_or_dot | (byte == b'_')
}

/// Whoever reads a host up to its first colon and whoever reads it up to its last have to read the same.
fn has_one_port_at_most(authority: &[u8]) -> bool {
    let end_of_host = match authority {
        [b'[', ..] => authority
            .iter()
            .position(|byte| *byte == b']')
            .map(|at| at + 1),
        _ => authority
            .iter()
            .position(|byte| matches!(byte, b':' | b'[' | b']')),
    };
    match end_of_host.and_then(|end| authority.get(end..)) {
        Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
        Some(rest) => rest.is_empty(),
        None => authority.first() != Some(&b'['),
    }
}
