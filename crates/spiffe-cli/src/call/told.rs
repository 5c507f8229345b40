//! What a person is told beside the response: who called whom, and what went wrong.

use std::fmt::Display;
use std::io::{self, Write as _};

use http::response::Parts;
use http::{StatusCode, header};
use spiffe_connector::{CallError, ExpectedServer, Failure as Refusal, PeerIdentity};
use spiffe_source::Source;

use super::escape::quoted;
use crate::advice;
use crate::failure::Failure;
use crate::svid::left;

/// The two who talk, as far as they are known.
pub(super) struct Told {
    own: String,
    expected: String,
    verbose: bool,
}

impl Told {
    pub(super) fn new(source: &Source, expected: &ExpectedServer, verbose: bool) -> Self {
        let own = source.snapshot().svid().map_or_else(
            || "a client without an identity".to_owned(),
            |svid| svid.spiffe_id().to_string(),
        );
        Self {
            own,
            expected: expected.to_string(),
            verbose,
        }
    }

    /// Says who has answered, where that is wanted.
    pub(super) fn who(&self, server: Option<&PeerIdentity>, protocol: impl Display) {
        if !self.verbose {
            return;
        }
        let end = server.map_or_else(String::new, |server| {
            format!(", its SVID ends in {}", left(server.not_after()))
        });
        say(format_args!(
            "* client {}\n* server {}{end}\n* protocol {protocol}",
            self.own,
            self.server(server)
        ));
    }

    /// Why there is no response, and what to do.
    pub(super) fn unanswered(error: &CallError) -> Failure {
        let why = Refusal::of(error);
        match error.connect() {
            Some(connect) => Failure::failed(format!("{why}; {}", advice::of(connect))),
            None if why.is_refused_by_server() => Failure::failed(format!(
                "{why}; does it trust the trust domain of this client's SVID?"
            )),
            // The error says more than its cause where time has run out or a body broke off.
            None => Failure::failed(error),
        }
    }

    /// What is known of a response that says no: it names both, so that a rule can be looked up.
    pub(super) fn answered(&self, server: Option<&PeerIdentity>, head: &Parts) -> String {
        let (server, own) = (self.server(server), &self.own);
        let mut text = match head.status {
            StatusCode::UNAUTHORIZED => {
                format!("{server} does not accept who {own} is: {}", head.status)
            }
            StatusCode::FORBIDDEN => {
                format!("{server} does not permit this to {own}: {}", head.status)
            }
            status => format!("{server} has answered {status}"),
        };
        for challenge in head
            .headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .take(4)
        {
            let challenge = String::from_utf8_lossy(challenge.as_bytes());
            text = format!("{text}; it asks for `{}`", quoted(&challenge));
        }
        text
    }

    /// The same of a gRPC status, whose message is the server's.
    pub(super) fn status(&self, server: Option<&PeerIdentity>, status: &tonic::Status) -> Failure {
        let call = std::error::Error::source(status).and_then(|source| source.downcast_ref());
        if let Some(error) = call {
            return Self::unanswered(error);
        }
        let (server, own) = (self.server(server), &self.own);
        let what = match status.code() {
            tonic::Code::Unauthenticated => format!("{server} does not accept who {own} is"),
            tonic::Code::PermissionDenied => format!("{server} does not permit this to {own}"),
            _ => format!("{server} has failed"),
        };
        let code = name(status.code());
        let message = quoted(status.message());
        let separator = if message.is_empty() { "" } else { ", " };
        Failure::failed(format!("{what}: {code}{separator}{message}"))
    }

    fn server(&self, server: Option<&PeerIdentity>) -> String {
        server.map_or_else(
            || self.expected.clone(),
            |server| server.as_str().to_owned(),
        )
    }
}

/// Says it on stderr, where it does not mix with the response.
pub(super) fn say(what: impl Display) {
    // Nobody reads it: there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{what}");
}

/// The name of a code as the gRPC specification writes it.
fn name(code: tonic::Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_specification() {
        assert_eq!(name(tonic::Code::Ok), "OK");
        assert_eq!(name(tonic::Code::PermissionDenied), "PERMISSION_DENIED");
        assert_eq!(name(tonic::Code::Unimplemented), "UNIMPLEMENTED");
    }
}
