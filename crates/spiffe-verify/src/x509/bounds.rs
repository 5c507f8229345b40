//! What a certificate may cost before anything is known about it.

use der::{Decode, Header, Reader, SliceReader, Tag};

use super::error::{X509Error, X509Fault};

/// `der` sorts the members of a SET one by one, so that a name with thousands of attributes costs
/// their square. Names that people give have one attribute, rarely two.
const MAX_SET: usize = 8;

/// Extensions, names and attributes; several passes compare them with each other.
const MAX_SEQUENCE: usize = 512;

const MAX_DEPTH: usize = 16;

/// Refuses what would be dear to decode, in one pass over the bytes.
pub(super) fn check(der: &[u8]) -> Result<(), X509Error> {
    members(der, 0)
}

fn members(der: &[u8], depth: usize) -> Result<(), X509Error> {
    let malformed = |error: der::Error| X509Error::with_detail(X509Fault::Malformed, error);
    let mut reader = SliceReader::new(der).map_err(malformed)?;
    let header = Header::decode(&mut reader).map_err(malformed)?;
    if !header.tag.is_constructed() {
        return Ok(());
    }
    if depth >= MAX_DEPTH {
        return Err(X509Error::with_detail(
            X509Fault::Malformed,
            format_args!("nested deeper than {MAX_DEPTH}"),
        ));
    }
    let most = if header.tag == Tag::Set {
        MAX_SET
    } else {
        MAX_SEQUENCE
    };
    let mut count = 0;
    while !reader.is_finished() {
        count += 1;
        if count > most {
            return Err(X509Error::with_detail(
                X509Fault::Malformed,
                format_args!("more than {most} members of a {}", header.tag),
            ));
        }
        members(reader.tlv_bytes().map_err(malformed)?, depth + 1)?;
    }
    Ok(())
}
