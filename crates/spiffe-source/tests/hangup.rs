//! SIGHUP as a trigger. It stands alone, since a signal reaches the whole process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs::{OpenOptions, rename};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use spiffe_devkit::{Authority, IssueSpec};
use spiffe_source::Source;
use tokio::time::timeout;

fn put<D: AsRef<[u8]>>(path: &Path, label: &str, documents: impl IntoIterator<Item = D>) {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .unwrap();
    for der in documents {
        let body = Base64::encode_string(der.as_ref());
        writeln!(
            file,
            "-----BEGIN {label}-----\n{body}\n-----END {label}-----"
        )
        .unwrap();
    }
    rename(aside, path).unwrap();
}

fn write(directory: &Path, authority: &Authority) -> String {
    let spec = IssueSpec::new("spiffe://example.org/service/orders").unwrap();
    let svid = authority.issue(&spec).unwrap();
    put(&directory.join("svid.pem"), "CERTIFICATE", svid.chain());
    let key = [svid.key_der()];
    put(&directory.join("svid_key.pem"), "PRIVATE KEY", key);
    let roots = authority.roots();
    put(&directory.join("bundle.pem"), "CERTIFICATE", roots);
    svid.serial()
}

fn hang_up() {
    let own = std::process::id().to_string();
    let sent = Command::new("kill").args(["-HUP", &own]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_hangup_makes_the_files_be_read_and_does_not_end_the_process() {
    let authority = Authority::new("example.org").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let first = write(path, &authority);
    let mut source = Source::files(path)
        .poll_every(Duration::from_secs(3600))
        .reload_on_hangup()
        .connect()
        .await
        .unwrap();
    let serial = |source: &Source| {
        let snapshot = source.snapshot();
        snapshot.svid().unwrap().verified().serial().to_owned()
    };
    assert_eq!(serial(&source), first);
    source.changed().await.unwrap();

    for turn in 0..3 {
        let next = write(path, &authority);
        if turn == 0 {
            let unasked = timeout(Duration::from_millis(700), source.changed()).await;
            assert!(unasked.is_err(), "control: it is the signal that does it");
        }
        hang_up();
        let asked = timeout(Duration::from_secs(20), source.changed()).await;
        asked.unwrap().unwrap();
        assert_eq!(serial(&source), next);
    }

    source.close();
    hang_up();
    assert!(source.changed().await.is_err());
}
