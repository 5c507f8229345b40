//! HTTP/2 byte by byte, for what no client would send.

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
pub mod kind {
    /// The head of a request or of an answer.
    pub const HEADERS: u8 = 1;
    /// The end of a stream.
    pub const RST_STREAM: u8 = 3;
    /// How a side wants to be talked to.
    pub const SETTINGS: u8 = 4;
    /// Whether the other side is there.
    pub const PING: u8 = 6;
    /// The end of the connection.
    pub const GOAWAY: u8 = 7;
    /// More of a head.
    pub const CONTINUATION: u8 = 9;
}

/// On a PING or SETTINGS frame: this is the answer to one.
pub const ACK: u8 = 1;
/// On a HEADERS frame: no body follows.
pub const END_STREAM: u8 = 1;
/// On a HEADERS or CONTINUATION frame: the head is whole.
pub const END_HEADERS: u8 = 4;

/// A frame as it goes over the wire.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Kind, flags and payload of each whole frame.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, &[u8])> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap();
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((*kind, *flags, payload));
        bytes = rest;
    }
    frames
}

/// The head of `GET https://localhost/`, compressed.
#[must_use]
pub fn get_root() -> Vec<u8> {
    [&[0x82, 0x87, 0x84, 0x01, 9][..], b"localhost"].concat()
}

/// A header, never indexed; its name and value have at most 126 bytes.
#[must_use]
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut literal = vec![0];
    for text in [name, value] {
        literal.push(u8::try_from(text.len()).unwrap());
        literal.extend_from_slice(text.as_bytes());
    }
    literal
}
