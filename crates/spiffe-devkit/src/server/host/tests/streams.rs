use super::writer::{Chance, Kind, Name, frame, literal, text};
use super::{END_HEADERS, ESCAPED, HEADERS, headers, read_at_once, stream};

const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const NAME: &str = ":authority";

const KINDS: [Kind; 3] = [Kind::Indexed, Kind::NotIndexed, Kind::NeverIndexed];
const NAMES: [Name<'_>; 3] = [Name::Index(1), Name::Plain(NAME), Name::Huffman(NAME)];

/// A whole block with this field in the middle: POST, http, a size of the table before all, and
/// afterwards a field that looks like `:authority` and is none.
fn block(field: &[u8]) -> Vec<u8> {
    let mut block = vec![0x3f, 0xe1, 0x1f, 0x83, 0x86];
    block.extend(literal(Kind::Indexed, Name::Plain(":path"), "/a/b", false));
    block.extend_from_slice(field);
    block.extend(literal(
        Kind::Indexed,
        Name::Plain("x-authority"),
        ESCAPED,
        true,
    ));
    block.extend(literal(Kind::NotIndexed, Name::Index(4), ESCAPED, false));
    block.push(0xbe);
    block
}

/// The payload with the padding and the priority that the flags tell of.
fn payload(flags: u8, block: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    if flags & PADDED != 0 {
        payload.push(7);
    }
    if flags & PRIORITY != 0 {
        payload.extend(*b"\x80\x00\x00\x03\x10");
    }
    payload.extend_from_slice(block);
    if flags & PADDED != 0 {
        payload.extend([0; 7]);
    }
    payload
}

#[test]
fn an_escaped_path_becomes_localhost_in_whatever_form() {
    for kind in KINDS {
        for name in NAMES {
            for is_huffman in [false, true] {
                for flags in [0, PADDED, PRIORITY, PADDED | PRIORITY] {
                    let of = |value, is_huffman| {
                        let field = literal(kind, name, value, is_huffman);
                        let payload = payload(flags, &block(&field));
                        stream(&[frame(HEADERS, flags | END_HEADERS, 1, &payload)])
                    };
                    let read = read_at_once(&of(ESCAPED, is_huffman));
                    assert_eq!(read, of("localhost", false));
                }
            }
        }
    }
}

#[test]
fn whatever_else_is_no_host_becomes_localhost_and_a_host_stays() {
    let of = |value, is_huffman| {
        let field = literal(Kind::Indexed, Name::Index(1), value, is_huffman);
        stream(&[headers(&block(&field))])
    };
    for is_huffman in [false, true] {
        for value in [
            "[::1]:80:80",
            "a:b:c:d:e",
            "tmp\\agent.sock",
            "tmp/agent.sock",
            "päthé.sock",
        ] {
            assert_eq!(
                read_at_once(&of(value, is_huffman)),
                of("localhost", false),
                "{value}"
            );
        }
        for value in [
            "localhost",
            "agent.sock",
            "127.0.0.1:80",
            "[::1]:80",
            "a",
            "user@host",
        ] {
            let sent = of(value, is_huffman);
            assert_eq!(read_at_once(&sent), sent, "{value}");
        }
    }
}

#[test]
fn what_takes_the_place_is_never_longer() {
    for (value, read) in [
        ("tmp%2Fa", "localho"),
        ("%2Fx", "loca"),
        ("%", "l"),
        ("tmp%2Fx.s", "localhost"),
    ] {
        let of = |value, is_huffman| {
            let field = literal(Kind::Indexed, Name::Index(1), value, is_huffman);
            stream(&[headers(&block(&field))])
        };
        assert_eq!(read_at_once(&of(value, false)), of(read, false));
        assert_eq!(read_at_once(&of(value, true)), of(read, false));
    }
    let empty = literal(Kind::Indexed, Name::Index(1), "", false);
    let sent = stream(&[headers(&block(&empty))]);
    assert_eq!(read_at_once(&sent), sent);
}

#[test]
fn a_block_that_goes_on_is_mended_in_its_headers_alone() {
    let of = |value: &str| {
        let begin = literal(Kind::Indexed, Name::Plain(NAME), value, false);
        let rest = literal(Kind::NotIndexed, Name::Plain(NAME), ESCAPED, false);
        let first = [begin.as_slice(), &rest[..20]].concat();
        stream(&[
            frame(HEADERS, 0, 1, &first),
            frame(9, 0, 1, &rest[20..30]),
            frame(9, END_HEADERS, 1, &rest[30..]),
            headers(&begin),
        ])
    };
    assert_eq!(read_at_once(&of(ESCAPED)), of("localhost"));
}

#[test]
fn beyond_the_frame_size_nothing_is_changed() {
    let field = literal(Kind::Indexed, Name::Index(1), ESCAPED, false);
    let filled = |size: usize, field: &[u8]| {
        let mut block = field.to_vec();
        let name = Name::Plain("x");
        let filler = "f".repeat(size - block.len() - 6);
        block.extend(literal(Kind::NotIndexed, name, &filler, false));
        assert_eq!(block.len(), size);
        stream(&[headers(&block), headers(field)])
    };
    let largest = filled(16 * 1024, &field);
    assert_ne!(read_at_once(&largest)[..40], largest[..40]);
    let beyond = filled(16 * 1024 + 1, &field);
    let (read, mended) = (
        read_at_once(&beyond),
        headers(&literal(Kind::Indexed, Name::Index(1), "localhost", false)),
    );
    let kept = beyond.len() - headers(&field).len();
    assert_eq!(read[..kept], beyond[..kept]);
    assert_eq!(read[kept..], mended, "the next frame is found");

    // Coded, this is shorter than `localhost`.
    let short = literal(Kind::Indexed, Name::Index(1), "%2F020202", true);
    assert!(short.len() < 11);
    let full = filled(16 * 1024, &short);
    let kept = full.len() - headers(&short).len();
    assert_eq!(read_at_once(&full)[..kept], full[..kept]);
}

#[test]
fn a_block_that_cannot_be_read_stays() {
    let field = literal(Kind::Indexed, Name::Index(1), ESCAPED, false);
    let mut cut = vec![0x83];
    cut.extend_from_slice(&field[..field.len() - 1]);
    let mut long = vec![0x41];
    long.extend([0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut not_huffman = vec![0x41];
    text(&mut not_huffman, b"\xff\xff\xff\xff", false);
    not_huffman[1] |= 0x80;
    for block in [
        cut,
        long,
        not_huffman,
        vec![0x41],
        vec![0x40],
        vec![0x40, 0x0a],
        vec![0xff],
        [vec![0x7f], vec![0xff; 40]].concat(),
        [vec![0xff], vec![0x80; 40], field.clone()].concat(),
        vec![0x3f, 0x80],
        vec![],
    ] {
        let sent = stream(&[headers(&block), frame(6, 0, 0, &[0; 8])]);
        assert_eq!(read_at_once(&sent), sent, "{block:x?}");
    }
    // More padding than there is payload, and no room for what the flags tell of.
    for (flags, payload) in [
        (PADDED, [&[200], field.as_slice()].concat()),
        (PADDED, vec![]),
        (PADDED, vec![1]),
        (PRIORITY, vec![0; 4]),
        (PADDED | PRIORITY, vec![0; 5]),
    ] {
        let sent = stream(&[frame(HEADERS, flags | END_HEADERS, 1, &payload)]);
        assert_eq!(read_at_once(&sent), sent);
    }
}

/// The frames of a stream, the last perhaps cut off.
fn frames(stream: &[u8]) -> Vec<&[u8]> {
    let mut rest = &stream[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let announced = match rest {
            [a, b, c, ..] => u32::from_be_bytes([0, *a, *b, *c]) as usize,
            _ => 0,
        };
        let (frame, others) = rest.split_at((9 + announced).min(rest.len()));
        frames.push(frame);
        rest = others;
    }
    frames
}

#[test]
fn hostile_streams_change_nothing_but_headers() {
    let mut chance = Chance(42);
    let mut mended = 0;
    for _ in 0..100_000 {
        let kind = KINDS[chance.below(3)];
        let field = literal(kind, NAMES[chance.below(3)], ESCAPED, chance.coin());
        let flags = [0, PADDED, PRIORITY, PADDED | PRIORITY][chance.below(4)];
        let payload = payload(flags, &block(&field));
        let mut sent = stream(&[
            frame(4, 0, 0, &[]),
            frame(HEADERS, flags | END_HEADERS, 1, &payload),
            frame(0, 1, 1, &[0; 5]),
        ]);
        for _ in 0..1 + chance.below(4) {
            let at = if chance.below(20) == 0 {
                chance.below(24)
            } else {
                24 + chance.below(sent.len() - 24)
            };
            match chance.below(5) {
                0 => sent[at] ^= 1 << chance.below(8),
                1 => sent[at] = [0, 0x7f, 0x80, 0xff][chance.below(4)],
                2 => sent.truncate(at.max(25)),
                3 => {
                    let some = [0xff; 12];
                    sent.splice(at..at, some[..chance.below(12)].iter().copied());
                }
                _ => {
                    let garbage = chance.below(256) as u8;
                    sent.insert(at, garbage);
                }
            }
        }
        let read = read_at_once(&sent);
        if read == sent {
            continue;
        }
        mended += 1;
        assert_eq!(read_at_once(&read), read, "nothing is left to replace");
        assert_eq!(read[..24], sent[..24]);
        let (sent, read) = (frames(&sent), frames(&read));
        assert_eq!(sent.len(), read.len());
        for (sent, read) in sent.iter().zip(read) {
            if *sent != read {
                assert_eq!(sent[3], HEADERS);
                assert_eq!(
                    sent[3..9],
                    read[3..9],
                    "only the length of the head changes"
                );
            }
        }
    }
    assert!(
        (10_000..90_000).contains(&mended),
        "{mended} were read to the field"
    );
}
