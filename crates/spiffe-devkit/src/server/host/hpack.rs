//! Fields of a header block (RFC 7541), as far as it takes to find `:authority`.

use std::borrow::Cow;

use http::uri::Authority;

use super::huffman;

const NAME: &[u8] = b":authority";

/// The field of that name, without a value, in the static table.
const NAME_INDEX: usize = 1;

const LOCAL_HOST: &[u8] = b"localhost";

/// The block with another value in every literal `:authority` that is no host; `None` where there
/// is none to replace.
///
/// A literal stays what it is, so one that enters the dynamic table still does, and later requests
/// refer to it. The new value is never longer than the old one: of `localhost` it takes as much as
/// fits. So the server's entries are never larger than those that the client counts, and where the
/// client evicts an entry the server may keep it, but never the other way round. Indices count from
/// the newest entry. The client's table therefore is at all times the beginning of the server's, and
/// what the server has beyond it shifts no index that the client uses.
///
/// A name that refers to the dynamic table is not looked up: `:authority` is in the static one. What
/// follows something that cannot be read stays as it is; the library refuses it.
pub(super) fn mend(block: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::new();
    let mut kept = block;
    let mut rest = block;
    while let Some(field) = next_field(&mut rest) {
        let Some((begin, value)) = field.authority() else {
            continue;
        };
        if Authority::try_from(&*value).is_ok() {
            continue;
        }
        let local = LOCAL_HOST.get(..value.len()).unwrap_or(LOCAL_HOST);
        mended.extend_from_slice(kept.get(..kept.len() - begin.len())?);
        // A length below 127 is its own code; without the highest bit, the text is plain.
        mended.push(u8::try_from(local.len()).ok()?);
        mended.extend_from_slice(local);
        kept = rest;
    }
    if kept.len() == block.len() {
        return None;
    }
    mended.extend_from_slice(kept);
    Some(mended)
}

/// A literal, or something else without name and value.
#[derive(Default)]
struct Field<'a> {
    index: usize,
    name: Option<Text<'a>>,
    /// The rest of the block from the value on, and the value.
    value: Option<(&'a [u8], Text<'a>)>,
}

impl<'a> Field<'a> {
    /// Where the value of `:authority` begins, and the value, if this is one.
    fn authority(self) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
        let is_authority = match self.name {
            Some(name) => name.decode()? == NAME,
            None => self.index == NAME_INDEX,
        };
        let (begin, value) = self.value.filter(|_| is_authority)?;
        Some((begin, value.decode()?))
    }
}

struct Text<'a> {
    is_huffman: bool,
    bytes: &'a [u8],
}

impl<'a> Text<'a> {
    fn decode(self) -> Option<Cow<'a, [u8]>> {
        Some(if self.is_huffman {
            huffman::decode(self.bytes)?.into()
        } else {
            self.bytes.into()
        })
    }
}

/// Takes a field off the block.
fn next_field<'a>(block: &mut &'a [u8]) -> Option<Field<'a>> {
    let prefix = match block.first()?.leading_zeros() {
        // Indexed, and a new size of the table.
        kind @ (0 | 2) => {
            integer(block, 7 - kind)?;
            return Some(Field::default());
        }
        // A literal that enters the table.
        1 => 6,
        // A literal that does not, with the bit that says never or without it.
        _ => 4,
    };
    let index = integer(block, prefix)?;
    let name = if index == 0 { Some(text(block)?) } else { None };
    let begin = *block;
    let value = Some((begin, text(block)?));
    Some(Field { index, name, value })
}

fn text<'a>(block: &mut &'a [u8]) -> Option<Text<'a>> {
    let is_huffman = block.first()?.leading_zeros() == 0;
    let length = integer(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(Text { is_huffman, bytes })
}

/// Takes an integer off the block; its first byte shares so many of its bits.
fn integer(block: &mut &[u8], prefix: u32) -> Option<usize> {
    let limit = (1 << prefix) - 1;
    let mut value = usize::from(take(block)?) & limit;
    if value < limit {
        return Some(value);
    }
    let mut scale: usize = 1;
    loop {
        let byte = take(block)?;
        let part = usize::from(byte & 0x7f).checked_mul(scale)?;
        value = value.checked_add(part)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        scale = scale.checked_mul(128)?;
    }
}

fn take(block: &mut &[u8]) -> Option<u8> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    Some(*first)
}
