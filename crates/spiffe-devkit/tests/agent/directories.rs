use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use spiffe_devkit::Agent;

use crate::client::Client;
use crate::{ORDERS, entry, example_org};

/// A directory of a test, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("devkit-test-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

async fn at(path: &Path) -> Result<Agent, spiffe_devkit::StartError> {
    example_org()
        .entry(entry(ORDERS))
        .unix_at("orders", path)
        .start()
        .await
}

#[tokio::test]
async fn the_directory_of_the_sockets_is_closed_to_others() {
    let agent = example_org()
        .unix("orders")
        .control()
        .start()
        .await
        .unwrap();
    assert_eq!(mode(agent.directory()), 0o700);
    assert_eq!(mode(agent.control_socket().unwrap()), 0o600);

    let scratch = Scratch::new("private");
    let inner = scratch.0.join("a/b");
    let agent = example_org()
        .directory(&inner)
        .unix("orders")
        .start()
        .await
        .unwrap();
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(
        agent.endpoint("orders").unwrap(),
        format!("unix://{}/orders.sock", inner.display())
    );
    drop(agent);
    assert!(
        inner.exists() && !inner.join("orders.sock").exists(),
        "only what it made temporarily goes"
    );
}

#[tokio::test]
async fn a_directory_that_is_open_to_others_is_refused() {
    let scratch = Scratch::new("open");
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o755)).unwrap();
    for started in [
        at(&scratch.0.join("a.sock")).await,
        example_org().directory(&scratch.0).unix("a").start().await,
    ] {
        let error = started.unwrap_err().to_string();
        assert!(
            error.contains("mode 0755") && error.contains("spiffe-agent"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_left_alone() {
    let scratch = Scratch::new("stale");
    let path = scratch.0.join("a.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a dead agent leaves its socket");
    let agent = at(&path).await.unwrap();
    let client = Client::connect(agent.endpoint("orders").unwrap()).await;
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);

    assert!(at(&path).await.unwrap_err().is_in_use());
    assert_eq!(client.ids().await.unwrap(), [ORDERS]);
    let again = Client::connect(agent.endpoint("orders").unwrap()).await;
    assert_eq!(
        again.ids().await.unwrap(),
        [ORDERS],
        "the socket is still that of the first"
    );

    let file = scratch.0.join("file");
    fs::write(&file, "mine").unwrap();
    let error = at(&file).await.unwrap_err().to_string();
    assert!(error.ends_with("exists and is no socket"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_told_with_the_limit() {
    let scratch = Scratch::new("long");
    let path = scratch.0.join("a".repeat(108));
    let error = at(&path).await.unwrap_err().to_string();
    assert!(error.contains("a Unix socket allows 107"), "{error}");
}
