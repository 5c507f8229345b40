use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use integration::grpc::{self, Whoami};
use integration::{ALLOWED, SERVER, agent, settled, source};
use spiffe_acceptor::{Acceptor, ServeError, serve};
use spiffe_connector::Connector;
use spiffe_devkit::Agent;
use spiffe_peer::parse;
use spiffe_source::{Snapshot, Source};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::place::{BOTH, Client, connector, server, text};

const WORKERS: usize = 8;

/// Rotates every SVID of the agent twenty times a second while `work` is done over and over.
async fn while_rotating<F, T>(agent: &Agent, work: F) -> usize
where
    F: Fn() -> T + Clone + Send + 'static,
    T: Future<Output = Result<(), String>> + Send,
{
    let rotations = async {
        for _ in 0..60 {
            agent.rotate_svids();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    throughout(rotations, work).await
}

/// Has several workers do `work` over and over until `events` are over. None may fail.
async fn throughout<F, T>(events: impl Future<Output = ()>, work: F) -> usize
where
    F: Fn() -> T + Clone + Send + 'static,
    T: Future<Output = Result<(), String>> + Send,
{
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (work, stop, done) = (work.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    work().await?;
                    done.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    events.await;
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    done.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_both_ends_rotate() {
    for alpn in BOTH {
        let agent = agent().start().await.unwrap();
        let place = server(&agent, alpn).await;
        let connector = connector(&agent)
            .await
            .retire_after(Duration::from_millis(100));
        let client: Client = connector.http_client();
        let uri = place.uri("/");
        let done = while_rotating(&agent, move || {
            let (client, uri) = (client.clone(), uri.clone());
            async move {
                let answer = text(client.get(uri)).await;
                answer.map(drop).map_err(|error| error.to_string())
            }
        })
        .await;
        assert!(done > WORKERS * 10, "{alpn}: {done}");
        // Each worker has a connection, and one that drains.
        assert!(place.most_open() <= WORKERS * 4, "{}", place.most_open());
        assert!(place.connections() > 5, "control: {}", place.connections());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_both_ends_rotate() {
    let agent = agent().start().await.unwrap();
    let listener = Acceptor::builder(source(&agent, "server", &[]).await)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = axum::Router::new().route_service("/test.Whoami/{*rest}", Whoami);
    tokio::spawn(serve(listener, app).into_future());
    let source = source(&agent, "allowed", &[]).await;
    let channel = Connector::new(source, SERVER)
        .unwrap()
        .retire_after(Duration::from_millis(100))
        .grpc_channel(format!("https://127.0.0.1:{port}"))
        .unwrap();
    let mut stream = grpc::forever(channel.clone()).await.unwrap();
    let (calls, streams) = (channel.clone(), channel);
    let reading = tokio::spawn(async move {
        let mut read = 0;
        for _ in 0..200 {
            stream.message().await.unwrap().unwrap();
            read += 1;
        }
        read
    });
    let done = while_rotating(&agent, move || {
        let (calls, streams) = (calls.clone(), streams.clone());
        async move {
            let said = grpc::once(calls).await;
            said.map_err(|status| status.to_string())?;
            let mut stream = grpc::forever(streams)
                .await
                .map_err(|status| status.to_string())?;
            for _ in 0..3 {
                let message = stream.message().await;
                message.map_err(|status| status.to_string())?;
            }
            Ok(())
        }
    })
    .await;
    assert!(done > WORKERS * 5, "{done}");
    assert_eq!(
        reading.await.unwrap(),
        200,
        "a long stream drains where it began"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_authority_is_replaced_step_by_step() {
    let domain = parse::trust_domain("example.org").unwrap();
    for alpn in BOTH {
        let agent = agent().start().await.unwrap();
        let own = source(&agent, "server", &[]).await;
        let place = crate::place::Place::open(own.clone(), alpn).await;
        let caller = source(&agent, "allowed", &[]).await;
        let connector = Connector::new(caller.clone(), SERVER).unwrap();
        // An operator waits until SVIDs of the old authority have ended. Here their connections are made
        // to end soon, since nobody has the time.
        let soon = Duration::from_millis(200);
        let client = connector.clone().max_age(soon).idle_timeout(soon);
        let client: Client = client.http_client();
        let ends = [&own, &caller];
        let trusting = async |roots: usize| {
            for end in ends {
                settled(end, |now| {
                    now.bundle(&domain)
                        .is_some_and(|bundle| bundle.authorities().len() == roots)
                })
                .await;
            }
        };
        let fingerprint = |end: &Source| {
            let snapshot = end.snapshot();
            snapshot.svid().unwrap().verified().peer().fingerprint
        };
        // Both ends have taken the step before, and what was begun under it is over. A handshake may
        // have been under way at the first look.
        let renewed = async || {
            let shown = async || {
                let stream = connector.connect(&place.uri("/")).await.unwrap();
                stream.peer().fingerprint()
            };
            while shown().await != fingerprint(&own) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            place.is_renewed().await;
            place.is_renewed().await;
        };
        let steps = async {
            for _ in 0..2 {
                agent.prepare_authority(&domain).unwrap();
                trusting(2).await;
                renewed().await;
                let before = ends.map(fingerprint);
                agent.activate_authority(&domain).unwrap();
                agent.rotate_svids();
                for (end, before) in ends.into_iter().zip(before) {
                    let is_new = |now: &Snapshot| {
                        let svid = now.svid();
                        svid.is_some_and(|svid| svid.verified().peer().fingerprint != before)
                    };
                    settled(end, is_new).await;
                }
                renewed().await;
                agent.retire_authority(&domain).unwrap();
                trusting(1).await;
                renewed().await;
            }
        };
        let uri = place.uri("/");
        let done = throughout(steps, move || {
            let (client, uri) = (client.clone(), uri.clone());
            async move {
                let answer = text(client.get(uri)).await;
                answer.map(drop).map_err(|error| error.to_string())
            }
        })
        .await;
        assert!(done > WORKERS * 10, "{alpn}: {done}");
    }
}

/// A server on a listening socket that its successor takes over.
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(agent: &Agent, socket: &std::net::TcpListener) -> Self {
        let tcp = tokio::net::TcpListener::from_std(socket.try_clone().unwrap()).unwrap();
        let source = source(agent, "server", &[]).await;
        let listener = Acceptor::builder(source).listen(tcp).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let app = axum::Router::new()
            .route("/", axum::routing::get(async || "served"))
            .route_service("/test.Whoami/{*rest}", Whoami);
        let server = serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(server.into_future());
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_server_is_restarted_with_another_svid() {
    let agent = agent().start().await.unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let origin = format!("https://{}", socket.local_addr().unwrap());
    let connector = connector(&agent).await;
    let client: Client = connector.http_client();
    let channel = connector.grpc_channel(origin.as_str()).unwrap();
    let mut running = Running::start(&agent, &socket).await;
    let restarts = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            agent.rotate_svids();
            let next = Running::start(&agent, &socket).await;
            std::mem::replace(&mut running, next).stop().await;
        }
    };
    let uri: http::Uri = format!("{origin}/").parse().unwrap();
    let done = throughout(restarts, move || {
        let (client, channel, uri) = (client.clone(), channel.clone(), uri.clone());
        async move {
            let answer = text(client.get(uri)).await;
            answer.map(drop).map_err(|error| error.to_string())?;
            let said = grpc::once(channel).await;
            let said = said.map_err(|status| status.to_string())?;
            assert!(said.starts_with(ALLOWED));
            Ok(())
        }
    })
    .await;
    assert!(done > WORKERS * 10, "{done}");
}
