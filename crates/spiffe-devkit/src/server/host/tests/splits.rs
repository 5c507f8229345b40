use super::writer::{Chance, Kind, Name, frame, literal};
use super::{END_HEADERS, ESCAPED, HEADERS, PREFACE, headers, read, read_at_once, stream};

fn request(value: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    block.extend(literal(
        Kind::Indexed,
        Name::Plain(":authority"),
        value,
        false,
    ));
    headers(&block)
}

/// Streams that pass as they are.
fn untouched() -> Vec<Vec<u8>> {
    let whole = stream(&[
        frame(4, 0, 0, &[0, 2, 0, 0, 0, 0]),
        request("agent.sock"),
        frame(0, 1, 1, request(ESCAPED).as_slice()),
        frame(HEADERS, END_HEADERS, 3, &[]),
        frame(9, END_HEADERS, 3, &request(ESCAPED)),
        frame(6, 0, 0, &[7; 8]),
    ]);
    let almost = [
        b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n".as_slice(),
        &request(ESCAPED),
    ]
    .concat();
    vec![
        Vec::new(),
        whole[..10].to_vec(),
        PREFACE.to_vec(),
        whole[..30].to_vec(),
        whole[..60].to_vec(),
        whole,
        almost,
        b"GET / HTTP/1.1\r\nHost: tmp%2Fagent.sock\r\n\r\n".to_vec(),
        request(ESCAPED),
        b"P".to_vec(),
    ]
}

/// Checks that a stream is read like this, however it is cut, and however large the buffers are.
fn assert_reads(sent: &[u8], expected: &[u8]) {
    assert_eq!(read_at_once(sent), expected);
    for piece in [1, 2, 9] {
        assert_eq!(read(sent, || piece, || 4096), expected);
        assert_eq!(read(sent, || usize::MAX, || piece), expected);
        assert_eq!(read(sent, || piece, || 1), expected);
    }
    for at in 1..sent.len() {
        let mut pieces = [at, usize::MAX].into_iter();
        let piece = || pieces.next().unwrap_or(usize::MAX);
        assert_eq!(read(sent, piece, || 4096), expected, "cut at {at}");
    }
    let (mut pieces, mut buffers) = (Chance(7), Chance(8));
    for _ in 0..500 {
        let read = read(sent, || 1 + pieces.below(40), || 1 + buffers.below(40));
        assert_eq!(read, expected);
    }
}

#[test]
fn what_is_not_concerned_is_identical_in_every_split() {
    for sent in untouched() {
        assert_reads(&sent, &sent);
    }
}

#[test]
fn what_is_replaced_is_so_in_every_split() {
    let of = |value| {
        stream(&[
            frame(4, 0, 0, &[]),
            request(value),
            frame(0, 1, 1, &[0; 5]),
            request(value),
        ])
    };
    assert_reads(&of(ESCAPED), &of("localhost"));
}

#[test]
fn headers_that_end_with_the_stream_are_given_as_far_as_they_came() {
    let sent = stream(&[request(ESCAPED)]);
    for end in 24..sent.len() {
        assert_eq!(read_at_once(&sent[..end]), sent[..end]);
    }
}
