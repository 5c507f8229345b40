use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use spiffe_tls::ClientTls;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// The version of HTTP that a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Opens connections that nobody pools and on which nobody retries: what fails is seen.
#[derive(Clone)]
pub struct Dial {
    /// Who calls, and whom.
    pub tls: ClientTls,
    /// Where the server listens on the loopback address.
    pub port: u16,
}

/// What a client met in place of an answer.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// An open connection.
pub struct Requests {
    sender: Sender,
    /// Ends when the connection does.
    pub connection: JoinHandle<Result<(), hyper::Error>>,
}

enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

impl Dial {
    /// Connects from a loopback address.
    ///
    /// # Errors
    ///
    /// Whatever a connection, a handshake or an identity fails of.
    pub async fn connect(&self, http: Http, from: IpAddr) -> Result<Requests, Failed> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let tcp = socket.connect(([127, 0, 0, 1], self.port).into()).await?;
        tcp.set_nodelay(true)?;
        let revision = self.tls.current().ok_or("no identity")?;
        let mut config = revision.config().as_ref().clone();
        config.alpn_protocols = match http {
            Http::One => vec![b"http/1.1".to_vec()],
            Http::Two => vec![b"h2".to_vec()],
        };
        let connector = TlsConnector::from(Arc::new(config));
        let tls = connector
            .connect(ServerName::try_from("localhost")?, tcp)
            .await?;
        let latest = self.tls.current().ok_or("no identity")?;
        latest.identify(tls.get_ref().1.peer_certificates(), SystemTime::now())?;
        let io = TokioIo::new(tls);
        Ok(match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                Requests {
                    sender: Sender::One(sender),
                    connection: tokio::spawn(connection),
                }
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                Requests {
                    sender: Sender::Two(sender),
                    connection: tokio::spawn(connection),
                }
            }
        })
    }
}

impl Requests {
    /// `GET` of a path, answer read to its end.
    ///
    /// # Errors
    ///
    /// Whatever the request fails of.
    pub async fn get(&mut self, path: &str) -> Result<StatusCode, Failed> {
        let request = Request::get(format!("https://localhost{path}"))
            .header(http::header::HOST, "localhost")
            .body(Empty::new())?;
        let response: Response<hyper::body::Incoming> = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        response.into_body().collect().await?;
        Ok(status)
    }
}
