//! Frames and header blocks as a client writes them.

use super::super::huffman::SYMBOLS;

/// SplitMix64: the same numbers in each run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as usize % limit
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// An integer after the bits `flags` of its first byte, of which it has `prefix`.
pub(super) fn integer(to: &mut Vec<u8>, flags: u8, prefix: u32, mut value: usize) {
    let limit = (1 << prefix) - 1;
    if value < limit {
        to.push(flags | value as u8);
        return;
    }
    to.push(flags | limit as u8);
    value -= limit;
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

pub(super) fn text(to: &mut Vec<u8>, text: &[u8], is_huffman: bool) {
    if is_huffman {
        let coded = huffman(text);
        integer(to, 0x80, 7, coded.len());
        to.extend(coded);
    } else {
        integer(to, 0, 7, text.len());
        to.extend_from_slice(text);
    }
}

/// How a literal names its field.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    Index(usize),
    Plain(&'a str),
    Huffman(&'a str),
}

/// How the table takes a literal.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Indexed,
    NotIndexed,
    NeverIndexed,
}

pub(super) fn literal(kind: Kind, name: Name<'_>, value: &str, is_huffman: bool) -> Vec<u8> {
    let mut field = Vec::new();
    let (flags, prefix) = match kind {
        Kind::Indexed => (0x40, 6),
        Kind::NotIndexed => (0, 4),
        Kind::NeverIndexed => (0x10, 4),
    };
    match name {
        Name::Index(index) => integer(&mut field, flags, prefix, index),
        Name::Plain(name) => {
            field.push(flags);
            text(&mut field, name.as_bytes(), false);
        }
        Name::Huffman(name) => {
            field.push(flags);
            text(&mut field, name.as_bytes(), true);
        }
    }
    text(&mut field, value.as_bytes(), is_huffman);
    field
}

/// The code of each symbol, and its length.
pub(super) fn codes() -> Vec<(u64, u32)> {
    let mut codes = vec![(0, 0); 256];
    let (mut code, mut before) = (0, 0);
    for (bits, symbols) in SYMBOLS {
        code <<= bits - before;
        before = bits;
        for symbol in symbols {
            codes[usize::from(*symbol)] = (code, bits);
            code += 1;
        }
    }
    codes
}

pub(super) fn huffman(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let (mut coded, mut pending, mut bits) = (Vec::new(), 0_u64, 0);
    for symbol in text {
        let (code, length) = codes[usize::from(*symbol)];
        pending = pending << length | code;
        bits += length;
        while bits >= 8 {
            bits -= 8;
            coded.push((pending >> bits) as u8);
            pending &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        coded.push((pending << (8 - bits)) as u8 | (0xff >> bits) as u8);
    }
    coded
}
