use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::canonical::NotCanonical;

/// Which route a path takes, and how the literals are spelled that have more spellings than one.
///
/// The router compares paths as they are sent, and knows `/users/@me` and `/users/%40me` for two. The
/// handler of a capture reads both as one. So a request that would take another route in the spelling of
/// the routes is refused, or the rule at a literal could be passed by beside a capture.
#[derive(Default)]
pub(super) struct Spelling {
    /// The matcher that axum uses.
    routes: matchit::Router<Box<str>>,
    /// As the routes write them, by what they are decoded.
    literals: HashMap<String, String>,
}

impl Spelling {
    pub(super) fn add(&mut self, path: &str) -> Result<(), String> {
        self.routes
            .insert(path, path.into())
            .map_err(|error| error.to_string())?;
        let literals = path.split('/').filter(|part| !part.starts_with('{'));
        for literal in literals.filter(|literal| has_more_spellings(literal)) {
            let decoded = percent_decode_str(literal).decode_utf8_lossy().into_owned();
            let known = self.literals.entry(decoded).or_insert(literal.to_owned());
            if known != literal {
                return Err(format!(
                    "`{literal}` stands elsewhere as `{known}`, which is the same: spell it in one way"
                ));
            }
        }
        Ok(())
    }

    /// Demands that the path takes the route that it takes in the spelling of the routes.
    pub(super) fn check(&self, path: &str) -> Result<(), NotCanonical> {
        if self.literals.is_empty() {
            return Ok(());
        }
        let segments = path.split('/').map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8_lossy();
            self.literals.get(&*decoded).map_or(segment, String::as_str)
        });
        let respelled = segments.collect::<Vec<_>>().join("/");
        if self.taken_by(path) == self.taken_by(&respelled) {
            Ok(())
        } else {
            Err(NotCanonical::otherwise_spelled())
        }
    }

    /// The route that a path takes.
    pub(super) fn taken_by(&self, path: &str) -> Option<&str> {
        self.routes.at(path).ok().map(|taken| &**taken.value)
    }
}

/// Whether a client may encode more of a segment, or less, or with digits of another case. What RFC 3986
/// calls unreserved (section 2.3) is never encoded here.
fn has_more_spellings(literal: &str) -> bool {
    let unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !literal.bytes().all(unreserved)
}
