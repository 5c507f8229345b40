//! The agent's declaration in a file, for `spiffectl dev agent`.

mod error;
mod schema;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_saphyr::{Location, MergeKeyPolicy, Spanned};

use crate::builder::AgentBuilder;
use crate::entry::Entry;
use crate::trust_domain::TrustDomainSpec;
pub use error::InvalidConfig;
use error::Problem;
use schema::{Declaration, EntrySection, ListenerSection, TrustDomainSection};

const MAX_FILE_BYTES: u64 = 1024 * 1024;

impl AgentBuilder {
    /// Reads a declaration from a YAML file. Relative paths in it start at the file's directory.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] says in which line what is wrong, and what to write instead.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InvalidConfig> {
        let path = path.as_ref();
        let text = read(path).map_err(|why| InvalidConfig::new(path, Problem::somewhere(why)))?;
        Self::from_yaml(&text, path)
    }

    /// Reads a declaration from YAML as if it stood in a file at `path`. No file is touched.
    ///
    /// ```
    /// use spiffe_devkit::AgentBuilder;
    ///
    /// let text = "
    /// trust_domains:
    ///   - name: example.org
    /// listeners:
    ///   - name: orders
    /// entries:
    ///   - id: spiffe://example.org/service/orders
    ///     ttl: 30
    /// ";
    /// let error = AgentBuilder::from_yaml(text, "dev-agent.yaml").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "dev-agent.yaml:8:10: `30` is no duration; write a number with `s`, `m`, `h` or `d`, such as `30s`",
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] says in which line what is wrong, and what to write instead.
    pub fn from_yaml(text: &str, path: impl AsRef<Path>) -> Result<Self, InvalidConfig> {
        let path = path.as_ref();
        parse(text, path.parent().unwrap_or(Path::new("")))
            .map_err(|problem| InvalidConfig::new(path, problem))
    }
}

fn parse(text: &str, base: &Path) -> Result<AgentBuilder, Problem> {
    let options = serde_saphyr::options! {
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    let declaration: Declaration = serde_saphyr::from_str_with_options(text, options)?;
    let mut builder = AgentBuilder::default();
    if let Some(directory) = &declaration.directory {
        builder = builder.directory(base.join(directory));
    }
    for section in &declaration.trust_domains {
        builder = builder.trust_domain(trust_domain(section)?);
    }
    for section in &declaration.listeners.value {
        builder = listener(builder, section, base)?;
    }
    for section in &declaration.entries {
        builder = builder.entry(entry(&section.value)?);
    }
    builder
        .check()
        .map_err(|defect| Problem::at(declaration.location(defect.place), defect.message))?;
    Ok(builder)
}

fn trust_domain(section: &TrustDomainSection) -> Result<TrustDomainSpec, Problem> {
    let spec = TrustDomainSpec::new(&section.name.value)
        .map_err(|error| here(&section.name, error.to_string()))?;
    let spec = section
        .federates_with
        .iter()
        .fold(spec, |spec, other| spec.federates_with(&other.value));
    Ok(match &section.authority_ttl {
        Some(ttl) => spec.authority_ttl(duration(ttl)?),
        None => spec,
    })
}

fn listener(
    builder: AgentBuilder,
    section: &ListenerSection,
    base: &Path,
) -> Result<AgentBuilder, Problem> {
    let name = &section.name.value;
    match (&section.unix, &section.tcp) {
        (None, None) => Ok(builder.unix(name)),
        (Some(path), None) => Ok(builder.unix_at(name, base.join(&path.value))),
        (None, Some(address)) => {
            let parsed: SocketAddr = address.value.parse().map_err(|_| {
                let shown = address.value.escape_debug();
                here(
                    address,
                    format!(
                        "`{shown}` is no address with a port; write `127.0.0.1:0` for any free port"
                    ),
                )
            })?;
            Ok(builder.tcp_at(name, parsed))
        }
        (Some(_), Some(address)) => Err(here(
            address,
            "a listener has one address; declare another listener for the second".to_owned(),
        )),
    }
}

fn entry(section: &EntrySection) -> Result<Entry, Problem> {
    let mut entry =
        Entry::new(&section.id.value).map_err(|error| here(&section.id, error.to_string()))?;
    for listener in &section.on {
        entry = entry.on(&listener.value);
    }
    for name in &section.dns {
        entry = entry.dns(&name.value);
    }
    if let Some(uid) = section.uid {
        entry = entry.uid(uid);
    }
    if let Some(gid) = section.gid {
        entry = entry.gid(gid);
    }
    if let Some(executable) = &section.executable {
        entry = entry.executable(&executable.value);
    }
    if let Some(ttl) = &section.ttl {
        entry = entry.ttl(duration(ttl)?);
    }
    if let Some(hint) = &section.hint {
        entry = entry.hint(&hint.value);
    }
    Ok(if section.over_tcp {
        entry.over_tcp()
    } else {
        entry
    })
}

fn duration(text: &Spanned<String>) -> Result<Duration, Problem> {
    parse_duration(&text.value).ok_or_else(|| {
        let shown: String = text
            .value
            .chars()
            .take(40)
            .flat_map(char::escape_debug)
            .collect();
        let write = "write a number with `s`, `m`, `h` or `d`, such as `30s`";
        here(text, format!("`{shown}` is no duration; {write}"))
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)
        .map(Duration::from_secs)
}

fn here<T>(value: &Spanned<T>, message: String) -> Problem {
    Problem::at(location(value), message)
}

fn location<T>(value: &Spanned<T>) -> Location {
    value.referenced
}

/// Reads a regular file up to a size that no declaration needs.
fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    Ok(text)
}
