//! The feed that takes its material from files, which another program keeps fresh.

mod content;
mod follow;
mod part;
pub(crate) mod pem;
mod set;

use std::collections::BTreeSet;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spiffe_peer::{TrustDomain, parse};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use self::follow::{Follower, Next};
use self::set::Layout;
use crate::builder::Builder;
use crate::error::{ConnectError, Failure};
use crate::feed::{Feed, Sink};

const EVERY: Duration = Duration::from_millis(250);
const MIN_EVERY: Duration = Duration::from_millis(10);

/// How long the same contents have to be there before they are taken for a part.
const SETTLE: Duration = Duration::from_millis(100);

/// The feed that reads files; see [`Source::files`](crate::Source::files).
///
/// Three files hold the own part in PEM: the certificate chain, leaf first; its key, unencrypted
/// PKCS#8; the bundle of the own trust domain, which is that of the SVID's ID. Each may be a link.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_source::ConnectError> {
/// use spiffe_source::Source;
///
/// // SPIFFE Helper: svid.pem, svid_key.pem, bundle.pem
/// let source = Source::files("/run/spiffe")
///     .foreign_bundle("partner.example", "partner.pem")
///     .connect()
///     .await?;
///
/// // cert-manager's csi-driver-spiffe: tls.crt, tls.key, ca.crt
/// let source = Source::files("/var/run/secrets/spiffe.io").csi_driver().connect().await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
///
/// # What is noticed, and when
///
/// The files are looked at four times a second, and known by what they hold: neither the time of a
/// change, nor the file that a link points at, matters. So it makes no difference whether a file is
/// written in place, renamed over the old one, or exchanged with all others by a Kubernetes volume.
/// What is new is in force within a second.
///
/// The own three files are one part, and each file of another trust domain or of JWT keys is one.
/// A part counts once it was seen twice, a tenth of a second apart, whatever the others do. One that
/// is torn, half-written or otherwise unusable, or that has lost an authority, is looked at again for
/// two seconds as if it were not there. After that it applies, as any update does: a bundle file of a
/// foreign trust domain that is absent, empty or malformed distrusts that domain; an unusable own
/// part leaves the own SVID before in force until its end;
/// [`Status::last_error`](crate::Status::last_error) says why. A part that never stays the same, for
/// ten seconds and ten changes, is an unusable one. Where no file can be read at all nothing changes
/// but the status.
///
/// A foreign file that cannot be read, whether for its permissions or because its disk or file server
/// fails, distrusts its domain just as one that is absent: whether its authorities are still trusted
/// cannot be known, and trust that may be gone is not kept alive. Keep bundles on a disk that does
/// not fail, or with the own files on the same one, so that they can be read or not together.
///
/// # How they should be written
///
/// Write each file aside and rename it over the old one, or exchange all at once as a Kubernetes
/// volume does. A writer in place is bridged for two seconds and no longer: nothing tells PEM that
/// ends between two certificates from a smaller bundle. So one of which the rest follows after more
/// than two seconds is in force without that rest until then.
///
/// # What the files must not be
///
/// A file speaks for one trust domain. SPIFFE Helper's `include_federated_domains` puts the
/// authorities of others into the own bundle, where they could vouch for IDs of the own trust
/// domain: it must be off. So must `add_intermediates_to_bundle`, which takes the intermediates out
/// of the chain. csi-driver-spiffe writes no `ca.crt` unless it is given the authorities.
///
/// A file is a regular file of limited size: 1 MiB for the chain, 64 KiB for the key, 16 MiB for a
/// bundle, 1 MiB for a JWK Set.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    chain: PathBuf,
    key: PathBuf,
    bundle: PathBuf,
    foreign: Vec<(String, PathBuf)>,
    jwt: Vec<(String, PathBuf)>,
    permissions: FilePermissions,
    every: Duration,
    is_hangup_trigger: bool,
    hangup: Option<Signal>,
    layout: Option<Arc<Layout>>,
}

/// What to do about a private key that every user of the system can read or write, and about any
/// other file that every user can write: whoever adds an authority to a bundle hands out identities.
///
/// Only the files are looked at. Whoever can write in their directory can put others in their place.
///
/// ```no_run
/// # async fn example() -> Result<(), spiffe_source::ConnectError> {
/// use spiffe_source::{FilePermissions, Source};
///
/// // The volume is mounted into this one container, where there is no other user.
/// let source = Source::files("/run/spiffe").permissions(FilePermissions::Warn).connect().await?;
/// # drop(source);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FilePermissions {
    /// The file is not used. SPIFFE Helper writes keys with mode 0600 and csi-driver-spiffe with
    /// 0440; a Kubernetes Secret is mounted with 0644 unless its `defaultMode` says otherwise.
    #[default]
    Refuse,
    /// The file is used, and a warning is logged.
    Warn,
    /// The file is used.
    Ignore,
}

impl Files {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            chain: "svid.pem".into(),
            key: "svid_key.pem".into(),
            bundle: "bundle.pem".into(),
            foreign: Vec::new(),
            jwt: Vec::new(),
            permissions: FilePermissions::default(),
            every: EVERY,
            is_hangup_trigger: false,
            hangup: None,
            layout: None,
        }
    }

    fn layout(&self) -> Result<Layout, ConnectError> {
        // The working directory may change later on.
        let directory = std::path::absolute(&self.directory).map_err(|error| {
            let directory = self.directory.display();
            ConnectError::configuration(format!("`{directory}` names no directory: {error}"))
        })?;
        Ok(Layout {
            chain: directory.join(&self.chain),
            key: directory.join(&self.key),
            bundle: directory.join(&self.bundle),
            foreign: by_domain(&directory, &self.foreign)?,
            jwt: by_domain(&directory, &self.jwt)?,
            permissions: self.permissions,
        })
    }
}

impl Builder<Files> {
    /// The file names of cert-manager's csi-driver-spiffe: `tls.crt`, `tls.key`, `ca.crt`.
    pub fn csi_driver(self) -> Self {
        self.names("tls.crt", "tls.key", "ca.crt")
    }

    /// Own file names: of the certificate chain, its key, and the bundle of the own trust domain.
    /// A relative name is one inside the directory.
    pub fn names(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        bundle: impl Into<PathBuf>,
    ) -> Self {
        self.feed.chain = chain.into();
        self.feed.key = key.into();
        self.feed.bundle = bundle.into();
        self
    }

    /// The file with the bundle of a further trust domain, in PEM. To name it is to trust the domain:
    /// [`trust`](Builder::trust) is implied.
    pub fn foreign_bundle(
        mut self,
        trust_domain: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Self {
        let trust_domain = trust_domain.into();
        self.feed.foreign.push((trust_domain.clone(), file.into()));
        self.trust(trust_domain)
    }

    /// The file with the JWT bundle of a trust domain, a JWK Set. It counts where the domain is the
    /// own or trusted. What SPIFFE Helper's `jwt_bundle_file_name` names is no JWK Set.
    pub fn jwt_bundle(mut self, trust_domain: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.feed.jwt.push((trust_domain.into(), file.into()));
        self
    }

    /// What to do about a key that everybody can read or write, and about another file that everybody
    /// can write; by default they are refused.
    pub fn permissions(mut self, permissions: FilePermissions) -> Self {
        self.feed.permissions = permissions;
        self
    }

    /// How often the files are looked at: every 250 ms by default, and at most every 10 ms. With
    /// more than half a second a new set may be in force only after more than a second.
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.feed.every = every.max(MIN_EVERY);
        self
    }

    /// Looks at the files also when the process gets the signal SIGHUP, as SPIFFE Helper can send it
    /// (`renew_signal`).
    ///
    /// From [`connect`](Builder::connect) on SIGHUP does not end the process any more, and that stays
    /// so when the source has ended.
    pub fn reload_on_hangup(mut self) -> Self {
        self.feed.is_hangup_trigger = true;
        self
    }
}

impl Feed for Files {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        self.layout = Some(Arc::new(self.layout()?));
        if self.is_hangup_trigger {
            let hangup = signal(SignalKind::hangup()).map_err(|error| {
                ConnectError::configuration(format!("SIGHUP cannot be listened for: {error}"))
            })?;
            self.hangup = Some(hangup);
        }
        Ok(self.directory.display().to_string())
    }

    async fn run(&mut self, sink: Sink) {
        let Some(layout) = self.layout.clone() else {
            return;
        };
        let mut follower = Follower::new(layout);
        loop {
            match follower.round(&sink).await {
                Next::Soon => sleep(SETTLE).await,
                Next::Later => {
                    tokio::select! {
                        () = sleep(self.every) => {}
                        () = next(&mut self.hangup) => {}
                    }
                }
            }
        }
    }
}

/// The files by the trust domain that each speaks for, of which there is one each.
fn by_domain(
    directory: &Path,
    named: &[(String, PathBuf)],
) -> Result<Vec<(TrustDomain, PathBuf)>, ConnectError> {
    let mut known = BTreeSet::new();
    let mut files = Vec::with_capacity(named.len());
    for (name, file) in named {
        let domain = parse::trust_domain(name).map_err(Failure::InvalidId)?;
        if !known.insert(domain.clone()) {
            return Err(ConnectError::configuration(format!(
                "{domain} has two bundle files of one kind"
            )));
        }
        files.push((domain, directory.join(file)));
    }
    Ok(files)
}

async fn next(hangup: &mut Option<Signal>) {
    let received = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if received.is_none() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
