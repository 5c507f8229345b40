use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The most of a body that is kept for a second attempt: what fits into the window of a server that
/// has not read yet, and as much again.
const MAX_KEPT: usize = 128 * 1024;

/// And the most pieces of it: each takes memory, however small it is.
const MAX_PIECES: usize = 1024;

/// A body that can be sent again as long as little of it has been sent: what goes out is kept, and
/// the rest is taken from the original when it is wanted.
pub(crate) struct Replay<B> {
    shared: Arc<Mutex<Shared<B>>>,
    attempt: u32,
}

struct Shared<B> {
    rest: B,
    /// What has been sent, as long as it may have to be sent again; otherwise what an attempt has yet
    /// to send of what one before it has taken.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    is_kept: bool,
    /// When the last of it was sent.
    over_at: Option<Instant>,
    attempt: u32,
    /// How many of the kept frames this attempt has sent.
    sent: usize,
    /// Whether this attempt has been asked for anything.
    is_begun: bool,
}

#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(http::HeaderMap),
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

impl<B: Body> Replay<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                over_at: body.is_end_stream().then(Instant::now),
                rest: body,
                kept: VecDeque::new(),
                kept_bytes: 0,
                is_kept: true,
                attempt: 0,
                sent: 0,
                is_begun: false,
            })),
            attempt: 0,
        }
    }

    /// What sends the body again later, from its beginning.
    pub(crate) fn again(&self) -> Again<B> {
        Again(self.shared.clone())
    }
}

/// A body that has been sent, in full or in part.
pub(crate) struct Again<B>(Arc<Mutex<Shared<B>>>);

impl<B> Again<B> {
    /// When all of it had been sent for the first time, if it has.
    pub(crate) fn sent_at(&self) -> Option<Instant> {
        lock(&self.0).over_at
    }

    /// The body for another attempt; none where too much of it is gone. The attempt before it sends
    /// nothing more.
    pub(crate) fn body(&self) -> Option<Replay<B>> {
        let mut shared = lock(&self.0);
        if !shared.is_kept {
            return None;
        }
        shared.attempt += 1;
        shared.sent = 0;
        shared.is_begun = false;
        Some(Replay {
            attempt: shared.attempt,
            shared: self.0.clone(),
        })
    }

    /// Whether there is a body, and the last attempt has sent nothing of it.
    pub(crate) fn is_unsent(&self) -> bool {
        let shared = lock(&self.0);
        !shared.is_begun && (shared.over_at.is_none() || !shared.kept.is_empty())
    }

    /// Keeps nothing more: the server has taken the request.
    pub(crate) fn is_taken(&self) {
        lock(&self.0).forget();
    }
}

fn lock<B>(shared: &Mutex<Shared<B>>) -> MutexGuard<'_, Shared<B>> {
    // A body that has panicked is not asked for its rest by another attempt: the call is over.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Shared<B> {
    fn forget(&mut self) {
        self.is_kept = false;
        let sent = std::mem::take(&mut self.sent);
        self.kept.drain(..sent.min(self.kept.len()));
        self.kept.shrink_to_fit();
    }

    fn next_kept(&mut self) -> Option<Kept> {
        if !self.is_kept {
            return self.kept.pop_front();
        }
        let kept = self.kept.get(self.sent)?.clone();
        self.sent += 1;
        Some(kept)
    }

    fn keep(&mut self, kept: Kept) {
        let bytes = match &kept {
            Kept::Data(data) => data.len(),
            Kept::Trailers(trailers) => trailers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum(),
        };
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes > MAX_KEPT || self.kept.len() == MAX_PIECES {
            self.forget();
        } else if self.is_kept {
            self.kept.push_back(kept);
            self.sent += 1;
        }
    }
}

impl<B> Body for Replay<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let mut shared = lock(&this.shared);
        if shared.attempt != this.attempt {
            // Given up: whoever still has it must not take from its successor.
            return Poll::Pending;
        }
        shared.is_begun = true;
        if let Some(kept) = shared.next_kept() {
            return Poll::Ready(Some(Ok(kept.into())));
        }
        if shared.over_at.is_some() {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut shared.rest).poll_frame(cx));
        let frame = match frame {
            None => {
                shared.over_at = Some(Instant::now());
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                shared.forget();
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(frame)) => frame,
        };
        let frame = match frame.into_data() {
            Ok(data) => {
                shared.keep(Kept::Data(data.clone()));
                Frame::data(data)
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => {
                    shared.keep(Kept::Trailers(trailers.clone()));
                    Frame::trailers(trailers)
                }
                Err(frame) => {
                    shared.forget();
                    frame
                }
            },
        };
        if shared.rest.is_end_stream() {
            shared.over_at = Some(Instant::now());
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        let shared = lock(&self.shared);
        shared.kept.len() == shared.sent && shared.over_at.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        let shared = lock(&self.shared);
        let unsent = shared.kept.iter().skip(shared.sent);
        let unsent: usize = unsent
            .map(|kept| match kept {
                Kept::Data(data) => data.len(),
                Kept::Trailers(_) => 0,
            })
            .sum();
        let unsent = u64::try_from(unsent).unwrap_or(u64::MAX);
        let rest = shared.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(unsent));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(unsent));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    async fn next(body: &mut Replay<impl Body<Data = Bytes, Error = Infallible> + Unpin>) -> Bytes {
        body.frame().await.unwrap().unwrap().into_data().unwrap()
    }

    fn pieces(pieces: Vec<Bytes>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let pieces = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
        StreamBody::new(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_was_sent_in_part_is_sent_again_in_full() {
        let mut first = Replay::new(pieces(vec!["one".into(), "two".into(), "three".into()]));
        let again = first.again();
        assert_eq!(next(&mut first).await, "one");
        assert_eq!(next(&mut first).await, "two");
        let second = again.body().unwrap();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(20), first.frame());
        assert!(given_up.await.is_err(), "the first takes nothing any more");
        assert_eq!(second.collect().await.unwrap().to_bytes(), "onetwothree");
        let third = again.body().unwrap();
        assert_eq!(third.collect().await.unwrap().to_bytes(), "onetwothree");
    }

    #[tokio::test]
    async fn trailers_come_again_and_the_length_stays_known() {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("checksum", "7".parse().unwrap());
        let expected = trailers.clone();
        let body = Full::new(Bytes::from_static(b"body"))
            .with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
        let first = Replay::new(Box::pin(body));
        let again = first.again();
        assert_eq!(first.collect().await.unwrap().trailers(), Some(&expected));
        let second = again.body().unwrap().collect().await.unwrap();
        assert_eq!(second.trailers(), Some(&expected));

        let sized = Replay::new(Full::new(Bytes::from_static(b"body")));
        let again = sized.again();
        assert_eq!(sized.size_hint().exact(), Some(4));
        let _ = sized.collect().await.unwrap();
        let sized = again.body().unwrap();
        assert_eq!(sized.size_hint().exact(), Some(4));
        assert!(!sized.is_end_stream());
        assert!(Replay::new(Full::<Bytes>::default()).is_end_stream());
    }

    #[tokio::test]
    async fn what_is_too_much_to_keep_is_sent_once() {
        let big = Bytes::from(vec![7; MAX_KEPT + 1]);
        let first = Replay::new(Full::new(big.clone()));
        let again = first.again();
        assert!(again.body().is_some(), "control: nothing is gone yet");
        let first = again.body().unwrap();
        assert_eq!(first.collect().await.unwrap().to_bytes(), big);
        assert!(again.body().is_none());

        let crumbs = |count| Replay::new(pieces(vec![Bytes::new(); count]));
        for (count, is_kept) in [(MAX_PIECES, true), (MAX_PIECES + 1, false)] {
            let first = crumbs(count);
            let again = first.again();
            let _ = first.collect().await.unwrap();
            assert_eq!(again.body().is_some(), is_kept, "{count}");
        }
    }

    #[tokio::test]
    async fn what_the_server_has_taken_is_kept_no_longer_and_the_rest_still_comes() {
        let mut first = Replay::new(pieces(vec!["one".into(), "two".into(), "three".into()]));
        let again = first.again();
        assert!(again.is_unsent());
        assert_eq!(next(&mut first).await, "one");
        assert_eq!(next(&mut first).await, "two");
        assert!(!again.is_unsent());
        let mut second = again.body().unwrap();
        assert!(again.is_unsent());
        assert_eq!(next(&mut second).await, "one");
        again.is_taken();
        assert_eq!(lock(&again.0).kept.len(), 1, "what has yet to go out");
        assert_eq!(second.collect().await.unwrap().to_bytes(), "twothree");
        assert!(lock(&again.0).kept.is_empty());
        assert!(again.body().is_none());
        assert!(!Replay::new(Full::<Bytes>::default()).again().is_unsent());
    }
}
