//! What is left of a source when what keeps it ends: nothing that would be taken for true.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use integration::place::until;
use integration::{agent, source};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_source::{ConnectError, Feed, Material, Sink, Source, State, SvidMaterial};

fn material() -> Material {
    let authority = Authority::new("example.org").unwrap();
    let spec = IssueSpec::new("spiffe://example.org/service/orders").unwrap();
    let svid = authority.issue(&spec).unwrap();
    let svid = SvidMaterial::from_der(svid.chain_der(), svid.key_der(), authority.bundle_der());
    Material::new(svid)
}

#[test]
fn a_source_whose_runtime_is_gone_is_closed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = runtime.block_on(async { Source::fixed(material()).connect().await.unwrap() });
    assert!(source.status().is_ready(), "control");
    drop(runtime);
    let status = source.status();
    assert_eq!(status.state(), State::Closed, "{status}");
    assert!(!status.is_ready() && source.snapshot().svid().is_none());
    let mut source = source;
    let other = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert!(other.block_on(source.changed()).is_err());
}

/// Panics before it has a future, and brings its material the second time.
struct Clumsy {
    runs: Arc<AtomicUsize>,
    material: Material,
}

impl Feed for Clumsy {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("a clumsy feed".to_owned())
    }

    fn run(&mut self, sink: Sink) -> impl Future<Output = ()> + Send {
        assert!(
            self.runs.fetch_add(1, Ordering::SeqCst) > 0,
            "a feed's own fault"
        );
        let material = self.material.clone();
        async move {
            sink.update(&material);
            pending::<()>().await;
        }
    }
}

#[tokio::test]
async fn a_feed_that_panics_is_started_again() {
    let runs = Arc::new(AtomicUsize::new(0));
    let feed = Clumsy {
        runs: runs.clone(),
        material: material(),
    };
    let source = Source::from_feed(feed).connect().await.unwrap();
    assert!(source.status().is_ready());
    assert_eq!(
        (runs.load(Ordering::SeqCst), source.status().reconnects()),
        (2, 1)
    );
}

#[tokio::test]
async fn dropping_the_last_clone_ends_everything() {
    let agent = agent().start().await.unwrap();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let source = source(&agent, "server", &[]).await;
    let (mut changes, clone) = (source.changes(), source.clone());
    drop(source);
    assert!(clone.status().is_ready());
    drop(clone);
    while changes.next().await.is_ok() {}
    let ended = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("no task is left");
}

#[tokio::test]
async fn fixed_material_that_cannot_be_used_is_refused_at_once() {
    let one = material();
    until(&Source::fixed(one).connect().await.unwrap(), |status| {
        status.state() == State::Ready
    })
    .await;
    let unusable = Material::new(SvidMaterial::from_der(vec![0], vec![0], vec![0]));
    let refused = Source::fixed(unusable).connect();
    let refused = tokio::time::timeout(Duration::from_secs(5), refused).await;
    let error = refused.expect("no deadline is waited for").unwrap_err();
    assert!(error.is_bad_answer(), "{error}");
}
