use super::super::huffman::decode;
use super::writer::{Chance, codes, huffman};

#[test]
fn the_examples_of_the_rfc_are_read() {
    let examples: [(&[u8], &str); 4] = [
        (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"),
        (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
        (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
        (
            b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
            "Mon, 21 Oct 2013 20:13:21 GMT",
        ),
    ];
    for (coded, text) in examples {
        assert_eq!(decode(coded).unwrap(), text.as_bytes());
    }
}

#[test]
fn the_last_code_of_some_lengths_is_that_of_the_rfc() {
    let codes = codes();
    for (symbol, code) in [
        (b't', (0x9, 5)),
        (b'u', (0x2d, 6)),
        (b'z', (0x7b, 7)),
        (b'~', (0x1ffd, 13)),
        (b'\\', (0x7fff0, 19)),
        (220, (0xfff_ffff - 2, 28)),
        (255, (0x3ff_ffee, 26)),
        (22, (0x3fff_fffe, 30)),
    ] {
        assert_eq!(codes[usize::from(symbol)], code, "{symbol}");
    }
}

#[test]
fn every_text_comes_back() {
    for symbol in 0..=u8::MAX {
        assert_eq!(decode(&huffman(&[symbol])).unwrap(), [symbol]);
    }
    let mut chance = Chance(1);
    for length in 0..300 {
        let text: Vec<_> = (0..length).map(|_| chance.below(256) as u8).collect();
        assert_eq!(decode(&huffman(&text)).unwrap(), text);
    }
}

#[test]
fn what_is_no_code_is_no_text() {
    let refused: [&[u8]; 5] = [
        // Padding of eight bits and more, of zeros, and a symbol that is cut off.
        b"\xff",
        b"\x1f\xff",
        b"\x00\x00\x00\x00\x00\x00\x01\x00\x02",
        b"\xff\xc7\xff",
        // The code that stands for no symbol.
        b"\xff\xff\xff\xfc",
    ];
    for coded in refused {
        assert_eq!(decode(coded), None, "{coded:x?}");
    }
}
