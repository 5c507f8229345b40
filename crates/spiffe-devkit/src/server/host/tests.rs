#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod code;
mod requests;
mod splits;
mod streams;
mod writer;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::{LocalHost, PREFACE};
use writer::frame;

/// What HEADERS are on the wire.
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 0x04;
const ESCAPED: &str = "tmp%2Fspiffe-devkit-4ab1%2Fcaller.sock";

/// A stream whose bytes come in pieces of up to so many.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: Box<dyn FnMut() -> usize + 'a>,
    /// Whether there was nothing to read the last time, as between two pieces.
    waited: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.waited = !self.waited;
        if self.waited {
            return Poll::Pending;
        }
        let piece = (self.piece)()
            .clamp(1, out.remaining())
            .min(self.rest.len());
        let (now, rest) = self.rest.split_at(piece);
        out.put_slice(now);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// What the server reads, in buffers of so many bytes, of what comes in such pieces.
fn read(sent: &[u8], piece: impl FnMut() -> usize, mut buffer: impl FnMut() -> usize) -> Vec<u8> {
    let mut stream = LocalHost::new(Pieces {
        rest: sent,
        piece: Box::new(piece),
        waited: false,
    });
    let mut context = Context::from_waker(Waker::noop());
    let mut read = Vec::new();
    loop {
        let mut room = vec![0; buffer().max(1)];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(&mut stream).poll_read(&mut context, &mut room) {
            Poll::Pending => {}
            Poll::Ready(outcome) => {
                outcome.unwrap();
                if room.filled().is_empty() {
                    return read;
                }
                read.extend_from_slice(room.filled());
            }
        }
        assert!(stream.frame.capacity() <= 2 * (16 * 1024 + 9));
    }
}

fn read_at_once(sent: &[u8]) -> Vec<u8> {
    read(sent, || usize::MAX, || 64 * 1024)
}

/// Everything that a client sends, with the preface before the frames.
fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = PREFACE.to_vec();
    frames
        .iter()
        .for_each(|frame| stream.extend_from_slice(frame));
    stream
}

/// HEADERS of one field block.
fn headers(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, block)
}
