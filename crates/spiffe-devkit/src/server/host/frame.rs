//! Frames of HTTP/2 (RFC 9113, section 4), as far as HEADERS need it.

use std::ops::Range;

use super::hpack;

/// The bytes before the payload: its length, the type, the flags, the stream.
pub(super) const HEAD: usize = 9;

/// The largest payload that the server takes; it says nothing else in its settings.
const MAX_PAYLOAD: usize = 16 * 1024;

const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// The length of the payload that a head announces.
pub(super) fn payload(frame: &[u8]) -> usize {
    let [high, middle, low] = *frame.first_chunk().unwrap_or(&[0; 3]);
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

/// The length of the payload, where a head announces HEADERS that the server takes.
pub(super) fn payload_of_headers(frame: &[u8]) -> Option<usize> {
    let payload = payload(frame);
    (frame.get(3) == Some(&HEADERS) && payload <= MAX_PAYLOAD).then_some(payload)
}

/// Replaces what is no host in complete HEADERS.
///
/// Where the block goes on in CONTINUATION frames, those pass as they are, and so does a field that
/// begins in HEADERS and ends there. Pseudo-header fields come first: none is cut unless it fills a
/// frame. If the cut one is `:authority`, the library refuses the request.
pub(super) fn mend(frame: &mut Vec<u8>) {
    let Some(block) = block(frame) else { return };
    let Some(mended) = frame.get(block.clone()).and_then(hpack::mend) else {
        return;
    };
    let payload = frame.len() - HEAD - block.len() + mended.len();
    // What was coded in Huffman's way may have become a few bytes longer.
    if payload > MAX_PAYLOAD {
        return;
    }
    frame.splice(block, mended);
    let length = u32::try_from(payload).unwrap_or_default().to_be_bytes();
    for (to, from) in frame.iter_mut().zip(length.iter().skip(1)) {
        *to = *from;
    }
}

/// Where the header block lies in HEADERS.
fn block(frame: &[u8]) -> Option<Range<usize>> {
    let flags = *frame.get(4)?;
    let mut begin = HEAD;
    let mut end = frame.len();
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*frame.get(HEAD)?))?;
        begin += 1;
    }
    if flags & PRIORITY != 0 {
        begin += 5;
    }
    (begin <= end).then_some(begin..end)
}
