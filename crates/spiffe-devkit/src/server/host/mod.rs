//! Requests of clients that escape the path of the socket into `:authority`.
//!
//! gRPC's C core, under its Python, Ruby and C++ libraries, dials `unix:///run/agent.sock` and sends
//! `:authority: run%2Fagent.sock`. That is no host, and the HTTP/2 library refuses such a request
//! before any service sees it. Nothing here reads the host of a request that came over a Unix
//! socket, so [`LocalHost`] gives the library another one.

mod frame;
mod hpack;
mod huffman;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What comes from a client, where an `:authority` that is no host is read as `localhost`.
///
/// Every other byte passes as it is: of other fields and other frames, of HEADERS beyond the frame
/// size that the server takes, and of whatever does not begin as HTTP/2. At most one frame of
/// HEADERS is held back, until it is complete.
pub(super) struct LocalHost<S> {
    stream: S,
    step: Step,
    /// The head of a frame, and in HEADERS all of it, as far as it has come.
    frame: Vec<u8>,
    filled: usize,
}

enum Step {
    /// The preface has come as far as this.
    Preface(usize),
    /// `frame` is being filled.
    Gather,
    /// `frame` goes to the reader from here on, then as many bytes of the stream.
    Give { from: usize, then: usize },
    /// As many bytes go from the stream to the reader.
    Pass(usize),
    /// All that comes goes to the reader.
    Foreign,
}

impl<S> LocalHost<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            step: Step::Preface(0),
            frame: Vec::new(),
            filled: 0,
        }
    }

    fn next_frame(&mut self) {
        self.frame.clear();
        self.frame.resize(frame::HEAD, 0);
        self.filled = 0;
        self.step = Step::Gather;
    }

    /// What to do with `frame`, now that it has as many bytes as it was to have.
    fn filled(&mut self) {
        let payload = frame::payload_of_headers(&self.frame);
        self.step = match payload {
            Some(payload) if self.frame.len() < frame::HEAD + payload => {
                self.frame.resize(frame::HEAD + payload, 0);
                Step::Gather
            }
            Some(_) => {
                frame::mend(&mut self.frame);
                Step::Give { from: 0, then: 0 }
            }
            None => Step::Give {
                from: 0,
                then: frame::payload(&self.frame),
            },
        };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LocalHost<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match this.step {
                Step::Foreign => return Pin::new(&mut this.stream).poll_read(cx, out),
                Step::Preface(seen) => {
                    let missing = PREFACE.get(seen..).unwrap_or_default();
                    let most = missing.len().min(out.remaining());
                    let room = out.initialize_unfilled_to(most);
                    let came = ready!(poll_into(&mut this.stream, cx, room))?;
                    if room.get(..came) != missing.get(..came) {
                        this.step = Step::Foreign;
                    } else if came == missing.len() {
                        this.next_frame();
                    } else {
                        this.step = Step::Preface(seen + came);
                    }
                    out.advance(came);
                    return Poll::Ready(Ok(()));
                }
                Step::Gather => {
                    let room = this.frame.get_mut(this.filled..).unwrap_or_default();
                    let came = ready!(poll_into(&mut this.stream, cx, room))?;
                    this.filled += came;
                    if this.filled == this.frame.len() {
                        this.filled();
                    } else if came == 0 {
                        if this.filled == 0 {
                            return Poll::Ready(Ok(()));
                        }
                        // The stream ends within the frame: the library gets what there is of it.
                        this.frame.truncate(this.filled);
                        this.step = Step::Give { from: 0, then: 0 };
                    }
                }
                Step::Give { from, then } => {
                    let rest = this.frame.get(from..).unwrap_or_default();
                    let now = rest.get(..out.remaining()).unwrap_or(rest);
                    out.put_slice(now);
                    if now.len() < rest.len() {
                        let from = from + now.len();
                        this.step = Step::Give { from, then };
                    } else if then > 0 {
                        this.step = Step::Pass(then);
                    } else {
                        this.next_frame();
                    }
                    return Poll::Ready(Ok(()));
                }
                Step::Pass(left) => {
                    let most = left.min(out.remaining());
                    let room = out.initialize_unfilled_to(most);
                    let came = ready!(poll_into(&mut this.stream, cx, room))?;
                    out.advance(came);
                    if came == left {
                        this.next_frame();
                    } else {
                        this.step = Step::Pass(left - came);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// Reads once, and says how many bytes came: none at the end of the stream.
fn poll_into(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(room);
    ready!(Pin::new(stream).poll_read(cx, &mut room))?;
    Poll::Ready(Ok(room.filled().len()))
}
