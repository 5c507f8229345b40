use std::path::PathBuf;

use interop::PATIENCE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;

/// A port on the loopback address that leads to a server, and keeps what clients send.
pub struct Tap {
    pub port: u16,
    ended: mpsc::UnboundedReceiver<Vec<u8>>,
}

/// Where a server listens.
#[derive(Clone)]
pub enum Place {
    Port(u16),
    Socket(PathBuf),
}

impl Tap {
    pub async fn before(place: Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let (ends, ended) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (place, ends) = (place.clone(), ends.clone());
                tokio::spawn(async move {
                    let sent = match place {
                        Place::Port(port) => match TcpStream::connect(("127.0.0.1", port)).await {
                            Ok(server) => relay(client, server).await,
                            Err(_) => return,
                        },
                        Place::Socket(path) => match UnixStream::connect(path).await {
                            Ok(server) => relay(client, server).await,
                            Err(_) => return,
                        },
                    };
                    // The test may have seen enough.
                    ends.send(sent).ok();
                });
            }
        });
        Self { port, ended }
    }

    /// Whether the client of the connection that ends next has gone on after the server had proved who it is.
    ///
    /// What TLS 1.3 hides looks like application data. A client that refuses its server sends one such
    /// record, an alert of two bytes. One that goes on sends its own half of the handshake first, which is
    /// longer, and then its request.
    pub async fn client_went_on(&mut self) -> bool {
        const APPLICATION_DATA: u8 = 23;
        const ALERT_TYPE_AND_TAG: usize = 2 + 1 + 16;

        let sent = tokio::time::timeout(PATIENCE, self.ended.recv());
        let sent = sent
            .await
            .expect("a connection ends")
            .expect("the tap listens");
        let mut rest = sent.as_slice();
        assert!(rest.len() > 5, "there has been a handshake");
        while let [kind, _, _, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind == APPLICATION_DATA && length > ALERT_TYPE_AND_TAG {
                return true;
            }
            rest = after.get(length..).unwrap_or_default();
        }
        false
    }
}

/// What the client has sent until both have ended.
async fn relay(client: TcpStream, server: impl AsyncRead + AsyncWrite) -> Vec<u8> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let up = async {
        let mut sent = Vec::new();
        let mut passed = 0;
        while let Ok(1..) = from_client.read_buf(&mut sent).await {
            // What a server that has gone does not get has been sent all the same.
            to_server.write_all(&sent[passed..]).await.ok();
            passed = sent.len();
        }
        to_server.shutdown().await.ok();
        sent
    };
    let down = async {
        copy(&mut from_server, &mut to_client).await.ok();
        to_client.shutdown().await.ok();
    };
    tokio::join!(up, down).0
}
