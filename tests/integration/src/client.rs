//! A client that chooses what the others leave to the handshake: the protocol above TLS, the bytes
//! below it.

use std::io;
use std::sync::Arc;

use spiffe_devkit::Agent;
use spiffe_source::Source;
use spiffe_tls::ClientTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{SERVER, source};

/// A client with the identity of one of the agent's sockets.
pub struct Dialer {
    /// Its source.
    pub source: Source,
    tls: ClientTls,
}

impl Dialer {
    /// With the identity of a socket; expects the server.
    pub async fn new(agent: &Agent, socket: &str) -> Self {
        let source = source(agent, socket, &[]).await;
        let tls = ClientTls::new(source.clone(), SERVER.parse().unwrap()).unwrap();
        Self { source, tls }
    }

    /// Shakes hands over TCP, and speaks `http/1.1` or `h2`.
    ///
    /// # Errors
    ///
    /// What the handshake fails of.
    pub async fn dial(&self, port: u16, alpn: &str) -> io::Result<TlsStream<TcpStream>> {
        self.over(TcpStream::connect(("127.0.0.1", port)).await?, alpn)
            .await
    }

    /// Shakes hands over anything.
    ///
    /// # Errors
    ///
    /// What the handshake fails of.
    pub async fn over<IO>(&self, io: IO, alpn: &str) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        // The clone shares the tickets.
        let mut config = rustls::ClientConfig::clone(self.tls.current().unwrap().config());
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, io).await
    }
}

/// Sends the head of a `GET` over HTTP/1.1.
///
/// # Errors
///
/// What writing fails of.
pub async fn ask<IO: AsyncWrite + Unpin>(io: &mut IO, path: &str) -> io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    io.write_all(head.as_bytes()).await?;
    io.flush().await
}

/// Reads until `text` has come.
///
/// # Errors
///
/// What reading fails of, or an end before it.
pub async fn read_until<IO: AsyncRead + Unpin>(io: &mut IO, text: &str) -> io::Result<String> {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        if io.read_buf(&mut read).await? == 0 {
            let read = String::from_utf8_lossy(&read).into_owned();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, read));
        }
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}
