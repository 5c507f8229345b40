use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;
use tonic::body::Body;

use super::Fault;

/// A gRPC message is led by a byte that says whether it is compressed and its length in four.
const PREFIX: usize = 5;

/// A length-delimited field of the number 2047, which no message of the Workload API has, up to and
/// including its length in five bytes.
const PADDING_HEAD: usize = 7;

/// Sixteen bytes of which a protobuf decoder understands not even the first number.
const GARBAGE: &[u8] = &[
    0, 0, 0, 0, 16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
];

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The body of an answer of the Workload API, into which the fault of its listener reaches.
pub(crate) struct FaultyBody {
    inner: Body,
    fault: Option<WatchStream<Option<Fault>>>,
    mode: Mode,
    last: Bytes,
    queue: VecDeque<Bytes>,
    zeros: usize,
    end: Option<HeaderMap>,
}

enum Mode {
    Honest,
    Silent,
    Padded(u32),
    Ended,
}

impl FaultyBody {
    pub(super) fn honest(inner: Body) -> Self {
        Self {
            inner,
            fault: None,
            mode: Mode::Honest,
            last: Bytes::new(),
            queue: VecDeque::new(),
            zeros: 0,
            end: None,
        }
    }

    pub(super) fn padded(inner: Body, bytes: u32) -> Self {
        Self {
            mode: Mode::Padded(bytes),
            ..Self::honest(inner)
        }
    }

    pub(super) fn stream(inner: Body, fault: watch::Receiver<Option<Fault>>) -> Self {
        Self {
            fault: Some(WatchStream::new(fault)),
            ..Self::honest(inner)
        }
    }

    pub(super) fn garbage_stream(fault: watch::Receiver<Option<Fault>>) -> Self {
        Self {
            mode: Mode::Silent,
            ..Self::stream(Body::empty(), fault)
        }
    }

    pub(super) fn garbage_answer() -> Self {
        let mut body = Self::honest(Body::empty());
        body.queue.push_back(Bytes::from_static(GARBAGE));
        body.end_with(&Status::ok(""));
        body
    }

    fn begin(&mut self, fault: Option<Fault>) {
        self.mode = match fault {
            None => Mode::Honest,
            Some(Fault::Pause | Fault::Hang) => Mode::Silent,
            Some(Fault::Garbage) => {
                self.queue.push_back(Bytes::from_static(GARBAGE));
                Mode::Silent
            }
            Some(Fault::Huge(bytes)) => {
                if !self.last.is_empty() {
                    self.pad(self.last.clone(), bytes);
                }
                Mode::Padded(bytes)
            }
            Some(Fault::Error { code, message }) => {
                self.end_with(&Status::new(code.into(), message));
                Mode::Ended
            }
        };
    }

    fn end_with(&mut self, status: &Status) {
        let mut trailers = HeaderMap::new();
        // It fails where the message does not fit into a header: then the stream ends without a word.
        let _ = status.add_header(&mut trailers);
        self.end = Some(trailers);
        self.mode = Mode::Ended;
    }

    /// Queues the message, padded to `bytes`; the zeros are made when they are sent.
    fn pad(&mut self, message: Bytes, bytes: u32) {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        let zeros = wanted
            .checked_sub(message.len())
            .and_then(|rest| rest.checked_sub(PADDING_HEAD));
        let Some((zeros, length)) =
            zeros.and_then(|zeros| Some((zeros, u32::try_from(zeros).ok()?)))
        else {
            self.queue.push_back(framed(
                &message,
                u32::try_from(message.len()).unwrap_or(u32::MAX),
            ));
            return;
        };
        let mut head = BytesMut::from(&framed(&message, bytes)[..]);
        head.put_slice(&[0xfa, 0x7f]);
        let mut length = u64::from(length);
        for _ in 0..4 {
            head.put_u8(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        head.put_u8(u8::try_from(length & 0x7f).unwrap_or_default());
        self.queue.push_back(head.freeze());
        self.zeros = zeros;
    }

    fn queued(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.queue.pop_front() {
            return Some(chunk);
        }
        let size = self.zeros.min(ZEROS.len());
        self.zeros = self.zeros.saturating_sub(size);
        (size > 0).then(|| Bytes::from_static(&ZEROS).slice(..size))
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        if let Some(message) = last_message(data.clone()) {
            self.last = message;
        }
        if let Mode::Padded(bytes) = self.mode {
            self.pad(self.last.clone(), bytes);
            return Poll::Ready(Some(Ok(Frame::data(self.queued().unwrap_or_default()))));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl http_body::Body for FaultyBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            // A message that has begun is sent to its end, whatever happens to the fault.
            if let Some(chunk) = self.queued() {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if let Some(trailers) = self.end.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            if matches!(self.mode, Mode::Ended) {
                return Poll::Ready(None);
            }
            if let Some(faults) = &mut self.fault
                && let Poll::Ready(Some(fault)) = Pin::new(faults).poll_next(cx)
            {
                self.begin(fault);
                continue;
            }
            return match self.mode {
                Mode::Ended => Poll::Ready(None),
                Mode::Silent => Poll::Pending,
                Mode::Honest | Mode::Padded(_) => self.poll_inner(cx),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fault.is_none()
            && self.queue.is_empty()
            && self.zeros == 0
            && self.end.is_none()
            && self.inner.is_end_stream()
    }
}

impl fmt::Debug for FaultyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBody").finish_non_exhaustive()
    }
}

fn framed(message: &Bytes, length: u32) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len() + PADDING_HEAD);
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// The last message in a piece of the body, which holds whole messages.
fn last_message(mut data: Bytes) -> Option<Bytes> {
    let mut last = None;
    while data.len() >= PREFIX {
        data.advance(1);
        let length = usize::try_from(data.get_u32()).ok()?;
        if length > data.len() {
            return None;
        }
        last = Some(data.split_to(length));
    }
    last
}
