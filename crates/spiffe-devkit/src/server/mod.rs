mod host;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::caller::Caller;
use crate::fault::{Fault, FaultyApi};
use crate::log::Log;
use crate::state::State;
use crate::workload_api::WorkloadApi;
use host::LocalHost;

/// How many connections a listener holds; one more waits until another ends.
const MAX_CONNECTIONS: usize = 1024;

const MAX_CALLS_PER_CONNECTION: u32 = 256;

pub(crate) enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A listener's share of the agent.
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    pub(crate) state: Arc<State>,
    pub(crate) log: Log,
    pub(crate) fault: watch::Receiver<Option<Fault>>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Server {
    /// Serves until the agent stops. To be polled in a task of its own.
    pub(crate) async fn serve(self, socket: Socket) {
        let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(Ok(place)) = self
            .stop
            .run_until_cancelled(Arc::clone(&free).acquire_owned())
            .await
        {
            let accepted = match &socket {
                Socket::Unix(listener) => {
                    self.stop
                        .run_until_cancelled(self.accept_unix(listener))
                        .await
                }
                Socket::Tcp(listener) => {
                    self.stop
                        .run_until_cancelled(self.accept_tcp(listener))
                        .await
                }
            };
            match accepted {
                None => return,
                Some(Ok(connection)) => {
                    let stop = self.stop.clone();
                    self.tasks.spawn(async move {
                        let _place = place;
                        stop.run_until_cancelled(connection).await;
                    });
                }
                Some(Err(error)) => {
                    tracing::warn!(listener = &*self.name, %error, "a connection was not accepted");
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn accept_unix(&self, listener: &UnixListener) -> io::Result<Connection> {
        let (stream, _) = listener.accept().await?;
        let caller = Caller::unix(Arc::clone(&self.name), stream.peer_cred()?);
        let (requests, answers) = stream.into_split();
        let stream = tokio::io::join(LocalHost::new(requests), answers);
        Ok(self.connection(caller, stream))
    }

    async fn accept_tcp(&self, listener: &TcpListener) -> io::Result<Connection> {
        let (stream, address) = listener.accept().await?;
        let caller = Caller::tcp(Arc::clone(&self.name), address);
        Ok(self.connection(caller, stream))
    }

    fn connection(
        &self,
        caller: Caller,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Connection {
        let api = WorkloadApi {
            state: Arc::clone(&self.state),
            caller: Arc::new(caller),
            log: self.log.clone(),
        };
        let api = FaultyApi {
            api,
            fault: self.fault.clone(),
        };
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Box::pin(async move {
            let served = http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        })
    }
}

type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
