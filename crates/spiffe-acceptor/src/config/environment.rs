use std::ffi::OsString;

use super::Config;
use super::error::ConfigError;
use super::file;
use super::key::{Given, Key, Origin};

/// The variables by which a platform tells where its agent is, in the order in which they count.
const PLATFORM_SOCKET: [&str; 2] = ["SPIFFE_ENDPOINT_SOCKET", "SPIRE_AGENT_SOCKET"];

pub(super) fn lay_over(
    mut config: Config,
    read: impl Fn(&str) -> Option<OsString>,
) -> Result<Config, ConfigError> {
    for key in Key::ALL {
        let Some(name) = key.variable() else { continue };
        let Some(value) = read(name) else { continue };
        let origin = Origin::Variable(name);
        let text = text(value).map_err(|why| ConfigError::new(key, Some(origin.clone()), why))?;
        if key.is_list() {
            let texts: Vec<_> = text
                .split(',')
                .map(|part| (part.trim().to_owned(), origin.clone()))
                .collect();
            if texts.iter().any(|(text, _)| text.is_empty()) {
                let why = format!(
                    "`{}` has a comma too many; leave it out",
                    super::value::shown(&text)
                );
                return Err(ConfigError::new(key, Some(origin), why));
            }
            config.put_list(key, &texts, origin)?;
        } else {
            config.put(key, &text, origin)?;
        }
    }
    for name in PLATFORM_SOCKET {
        if let Some(value) = read(name).filter(|value| !value.is_empty()) {
            config.platform_socket = Some(Given {
                value: value.to_string_lossy().into_owned(),
                origin: Origin::Variable(name),
            });
            break;
        }
    }
    Ok(config)
}

fn text(value: OsString) -> Result<String, &'static str> {
    let text = value.into_string().map_err(|_| "it is no text in UTF-8")?;
    if text.trim().is_empty() {
        return Err(
            "it is set to nothing, which does not mean the default; unset it, or write a value",
        );
    }
    if file::is_too_long(&text) {
        return Err(file::TOO_LONG);
    }
    Ok(text)
}
