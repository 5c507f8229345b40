//! A directory whose files change at once, laid out as Kubernetes lays out volumes: the files are
//! links into `..data`, and `..data` is a link that is renamed over the old one.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use der::pem::{LineEnding, encode_string};
use spiffe_source::Svid;
use spiffe_verify::X509Bundle;

const SVID: &str = "svid.pem";
const KEY: &str = "svid_key.pem";
const BUNDLE: &str = "bundle.pem";
const DATA: &str = "..data";
const DATA_NEXT: &str = "..data_tmp";

pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(at(&path))?;
        Ok(Self(path))
    }

    /// Writes the SVID, and the bundles of its own and of further trust domains.
    pub(super) fn write<'b>(
        &self,
        svid: &Svid,
        bundles: impl IntoIterator<Item = &'b X509Bundle>,
    ) -> io::Result<()> {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let version = format!("..{}_{:09}", since.as_secs(), since.subsec_nanos());
        let data = self.0.join(&version);
        DirBuilder::new()
            .mode(0o755)
            .create(&data)
            .map_err(at(&data))?;
        put(&data.join(SVID), 0o644, pem("CERTIFICATE", svid.chain())?)?;
        put(
            &data.join(KEY),
            0o600,
            pem("PRIVATE KEY", [svid.expose_key()])?,
        )?;
        let mut names = vec![SVID.to_owned(), KEY.to_owned()];
        for bundle in bundles {
            let domain = bundle.trust_domain();
            let name = match domain == svid.spiffe_id().trust_domain() {
                true => BUNDLE.to_owned(),
                false => format!("{domain}.pem"),
            };
            let text = pem("CERTIFICATE", bundle.authorities())?;
            put(&data.join(&name), 0o644, text)?;
            names.push(name);
        }

        let previous = fs::read_link(self.0.join(DATA)).ok();
        replace_link(&self.0, DATA_NEXT, DATA, version.as_ref())?;
        for name in &names {
            let target = Path::new(DATA).join(name);
            if fs::read_link(self.0.join(name)).ok().as_deref() != Some(&target) {
                replace_link(&self.0, &format!("{name}.tmp"), name, target.as_os_str())?;
            }
        }
        // Only what this layout made: a name of ours, inside this directory.
        if let Some(previous) = previous.filter(|previous| is_version(previous)) {
            let _ = fs::remove_dir_all(self.0.join(previous));
        }
        Ok(())
    }
}

fn is_version(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name.strip_prefix(b"..").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'_')
    })
}

/// Makes `name` a link to `target`, whatever was there, without a moment in which there is none.
fn replace_link(directory: &Path, temporary: &str, name: &str, target: &OsStr) -> io::Result<()> {
    let temporary = directory.join(temporary);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&temporary)(error)),
        _ => {}
    }
    symlink(target, &temporary).map_err(at(&temporary))?;
    fs::rename(&temporary, directory.join(name)).map_err(at(&directory.join(name)))
}

fn put(path: &Path, mode: u32, text: String) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(at(path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(at(path))
}

fn pem<'d>(label: &str, documents: impl IntoIterator<Item = &'d [u8]>) -> io::Result<String> {
    documents
        .into_iter()
        .map(|der| {
            encode_string(label, LineEnding::LF, der)
                .map_err(|error| io::Error::other(error.to_string()))
        })
        .collect()
}

fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}
