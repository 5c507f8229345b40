//! What leaves together: each packet of its own costs a system call and wakes the other end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is kept back: what is large leaves at once. Of a handshake, that is all but a ticket.
const MOST: usize = 4 * 1024;
const MOST_IN_HANDSHAKE: usize = 512;

/// hyper flushes an answer, and once more before it shuts down.
const FLUSHES_BEFORE_END: u8 = 2;

/// The stream of bytes below TLS, which keeps back for a moment what has no use alone.
pub(crate) struct Gathering<IO> {
    io: IO,
    held: Vec<u8>,
    is_unflushed: bool,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    /// What is written leaves when the other end has to answer it. The ticket that ends a handshake
    /// needs no answer: it leaves with what is written next, or with the next flush.
    Handshake,
    Open,
    /// A last answer leaves with the close_notify. For the case that none comes, each flush that is
    /// put off wakes the task, and only so many are.
    LastAnswer {
        put_off: u8,
    },
}

impl<IO> Gathering<IO> {
    pub(crate) fn new(io: IO) -> Self {
        Self {
            io,
            held: Vec::new(),
            is_unflushed: false,
            phase: Phase::Handshake,
        }
    }

    pub(crate) fn handshake_done(&mut self) {
        self.phase = Phase::Open;
    }

    /// Whoever writes is about to shut down, and flushes whenever its task is polled.
    pub(crate) fn expect_end(&mut self) {
        if let Phase::Open = self.phase {
            self.phase = Phase::LastAnswer { put_off: 0 };
        }
    }

    pub(crate) fn get_ref(&self) -> &IO {
        &self.io
    }

    pub(crate) fn get_mut(&mut self) -> &mut IO {
        &mut self.io
    }
}

impl<IO: AsyncWrite + Unpin> Gathering<IO> {
    /// Sends what is kept back.
    #[inline]
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            self.poll_send_held(cx)
        }
    }

    fn poll_send_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => drop(self.held.drain(..sent)),
            }
        }
        // An open connection keeps no memory for what has left.
        self.held = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_send_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.is_unflushed = false;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathering<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        if polled.is_pending() && this.is_unflushed && matches!(this.phase, Phase::Handshake) {
            ready!(this.poll_send_and_flush(cx))?;
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gathering<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_unflushed = true;
        let is_open = matches!(this.phase, Phase::Open);
        if is_open && this.held.is_empty() {
            return Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        }
        let written: usize = bufs.iter().map(|buf| buf.len()).sum();
        let most = match this.phase {
            Phase::Handshake => MOST_IN_HANDSHAKE,
            Phase::Open | Phase::LastAnswer { .. } => MOST,
        };
        if this.held.len().saturating_add(written) > most {
            ready!(this.poll_send(cx))?;
            return Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        }
        this.held.reserve_exact(written);
        for buf in bufs {
            this.held.extend_from_slice(buf);
        }
        if is_open && let Poll::Ready(Err(error)) = this.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.phase {
            Phase::Handshake => return Poll::Ready(Ok(())),
            Phase::LastAnswer { put_off } if this.is_unflushed && *put_off < FLUSHES_BEFORE_END => {
                *put_off += 1;
                cx.waker().wake_by_ref();
                return Poll::Ready(Ok(()));
            }
            Phase::LastAnswer { .. } | Phase::Open => {}
        }
        ready!(this.poll_send_and_flush(cx))?;
        if let Phase::LastAnswer { put_off } = &mut this.phase {
            *put_off = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Has nothing to read, and keeps what is written as it comes.
    #[derive(Default)]
    struct Packets(Vec<String>);

    impl AsyncRead for Packets {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Packets {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(String::from_utf8_lossy(buf).into_owned());
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.0.push("end".to_owned());
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Ends {
        stream: Gathering<Packets>,
        wakes: Arc<Wakes>,
    }

    impl Ends {
        fn handshaking() -> Self {
            Self {
                stream: Gathering::new(Packets::default()),
                wakes: Arc::default(),
            }
        }

        fn open() -> Self {
            let mut ends = Self::handshaking();
            ends.stream.handshake_done();
            ends
        }

        fn poll<T>(
            &mut self,
            poll: impl FnOnce(Pin<&mut Gathering<Packets>>, &mut Context<'_>) -> Poll<T>,
        ) -> Poll<T> {
            let waker = Waker::from(self.wakes.clone());
            poll(Pin::new(&mut self.stream), &mut Context::from_waker(&waker))
        }

        fn write(&mut self, text: &str) {
            let written = self.poll(|stream, cx| stream.poll_write(cx, text.as_bytes()));
            assert!(matches!(written, Poll::Ready(Ok(n)) if n == text.len()));
        }

        fn flush(&mut self) {
            assert!(self.poll(|stream, cx| stream.poll_flush(cx)).is_ready());
        }

        fn read(&mut self) {
            let mut buf = [0; 8];
            let mut buf = ReadBuf::new(&mut buf);
            assert!(
                self.poll(|stream, cx| stream.poll_read(cx, &mut buf))
                    .is_pending()
            );
        }

        fn shut_down(&mut self) {
            assert!(self.poll(|stream, cx| stream.poll_shutdown(cx)).is_ready());
        }

        fn wakes(&self) -> usize {
            self.wakes.0.load(Ordering::SeqCst)
        }

        fn left(&self) -> &[String] {
            &self.stream.get_ref().0
        }
    }

    #[test]
    fn a_flight_leaves_whole_when_its_answer_is_awaited() {
        let mut ends = Ends::handshaking();
        ends.write("hello ");
        ends.write("finished");
        ends.flush();
        assert!(ends.left().is_empty());
        ends.read();
        assert_eq!(ends.left(), ["hello finished"]);
    }

    #[test]
    fn a_ticket_leaves_with_what_is_written_next_or_with_the_next_flush() {
        let mut ends = Ends::handshaking();
        ends.write("ticket ");
        ends.stream.handshake_done();
        ends.write("answer");
        assert_eq!(ends.left(), ["ticket answer"]);
        ends.write("another");
        assert_eq!(ends.left(), ["ticket answer", "another"]);

        let mut ends = Ends::handshaking();
        ends.write("ticket");
        ends.stream.handshake_done();
        ends.flush();
        assert_eq!(ends.left(), ["ticket"]);
    }

    #[test]
    fn a_last_answer_leaves_with_the_close_notify() {
        let mut ends = Ends::open();
        ends.stream.expect_end();
        ends.write("answer ");
        ends.flush();
        ends.flush();
        ends.write("goodbye");
        ends.shut_down();
        assert_eq!(ends.left(), ["answer goodbye", "end"]);
    }

    #[test]
    fn a_last_answer_that_goes_on_leaves_when_the_task_is_polled_again() {
        let mut ends = Ends::open();
        ends.stream.expect_end();
        for part in ["first", "second"] {
            ends.write(part);
            // As often as its task is polled because it was woken.
            for polled in 1.. {
                let wakes = ends.wakes();
                ends.flush();
                if ends.wakes() == wakes {
                    break;
                }
                assert!(polled < 10, "not for ever");
            }
            assert_eq!(ends.left().last().unwrap(), part);
        }
    }

    #[test]
    fn what_is_large_is_not_kept_back() {
        let mut ends = Ends::open();
        ends.stream.expect_end();
        let large = "x".repeat(MOST);
        ends.write("head");
        ends.write(&large);
        assert_eq!(ends.left(), ["head", &large]);
    }
}
