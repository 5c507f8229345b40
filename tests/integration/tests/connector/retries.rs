//! What is sent twice, and what is not. The servers speak HTTP/2 by hand.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use integration::frames::{PREFACE, frame, frames, kind};
use integration::{SERVER, agent, source};
use spiffe_connector::{Connector, Failure};
use spiffe_devkit::Agent;
use spiffe_tls::ServerTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::place::{BOTH, Client, PATIENCE, connector, server, text};

/// A listener with the server's identity, for HTTP/2.
struct Raw {
    listener: TcpListener,
    tls: ServerTls,
}

impl Raw {
    async fn open(agent: &Agent) -> (Self, http::Uri) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://{}/echo", listener.local_addr().unwrap());
        let tls = ServerTls::new(source(agent, "server", &[]).await).unwrap();
        (Self { listener, tls }, uri.parse().unwrap())
    }

    async fn accept(&self) -> TlsStream<TcpStream> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let mut config = self.tls.current().unwrap().config().as_ref().clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        acceptor.accept(tcp).await.unwrap()
    }

    /// Takes a connection, and once a request has arrived says goodbye: the last stream that was taken
    /// is `last`.
    async fn says_goodbye(&self, last: u32) {
        let mut tls = self.accept().await;
        tls.write_all(&frame(kind::SETTINGS, 0, 0, &[]))
            .await
            .unwrap();
        let mut read = Vec::new();
        loop {
            tls.read_buf(&mut read).await.unwrap();
            let after_preface = read.strip_prefix(PREFACE).unwrap_or_default();
            let mut arrived = frames(after_preface).into_iter();
            if arrived.any(|(of_kind, ..)| of_kind == kind::HEADERS) {
                break;
            }
        }
        let goodbye = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        tls.write_all(&frame(kind::GOAWAY, 0, 0, &goodbye))
            .await
            .unwrap();
        tls.shutdown().await.unwrap();
        // Until the client has read it and gone too.
        let _ = tls.read_to_end(&mut read).await;
    }

    /// Takes a connection and, once it `leaves`, says this and is gone with a reset.
    async fn resets(&self, leaves: oneshot::Receiver<()>, last_words: &[u8]) {
        let mut tls = self.accept().await;
        let settings = frame(kind::SETTINGS, 0, 0, &[]);
        tls.write_all(&settings).await.unwrap();
        leaves.await.unwrap();
        tls.write_all(last_words).await.unwrap();
        tls.get_ref().0.set_zero_linger().unwrap();
    }

    /// Takes a connection, refuses the first streams, and echoes the others. Each is counted.
    async fn refuses(&self, first: usize, seen: Arc<AtomicUsize>, read_first: usize) {
        let mut connection = h2::server::handshake(self.accept().await).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut body = request.into_body();
                let mut whole = Vec::new();
                while number >= first || whole.len() < read_first {
                    let Some(data) = body.data().await else { break };
                    let data = data.unwrap();
                    let _ = body.flow_control().release_capacity(data.len());
                    whole.extend_from_slice(&data);
                }
                if number < first {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    return;
                }
                let mut answer = respond.send_response(Response::new(()), false).unwrap();
                answer.send_data(whole.into(), true).unwrap();
            });
        }
    }
}

/// Has room for one stream, and says goodbye in the way of a server that stops, once `waits` has told
/// that another request waits for room. The stream that it has taken is answered at the end.
async fn stops_while_one_waits(
    tls: TlsStream<TcpStream>,
    waits: Arc<Notify>,
    goes_on: Arc<Notify>,
) {
    let mut builder = h2::server::Builder::new();
    let builder = builder.max_concurrent_streams(1);
    let mut connection = builder.handshake(tls).await.unwrap();
    let (_, mut respond) = connection.accept().await.unwrap().unwrap();
    let stopping = tokio::spawn(async move {
        tokio::select! {
            () = waits.notified() => connection.graceful_shutdown(),
            other = connection.accept() => panic!("a second stream: {other:?}"),
        }
        assert!(connection.accept().await.is_none(), "it takes nothing more");
    });
    goes_on.notified().await;
    let mut answer = respond.send_response(Response::new(()), false).unwrap();
    answer.send_data(Bytes::from("the first"), true).unwrap();
    stopping.await.unwrap();
}

fn post(uri: &http::Uri, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(uri.clone())
        .body(Full::new(body.into()))
        .unwrap()
}

#[tokio::test]
async fn a_goodbye_is_read_although_nothing_can_be_sent_any_more() {
    let agent = agent().start().await.unwrap();
    let (raw, uri) = Raw::open(&agent).await;
    let (leave, leaves) = oneshot::channel();
    let goodbye = frame(kind::GOAWAY, 0, 0, &[0; 8]);
    let server = tokio::spawn(async move { raw.resets(leaves, &goodbye).await });
    let stream = connector(&agent).await.connect(&uri).await.unwrap();
    let mut stream = TokioIo::new(stream);
    leave.send(()).unwrap();
    server.await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"more").await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut read = Vec::new();
    let end = stream.read_to_end(&mut read).await;
    assert!(end.is_err(), "control: the server has reset the connection");
    let last = frames(&read).into_iter().next_back();
    assert_eq!(last.unwrap(), (kind::GOAWAY, 0, &[0; 8][..]));
}

#[tokio::test]
async fn who_only_writes_learns_that_nothing_can_be_sent_any_more() {
    let agent = agent().start().await.unwrap();
    let (raw, uri) = Raw::open(&agent).await;
    let (leave, leaves) = oneshot::channel();
    let server = tokio::spawn(async move { raw.resets(leaves, &[]).await });
    let stream = connector(&agent).await.connect(&uri).await.unwrap();
    let mut stream = TokioIo::new(stream);
    leave.send(()).unwrap();
    server.await.unwrap();
    let writing = async {
        loop {
            stream.write_all(b"more").await?;
            tokio::task::yield_now().await;
        }
    };
    let end: std::io::Result<()> = timeout(PATIENCE, writing).await.expect("not for ever");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}

/// An upload without end, whose response nobody reads on.
#[tokio::test]
async fn an_upload_ends_with_its_connection_although_the_response_is_left_unread() {
    let agent = agent().start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    let tls = ServerTls::new(source(&agent, "server", &[]).await).unwrap();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut config = tls.current().unwrap().config().as_ref().clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut tls = acceptor.accept(tcp).await.unwrap();
        tls.read_u8().await.unwrap();
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
        tls.write_all(response).await.unwrap();
        tls.write_all(&[b'x'; 400_000]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        tls.get_ref().0.set_zero_linger().unwrap();
    });
    let (ended, ends) = oneshot::channel::<()>();
    let body = futures_util::stream::unfold(ended, async |ended| {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from("more"))), ended))
    });
    let client: spiffe_connector::HttpClient<_> = connector(&agent).await.http_client();
    let body = http_body_util::StreamBody::new(Box::pin(body));
    let request = Request::post(uri).body(body).unwrap();
    let _response = client.request(request).await.unwrap();
    server.await.unwrap();
    timeout(PATIENCE, ends)
        .await
        .expect("not for ever")
        .unwrap_err();
}

#[tokio::test]
async fn what_a_goodbye_has_left_unprocessed_is_sent_again_with_its_body() {
    let agent = agent().start().await.unwrap();
    let (raw, uri) = Raw::open(&agent).await;
    let seen = Arc::<AtomicUsize>::default();
    let counted = seen.clone();
    tokio::spawn(async move {
        raw.says_goodbye(0).await;
        raw.says_goodbye(0).await;
        raw.refuses(0, counted, 0).await;
    });
    let client: Client = connector(&agent).await.http_client();
    let answer = text(client.request(post(&uri, "an order"))).await;
    assert_eq!(answer.unwrap(), "an order");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

/// Tells when the connection has taken the request: it then asks how long the body is.
struct Telling(Full<Bytes>, Arc<Notify>);

impl Body for Telling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.1.notify_one();
        self.0.size_hint()
    }
}

#[tokio::test]
async fn what_waits_for_room_at_a_goodbye_is_sent_elsewhere() {
    let agent = agent().start().await.unwrap();
    let connector = connector(&agent).await;
    for (method, body) in [(Method::GET, ""), (Method::POST, "an order")] {
        let (raw, uri) = Raw::open(&agent).await;
        let (waits, goes_on) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let seen = Arc::<AtomicUsize>::default();
        let (told, told_to, counted) = (waits.clone(), goes_on.clone(), seen.clone());
        tokio::spawn(async move {
            tokio::spawn(stops_while_one_waits(raw.accept().await, told, told_to));
            raw.refuses(0, counted, 0).await;
        });
        let client = connector.http_client();
        let request = |body: &'static str, taken: Arc<Notify>| {
            let request = Request::builder().method(method.clone()).uri(uri.clone());
            request.body(Telling(body.into(), taken)).unwrap()
        };
        let taken = Arc::<Notify>::default();
        let first = tokio::spawn(text(client.request(request(body, taken.clone()))));
        taken.notified().await;
        let second = text(client.request(request(body, waits))).await;
        assert_eq!(second.unwrap(), body, "{method}");
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{method}");
        goes_on.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), "the first", "{method}");
    }
}

#[tokio::test]
async fn what_a_server_may_have_processed_is_not_sent_again() {
    let agent = agent().start().await.unwrap();
    let (raw, uri) = Raw::open(&agent).await;
    let seen = Arc::<AtomicUsize>::default();
    let counted = seen.clone();
    tokio::spawn(async move {
        raw.says_goodbye(1).await;
        raw.refuses(0, counted, 0).await;
    });
    let client: Client = connector(&agent).await.http_client();
    client.request(post(&uri, "an order")).await.unwrap_err();
    assert_eq!(seen.load(Ordering::SeqCst), 0, "it has been taken once");
    let answer = text(client.request(post(&uri, "another"))).await;
    assert_eq!(answer.unwrap(), "another", "control");
}

#[tokio::test]
async fn what_is_refused_is_sent_again_a_few_times() {
    let agent = agent().start().await.unwrap();
    for (refusals, is_answered) in [(3, true), (100, false)] {
        let (raw, uri) = Raw::open(&agent).await;
        let seen = Arc::<AtomicUsize>::default();
        let counted = seen.clone();
        tokio::spawn(async move {
            // A refusal has the client begin anew.
            loop {
                raw.refuses(refusals, counted.clone(), 0).await;
            }
        });
        let client: Client = connector(&agent).await.http_client();
        let answer = text(client.request(post(&uri, "an order"))).await;
        assert_eq!(answer.is_ok(), is_answered, "{answer:?}");
        assert_eq!(seen.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn a_body_is_sent_again_only_while_little_of_it_is_gone() {
    let agent = agent().start().await.unwrap();
    let big = Bytes::from(vec![b'x'; 400 * 1024]);
    for (read_first, sent) in [(0, 2), (200 * 1024, 1)] {
        let (raw, uri) = Raw::open(&agent).await;
        let seen = Arc::<AtomicUsize>::default();
        let counted = seen.clone();
        tokio::spawn(async move {
            loop {
                raw.refuses(1, counted.clone(), read_first).await;
            }
        });
        let pieces: Vec<_> = big.chunks(16 * 1024).map(Bytes::copy_from_slice).collect();
        let pieces = pieces
            .into_iter()
            .map(|piece| Ok::<_, std::convert::Infallible>(http_body::Frame::data(piece)));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        let request = Request::post(uri).body(body).unwrap();
        let streaming = connector(&agent).await.http_client();
        let answer = text(streaming.request(request)).await;
        assert_eq!(answer.is_ok(), sent == 2, "{answer:?}");
        assert_eq!(seen.load(Ordering::SeqCst), sent);
    }
}

#[tokio::test]
async fn a_server_that_refuses_this_client_is_not_asked_again() {
    let agent = agent().start().await.unwrap();
    for alpn in BOTH {
        let place = server(&agent, alpn).await;
        // It trusts the server's domain, which does not trust it.
        let foreign = source(&agent, "foreign", &["example.org"]).await;
        let client: Client = Connector::new(foreign, SERVER).unwrap().http_client();
        let error = client.get(place.uri("/")).await.unwrap_err();
        assert!(Failure::of(&error).is_refused_by_server(), "{error:?}");
        assert_eq!(place.dialled.load(Ordering::SeqCst), 1, "{alpn}");
        assert_eq!(place.requests(), 0);
    }
}
