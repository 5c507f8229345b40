//! The Huffman code of HPACK (RFC 7541, appendix B).

/// The symbols by the length of their codes in bits, in the order of the codes. The code is
/// canonical: the first of a length follows the last of the length before, so the codes themselves
/// need no table. The last of all, thirty ones, stands for no symbol.
pub(super) const SYMBOLS: [(u32, &[u8]); 21] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\x00$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (
        21,
        &[
            153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230,
        ],
    ),
    (
        22,
        &[
            129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185,
            186, 187, 189, 190, 196, 198, 228, 232, 233,
        ],
    ),
    (
        23,
        &[
            1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166,
            168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239,
        ],
    ),
    (
        24,
        &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237],
    ),
    (25, &[199, 207, 234, 235]),
    (
        26,
        &[
            192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255,
        ],
    ),
    (
        27,
        &[
            203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252,
            253, 254,
        ],
    ),
    (
        28,
        &[
            2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28,
            29, 30, 31, 127, 220, 249,
        ],
    ),
    (30, &[10, 13, 22]),
];

/// The text, or `None` where this is no code of one.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut symbol = Symbol::default();
    for byte in coded {
        for bit in (0..u8::BITS).rev() {
            if let Some(complete) = symbol.push(u32::from(byte >> bit & 1))? {
                text.push(complete);
                symbol = Symbol::default();
            }
        }
    }
    symbol.is_padding().then_some(text)
}

/// The bits of a symbol that have come.
struct Symbol {
    code: u32,
    bits: u32,
    /// The first code of that many bits, and the symbols of that many or more.
    first: u32,
    longer: &'static [(u32, &'static [u8])],
}

impl Symbol {
    /// The symbol, if this bit completes it; `None` where there is none of this code.
    fn push(&mut self, bit: u32) -> Option<Option<u8>> {
        self.code = self.code << 1 | bit;
        self.first <<= 1;
        self.bits += 1;
        let ((bits, symbols), longer) = self.longer.split_first()?;
        if *bits > self.bits {
            return Some(None);
        }
        let nth = usize::try_from(self.code.checked_sub(self.first)?).ok()?;
        let symbol = symbols.get(nth).copied();
        self.first += u32::try_from(symbols.len()).ok()?;
        self.longer = longer;
        Some(symbol)
    }

    /// Whether this is what fills the last byte of a text: fewer than eight ones.
    fn is_padding(&self) -> bool {
        self.bits < u8::BITS && self.code + 1 == 1 << self.bits
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self {
            code: 0,
            bits: 0,
            first: 0,
            longer: &SYMBOLS,
        }
    }
}
