use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use spiffe_peer::parse;
use spiffe_peer::{SpiffeId, TrustDomain};

use crate::fault::{Code, Fault};

/// What a running agent can be told, in words: the language of its control socket and of
/// `spiffectl dev ctl`.
///
/// ```
/// use spiffe_devkit::Command;
///
/// let command: Command = "withdraw spiffe://example.org/service/orders".parse()?;
/// assert_eq!(command.to_string(), "withdraw spiffe://example.org/service/orders");
///
/// let error = "withdraw".parse::<Command>().unwrap_err();
/// assert_eq!(error.to_string(), "an ID is missing; write `withdraw ID`");
/// # Ok::<(), spiffe_devkit::InvalidCommand>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Tells what there is.
    Status,
    /// See [`Agent::rotate_svids`](crate::Agent::rotate_svids).
    RotateSvids,
    /// See [`Agent::rotate_authority`](crate::Agent::rotate_authority).
    RotateAuthority(TrustDomain),
    /// See [`Agent::prepare_authority`](crate::Agent::prepare_authority).
    PrepareAuthority(TrustDomain),
    /// See [`Agent::activate_authority`](crate::Agent::activate_authority).
    ActivateAuthority(TrustDomain),
    /// See [`Agent::retire_authority`](crate::Agent::retire_authority).
    RetireAuthority(TrustDomain),
    /// See [`Agent::withdraw`](crate::Agent::withdraw).
    Withdraw(SpiffeId),
    /// See [`Agent::restore`](crate::Agent::restore).
    Restore(SpiffeId),
    /// Gives all workloads the X.509 bundle of a foreign trust domain, from a PEM or DER file.
    AddBundle(TrustDomain, PathBuf),
    /// Takes the bundles of a trust domain from all workloads of others.
    RemoveBundle(TrustDomain),
    /// Gives the workloads of the first the bundles of the second, as [`Agent::federate`](crate::Agent::federate) does.
    Federate(TrustDomain, TrustDomain),
    /// See [`Agent::fault`](crate::Agent::fault).
    Fault(String, Fault),
    /// See [`Agent::heal`](crate::Agent::heal).
    Heal(String),
}

/// The forms of all commands, for a person who does not know them.
const FORMS: &[&str] = &[
    "status",
    "rotate svids",
    "rotate authority TRUST_DOMAIN",
    "prepare authority TRUST_DOMAIN",
    "activate authority TRUST_DOMAIN",
    "retire authority TRUST_DOMAIN",
    "withdraw ID",
    "restore ID",
    "add-bundle TRUST_DOMAIN FILE",
    "remove-bundle TRUST_DOMAIN",
    "federate TRUST_DOMAIN WITH_TRUST_DOMAIN",
    "pause LISTENER",
    "hang LISTENER",
    "error CODE LISTENER",
    "garbage LISTENER",
    "huge BYTES LISTENER",
    "heal LISTENER",
];

impl FromStr for Command {
    type Err = InvalidCommand;

    fn from_str(text: &str) -> Result<Self, InvalidCommand> {
        let text = text.trim();
        let form = FORMS.iter().copied().find(|form| is_of_form(text, form));
        let Some(form) = form else {
            return Err(InvalidCommand::unknown(text));
        };
        let mut words = Words { form, text };
        let verb = words.next("a command")?;
        let command = match verb {
            "status" => Self::Status,
            "rotate" | "prepare" | "activate" | "retire" => {
                let svids = words.next("`authority`")? == "svids";
                match verb {
                    _ if svids => Self::RotateSvids,
                    "rotate" => Self::RotateAuthority(words.trust_domain()?),
                    "prepare" => Self::PrepareAuthority(words.trust_domain()?),
                    "activate" => Self::ActivateAuthority(words.trust_domain()?),
                    _ => Self::RetireAuthority(words.trust_domain()?),
                }
            }
            "withdraw" => Self::Withdraw(words.id()?),
            "restore" => Self::Restore(words.id()?),
            "add-bundle" => {
                let trust_domain = words.trust_domain()?;
                Self::AddBundle(trust_domain, words.rest("a file")?.into())
            }
            "remove-bundle" => Self::RemoveBundle(words.trust_domain()?),
            "federate" => Self::Federate(words.trust_domain()?, words.trust_domain()?),
            "pause" => Self::Fault(words.listener()?, Fault::Pause),
            "hang" => Self::Fault(words.listener()?, Fault::Hang),
            "garbage" => Self::Fault(words.listener()?, Fault::Garbage),
            "error" => {
                let code: Code = words
                    .next("a status code")?
                    .parse()
                    .map_err(|error| words.wrong(format!("{error}")))?;
                let message = "the agent was told to answer so".to_owned();
                Self::Fault(words.listener()?, Fault::Error { code, message })
            }
            "huge" => {
                let bytes = words.next("a number of bytes")?;
                let bytes = bytes.parse().map_err(|_| {
                    words.wrong("the number of bytes is from 0 to 4294967295".to_owned())
                })?;
                Self::Fault(words.listener()?, Fault::Huge(bytes))
            }
            _ => Self::Heal(words.listener()?),
        };
        words.end()?;
        Ok(command)
    }
}

/// Whether the fixed words of the form lead the text.
fn is_of_form(text: &str, form: &str) -> bool {
    let fixed = form
        .split(' ')
        .filter(|word| !word.starts_with(|first: char| first.is_ascii_uppercase()));
    let mut words = text.split_whitespace();
    fixed.into_iter().all(|word| words.next() == Some(word))
}

struct Words<'a> {
    form: &'static str,
    text: &'a str,
}

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, InvalidCommand> {
        let text = self.text;
        if text.is_empty() {
            return Err(self.wrong(format!("{what} is missing")));
        }
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        self.text = rest.trim_start();
        Ok(word)
    }

    fn rest(&mut self, what: &str) -> Result<&'a str, InvalidCommand> {
        let rest = std::mem::take(&mut self.text);
        if rest.is_empty() {
            Err(self.wrong(format!("{what} is missing")))
        } else {
            Ok(rest)
        }
    }

    fn trust_domain(&mut self) -> Result<TrustDomain, InvalidCommand> {
        parse::trust_domain(self.next("a trust domain")?)
            .map_err(|error| InvalidCommand(error.to_string()))
    }

    fn id(&mut self) -> Result<SpiffeId, InvalidCommand> {
        parse::workload_id(self.next("an ID")?).map_err(|error| InvalidCommand(error.to_string()))
    }

    fn listener(&mut self) -> Result<String, InvalidCommand> {
        self.next("a listener").map(str::to_owned)
    }

    fn end(&self) -> Result<(), InvalidCommand> {
        if self.text.is_empty() {
            Ok(())
        } else {
            Err(self.wrong("there is more than it takes".to_owned()))
        }
    }

    fn wrong(&self, why: String) -> InvalidCommand {
        InvalidCommand(format!("{why}; write `{}`", self.form))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::RotateSvids => f.write_str("rotate svids"),
            Self::RotateAuthority(name) => write!(f, "rotate authority {name}"),
            Self::PrepareAuthority(name) => write!(f, "prepare authority {name}"),
            Self::ActivateAuthority(name) => write!(f, "activate authority {name}"),
            Self::RetireAuthority(name) => write!(f, "retire authority {name}"),
            Self::Withdraw(id) => write!(f, "withdraw {id}"),
            Self::Restore(id) => write!(f, "restore {id}"),
            Self::AddBundle(name, file) => write!(f, "add-bundle {name} {}", file.display()),
            Self::RemoveBundle(name) => write!(f, "remove-bundle {name}"),
            Self::Federate(name, with) => write!(f, "federate {name} {with}"),
            Self::Fault(listener, Fault::Error { code, .. }) => {
                write!(f, "error {code} {listener}")
            }
            Self::Fault(listener, fault) => write!(f, "{fault} {listener}"),
            Self::Heal(listener) => write!(f, "heal {listener}"),
        }
    }
}

/// A text that is no [`Command`]. Its own text says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCommand(String);

impl InvalidCommand {
    fn unknown(text: &str) -> Self {
        let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let forms: String = FORMS.iter().map(|form| format!("\n  {form}")).collect();
        Self(format!(
            "there is no command `{shown}`; write one of{forms}"
        ))
    }
}

impl fmt::Display for InvalidCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidCommand {}

#[cfg(test)]
mod tests;
