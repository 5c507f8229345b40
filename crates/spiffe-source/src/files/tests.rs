use std::ffi::OsStr;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::time::Instant;

use base64ct::{Base64, Encoding as _};
use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{Source, State};

mod changes;
mod steps;
mod told;

const ID: &str = "spiffe://example.org/service/orders";
const HELPER: [&str; 3] = ["svid.pem", "svid_key.pem", "bundle.pem"];

/// More than any wait of a test that succeeds.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

fn authority(name: &str) -> Authority {
    Authority::new(name).unwrap()
}

fn issue(authority: &Authority) -> IssuedSvid {
    authority.issue(&IssueSpec::new(ID).unwrap()).unwrap()
}

fn pem<D: AsRef<[u8]>>(label: &str, documents: impl IntoIterator<Item = D>) -> Vec<u8> {
    let mut text = String::new();
    for der in documents {
        let body = Base64::encode_string(der.as_ref());
        let lines: Vec<_> = body
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let body = lines.join("\n");
        text += &format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    }
    text.into_bytes()
}

fn bundle(authority: &Authority) -> Vec<u8> {
    pem("CERTIFICATE", authority.roots())
}

/// The contents of the chain's, the key's and the bundle's file.
fn own(svid: &IssuedSvid, authority: &Authority) -> [Vec<u8>; 3] {
    [
        pem("CERTIFICATE", svid.chain()),
        pem("PRIVATE KEY", [svid.key_der()]),
        bundle(authority),
    ]
}

/// A directory that a test writes, whose files only their owner may read.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(names: [&str; 3], svid: &IssuedSvid, authority: &Authority) -> Self {
        let directory = Self::new();
        directory.put_own(names, svid, authority);
        directory
    }

    fn path(&self, name: impl AsRef<OsStr>) -> std::path::PathBuf {
        self.0.path().join(name.as_ref())
    }

    fn put(&self, name: &str, contents: &[u8]) {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path(name))
            .and_then(|mut file| file.write_all(contents))
            .unwrap();
    }

    fn put_own(&self, names: [&str; 3], svid: &IssuedSvid, authority: &Authority) {
        for (name, contents) in names.iter().zip(own(svid, authority)) {
            self.put(name, &contents);
        }
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// A set in a directory of its own, and the links of a Kubernetes volume set to it at once.
    fn swap_in(&self, version: &str, svid: &IssuedSvid, authority: &Authority) {
        fs::create_dir(self.path(version)).unwrap();
        for (name, contents) in HELPER.iter().zip(own(svid, authority)) {
            self.put(&format!("{version}/{name}"), &contents);
        }
        symlink(version, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }
}

fn serial(source: &Source) -> Option<String> {
    let snapshot = source.snapshot();
    Some(snapshot.svid()?.verified().serial().to_owned())
}

/// Waits for the snapshot with this SVID; every other in between is the one before.
async fn becomes(source: &mut Source, before: &IssuedSvid, after: &IssuedSvid) {
    let wanted = Some(after.serial());
    let arrived = async {
        while serial(source) != wanted {
            assert_eq!(serial(source), Some(before.serial()));
            source.changed().await.unwrap();
        }
    };
    timeout(LONG, arrived).await.unwrap();
}

#[tokio::test]
async fn the_files_of_each_preset_and_of_own_names_are_read() {
    let authority = authority("example.org");
    let svid = issue(&authority);
    let csi = ["tls.crt", "tls.key", "ca.crt"];
    let other = ["a", "b", "c"];
    let elsewhere = Directory::with(other, &svid, &authority);
    type Names<'n> =
        Box<dyn FnOnce(crate::Builder<super::Files>) -> crate::Builder<super::Files> + 'n>;
    let cases: [(_, Names<'_>); 4] = [
        (HELPER, Box::new(|builder| builder)),
        (csi, Box::new(|builder| builder.csi_driver())),
        (other, Box::new(|builder| builder.names("a", "b", "c"))),
        (
            ["unused"; 3],
            Box::new(|builder| {
                builder.names(
                    elsewhere.path("a"),
                    elsewhere.path("b"),
                    elsewhere.path("c"),
                )
            }),
        ),
    ];
    for (names, choose) in cases {
        let directory = Directory::with(names, &svid, &authority);
        let source = choose(Source::files(directory.0.path()));
        let source = source.connect().await.unwrap();
        let status = source.status();
        assert!(status.is_ready(), "{status}");
        assert_eq!(status.origin(), directory.0.path().to_str().unwrap());
        assert_eq!(serial(&source), Some(svid.serial()));
        let snapshot = source.snapshot();
        assert_eq!(snapshot.svid().unwrap().spiffe_id(), svid.spiffe_id());
        assert!(snapshot.bundle(authority.trust_domain()).is_some());
    }
}

#[tokio::test]
async fn a_new_set_is_in_force_within_a_second_without_any_signal() {
    let authority = authority("example.org");
    let mut before = issue(&authority);
    let directory = Directory::with(HELPER, &before, &authority);
    let mut source = Source::files(directory.0.path()).connect().await.unwrap();
    let mut quickest = LONG;
    for _ in 0..5 {
        let after = issue(&authority);
        directory.put_own(HELPER, &after, &authority);
        let written = Instant::now();
        becomes(&mut source, &before, &after).await;
        quickest = quickest.min(written.elapsed());
        before = after;
    }
    // A machine that is busy may be slow now and then.
    assert!(quickest.as_millis() < 1000, "{quickest:?}");
    assert_eq!(source.status().state(), State::Ready);
    assert_eq!(source.status().last_error(), None);
}

#[tokio::test]
async fn threats_89_the_links_of_a_kubernetes_volume_are_followed() {
    let authority = authority("example.org");
    let mut before = issue(&authority);
    let directory = Directory::new();
    directory.swap_in("..2026_01", &before, &authority);
    for name in HELPER {
        symlink(format!("..data/{name}"), directory.path(name)).unwrap();
    }
    let mut source = Source::files(directory.0.path()).connect().await.unwrap();
    let mut changes = source.changes();
    for (old, new) in [("..2026_01", "..2026_02"), ("..2026_02", "..2026_03")] {
        let after = issue(&authority);
        directory.swap_in(new, &after, &authority);
        fs::remove_dir_all(directory.path(old)).unwrap();
        becomes(&mut source, &before, &after).await;
        assert!(changes.next().await.unwrap().is_rotation());
        before = after;
    }
    assert_eq!(source.status().last_error(), None);
}

#[tokio::test]
async fn threats_90_a_storm_of_renames_ends_at_the_last_set() {
    let authority = authority("example.org");
    let (first, second, last) = (issue(&authority), issue(&authority), issue(&authority));
    let directory = Directory::new();
    directory.swap_in("one", &first, &authority);
    for name in HELPER {
        symlink(format!("..data/{name}"), directory.path(name)).unwrap();
    }
    let mut source = Source::files(directory.0.path()).connect().await.unwrap();
    directory.swap_in("two", &second, &authority);
    let path = directory.0.path().to_owned();
    let storm = tokio::task::spawn_blocking(move || {
        for turn in 0..1000 {
            let version = if turn % 2 == 0 { "one" } else { "two" };
            symlink(version, path.join("..storm")).unwrap();
            fs::rename(path.join("..storm"), path.join("..data")).unwrap();
        }
    });
    storm.await.unwrap();
    directory.swap_in("last", &last, &authority);
    let wanted = Some(last.serial());
    let arrived = async {
        while serial(&source) != wanted {
            let shown = serial(&source);
            assert!(shown == Some(first.serial()) || shown == Some(second.serial()));
            source.changed().await.unwrap();
        }
    };
    timeout(LONG, arrived).await.unwrap();
    let status = source.status();
    assert_eq!(status.state(), State::Ready, "{status}");
    assert!(
        status.revision() < 50,
        "they are coalesced: {}",
        status.revision()
    );
}

#[tokio::test]
async fn what_is_absent_at_the_start_is_waited_for_and_named() {
    let authority = authority("example.org");
    let svid = issue(&authority);
    let directory = Directory::new();
    let absent = directory.path("not-there-yet");
    let connect = |deadline| {
        Source::files(&absent)
            .first_update_within(deadline)
            .connect()
    };
    let short = std::time::Duration::from_secs(2);
    let error = connect(short).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let named = absent.join("svid.pem").display().to_string();
    assert!(error.to_string().contains(&named), "{error}");

    let written = async {
        fs::create_dir(&absent).unwrap();
        for (name, contents) in HELPER.iter().zip(own(&svid, &authority)) {
            directory.put(&format!("not-there-yet/{name}"), &contents);
        }
    };
    let (source, ()) = tokio::join!(connect(LONG), written);
    assert_eq!(serial(&source.unwrap()), Some(svid.serial()));

    directory.remove("not-there-yet/svid_key.pem");
    let error = connect(short).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("svid_key.pem"), "{error}");

    directory.put("not-there-yet/svid_key.pem", b"torn");
    let error = connect(short).await.unwrap_err();
    assert!(error.is_bad_answer(), "{error}");
    assert!(error.to_string().contains("svid_key.pem"), "{error}");
}

#[tokio::test]
async fn a_foreign_domain_is_trusted_by_its_bundle_file_for_as_long_as_that_is_there() {
    let (authority, partner) = (authority("example.org"), authority("partner.test"));
    let directory = Directory::with(HELPER, &issue(&authority), &authority);
    directory.put("partner.pem", &bundle(&partner));
    directory.put("partner.json", &partner.jwt_bundle());
    let builder = Source::files(directory.0.path())
        .foreign_bundle("partner.test", "partner.pem")
        .jwt_bundle("partner.test", directory.path("partner.json"));
    let mut source = builder.connect().await.unwrap();
    let snapshot = source.changed().await.unwrap();
    assert!(snapshot.bundle(partner.trust_domain()).is_some());
    assert!(snapshot.jwt_bundle(partner.trust_domain()).is_some());

    directory.remove("partner.pem");
    let distrusted = async {
        let is_trusted =
            |source: &Source| source.snapshot().bundle(partner.trust_domain()).is_some();
        while is_trusted(&source) {
            source.changed().await.unwrap();
        }
    };
    timeout(LONG, distrusted).await.unwrap();
    assert_eq!(source.status().state(), State::Ready);
    let said = source.status().last_error().unwrap_or_default().to_owned();
    assert!(said.contains("partner.pem"), "{said}");
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused_at_once() {
    let twice = Source::files("/nowhere")
        .foreign_bundle("partner.test", "a.pem")
        .foreign_bundle("partner.test", "b.pem");
    let no_domain = Source::files("/nowhere").jwt_bundle("Partner.test", "a.json");
    for builder in [twice, no_domain, Source::files("")] {
        let error = builder.connect().await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_everybody_can_read_is_refused_or_used_by_setting() {
    use super::FilePermissions::{Ignore, Refuse, Warn};
    let authority = authority("example.org");
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    let set_mode = |mode| {
        let key = directory.path("svid_key.pem");
        fs::set_permissions(key, Permissions::from_mode(mode)).unwrap();
    };
    let connect = |permissions| {
        Source::files(directory.0.path())
            .permissions(permissions)
            .first_update_within(std::time::Duration::from_secs(2))
            .connect()
    };
    for mode in [0o644, 0o604, 0o602] {
        set_mode(mode);
        let error = connect(Refuse).await.unwrap_err().to_string();
        assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
        assert!(error.contains("`permissions`"), "{error}");
        for permissions in [Warn, Ignore] {
            assert!(connect(permissions).await.unwrap().status().is_ready());
        }
    }
    for mode in [0o600, 0o400, 0o440, 0o640, 0o660] {
        set_mode(mode);
        assert!(connect(Refuse).await.is_ok(), "{mode:o}");
    }
}

#[tokio::test]
async fn a_file_that_everybody_can_write_is_refused_or_used_by_setting() {
    use super::FilePermissions::{Ignore, Refuse, Warn};
    let (authority, partner) = (authority("example.org"), authority("partner.test"));
    let svid = issue(&authority);
    let directory = Directory::with(HELPER, &svid, &authority);
    directory.put("partner.pem", &bundle(&partner));
    directory.put("partner.json", &partner.jwt_bundle());
    let connect = |permissions| {
        Source::files(directory.0.path())
            .foreign_bundle("partner.test", "partner.pem")
            .jwt_bundle("partner.test", "partner.json")
            .permissions(permissions)
            .first_update_within(std::time::Duration::from_secs(2))
            .connect()
    };
    let shown = |source: Source| {
        let (snapshot, domain) = (source.snapshot(), partner.trust_domain());
        [
            snapshot.svid().is_some(),
            snapshot.bundle(domain).is_some(),
            snapshot.jwt_bundle(domain).is_some(),
        ]
    };
    for (name, without) in [
        ("svid.pem", None),
        ("bundle.pem", None),
        ("partner.pem", Some([true, false, true])),
        ("partner.json", Some([true, true, false])),
    ] {
        let set_mode = |mode| {
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(directory.path(name), mode).unwrap();
        };
        for mode in [0o666, 0o602] {
            set_mode(mode);
            for permissions in [Warn, Ignore] {
                let source = connect(permissions).await.unwrap();
                assert_eq!(shown(source), [true; 3], "{name} {mode:o}");
            }
            let said = match (connect(Refuse).await, without) {
                (Ok(source), Some(without)) => {
                    let said = source.status().last_error().unwrap_or_default().to_owned();
                    assert_eq!(shown(source), without, "{name} {mode:o}");
                    said
                }
                (Err(error), None) => error.to_string(),
                (answer, _) => panic!("{name} {mode:o}: {answer:?}"),
            };
            assert!(said.contains(&format!("{name} can be written")), "{said}");
            assert!(said.contains("`permissions`"), "{said}");
        }
        set_mode(0o644);
        assert_eq!(shown(connect(Refuse).await.unwrap()), [true; 3], "{name}");
    }
}
