//! What memory a connection holds at the server while nothing happens on it, beside hyper-util on
//! plain tokio-rustls; and what a handshake holds that its client does not go on with.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bench::clients::{self, Sessions};
use bench::pki::{CLIENT, DIALLED, Root, SERVER, Svid};
use bench::process::Server;
use bench::servers::BODY;
use bench::{Gate, Report, Row, publish, quantile, servers};
use rustls::{ClientConfig, ClientConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 3;
const CONNECTIONS: usize = 4_000;
/// As many as may be pending by default.
const PENDING: usize = 900;
/// What is there after these is not counted: tables and pools that every server fills once.
const FIRST: usize = 100;
/// As many come and go before: more than the sessions that a server of ours remembers, whose number
/// is bounded.
const BEFORE: usize = 8_500;
const PEER: &str = "hyper-util on plain tokio-rustls";
/// For the server to have done all that it will do.
const CALM: Duration = Duration::from_millis(500);

fn main() -> Result<ExitCode, Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, kind, directory] = &args[..]
        && serve == "serve"
    {
        servers::serve(kind, Path::new(directory))?;
        return Ok(ExitCode::SUCCESS);
    }

    let directory = tempfile::tempdir()?;
    let issuer = Root::new()?.intermediate(0)?;
    issuer.issue(SERVER)?.write(directory.path())?;
    let bench = Bench {
        directory: directory.path(),
        svid: issuer.issue(CLIENT)?,
    };
    let idle = |kind| bench.median(kind, |server| bench.idle(server));
    let silent = |kind| bench.median(kind, |server| bench.pending(server, Stage::Silent));
    let greeted = |kind| bench.median(kind, |server| bench.pending(server, Stage::Greeted));
    let row = |what: &str, ours, theirs, gate| Row::new(what, ours, (PEER, theirs), "KiB", gate);
    let rows = vec![
        row(
            "an idle HTTP/1.1 connection, after one request",
            idle("ours")?,
            idle("bare")?,
            Gate::AtMost(24.0),
        ),
        row(
            "a handshake whose client says nothing",
            silent("ours")?,
            silent("bare")?,
            Gate::None,
        ),
        row(
            "a handshake whose client stops after its hello",
            greeted("ours")?,
            greeted("bare")?,
            Gate::None,
        ),
    ];
    Ok(publish(&Report::new("memory", ROUNDS, rows))?)
}

/// How far a client goes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Silent,
    Greeted,
}

struct Bench<'a> {
    directory: &'a Path,
    svid: Svid,
}

impl Bench<'_> {
    /// KiB, each time in a new server.
    fn median(
        &self,
        kind: &str,
        measure: impl Fn(&Server) -> Result<f64, Failure>,
    ) -> Result<f64, Failure> {
        let mut measured = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let args = [Path::new("serve"), Path::new(kind), self.directory];
            measured.push(measure(&Server::this_program(args)?)? / 1024.0);
        }
        Ok(quantile(&mut measured, 0.5))
    }

    fn client(&self) -> Result<Arc<ClientConfig>, Failure> {
        let provider = spiffe_verify::default_provider()?;
        let mut config = clients::config(&self.svid, &provider, Sessions::None)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn idle(&self, server: &Server) -> Result<f64, Failure> {
        let client = self.client()?;
        for _ in 0..BEFORE {
            clients::connect(server.address(), &client)?;
        }
        let mut open = Vec::with_capacity(FIRST + CONNECTIONS);
        let mut before = 0;
        for number in 0..FIRST + CONNECTIONS {
            if number == FIRST {
                std::thread::sleep(CALM);
                before = server.resident()?;
            }
            let (mut stream, _) = clients::connect(server.address(), &client)?;
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let (mut answer, mut part) = (Vec::new(), [0; 1024]);
            while !answer.ends_with(BODY.as_bytes()) {
                match stream.read(&mut part)? {
                    0 => return Err("the server has closed the connection".into()),
                    read => answer.extend_from_slice(&part[..read]),
                }
            }
            // The client's own buffers are not needed any more.
            open.push(stream.sock);
        }
        std::thread::sleep(CALM);
        let grown = server.resident()?.saturating_sub(before);
        Ok(grown as f64 / CONNECTIONS as f64)
    }

    fn pending(&self, server: &Server, stage: Stage) -> Result<f64, Failure> {
        let hello = match stage {
            Stage::Silent => Vec::new(),
            Stage::Greeted => {
                let mut hello = Vec::new();
                let name = DIALLED.try_into()?;
                ClientConnection::new(self.client()?, name)?.write_tls(&mut hello)?;
                hello
            }
        };
        let runtime = servers::runtime()?;
        runtime.block_on(async {
            let mut open = Vec::with_capacity(FIRST + PENDING);
            let mut before = 0;
            for number in 0..FIRST + PENDING {
                if number == FIRST {
                    tokio::time::sleep(CALM).await;
                    before = server.resident()?;
                }
                let mut tcp = connect_as(number, server.address()).await?;
                tcp.write_all(&hello).await?;
                open.push(tcp);
            }
            tokio::time::sleep(CALM).await;
            let grown = server.resident()?.saturating_sub(before);
            drop(open);
            Ok(grown as f64 / PENDING as f64)
        })
    }
}

/// Each client has an address of its own: a server may bound what one address holds.
async fn connect_as(number: usize, server: SocketAddr) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    let [.., high, low] = u32::try_from(number)?.to_be_bytes();
    socket.bind(SocketAddr::from((
        Ipv4Addr::new(127, 1, high, low.max(1)),
        0,
    )))?;
    Ok(socket.connect(server).await?)
}
