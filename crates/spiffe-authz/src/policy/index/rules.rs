//! One rule, ready to be judged.

use std::time::SystemTime;

use super::Index;
use super::callers::{Caller, GroupId};
use super::subject::Subject;
use crate::policy::condition::Condition;
use crate::policy::model::{Action, Effect, Methods, UserDemand};
use crate::policy::path::{PathPattern, Segment};

#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) name: Box<str>,
    pub(super) effect: Effect,
    pub(super) shadow: bool,
    pub(super) expires: Option<SystemTime>,
    pub(super) user: Option<UserDemand>,
    pub(super) condition: Option<Condition>,
    /// Whom it speaks of; nobody in particular where it is empty.
    pub(super) groups: Box<[GroupId]>,
    /// For conditions on what a path has captured.
    pub(super) actions: Box<[Action]>,
}

/// Whether a rule, whose actions and callers meet the request, matches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matched {
    Yes,
    No,
    Error(String),
    /// Only what the service says of the resource can tell.
    NeedsResource,
}

impl CompiledRule {
    /// Whether nothing but the caller and the action decides that it matches.
    pub(super) fn plain(&self) -> Option<Effect> {
        let plain = !self.shadow
            && self.expires.is_none()
            && self.user.is_none()
            && self.condition.is_none();
        plain.then_some(self.effect)
    }

    pub(super) fn judge(&self, index: &Index, caller: &Caller, subject: &Subject<'_>) -> Matched {
        if self.expires.is_some_and(|end| subject.now() >= end) {
            return Matched::No;
        }
        if let Some(demand) = &self.user
            && !demand.is_met(&index.users, subject.query.user.get())
        {
            return Matched::No;
        }
        match &self.condition {
            None => Matched::Yes,
            Some(condition)
                if condition.reads_headers() && names_headers_of_the_next_hop(subject) =>
            {
                Matched::Error(
                    "`connection` names a header: a proxy may have dropped it".to_owned(),
                )
            }
            Some(condition) if condition.reads_resource() && !subject.knows_resource() => {
                Matched::NeedsResource
            }
            Some(condition) => self.judge_condition(condition, index, caller, subject),
        }
    }

    /// Tries the condition with what each pair of an action and an ID pattern has captured.
    fn judge_condition(
        &self,
        condition: &Condition,
        index: &Index,
        caller: &Caller,
        subject: &Subject<'_>,
    ) -> Matched {
        let paths = if condition.reads_path() {
            self.path_captures(subject)
        } else {
            vec![Vec::new()]
        };
        let ids: Vec<_> = match subject.query.peer.id() {
            Some(id) if condition.reads_id() => {
                index.callers.captures(caller, &self.groups, id).collect()
            }
            _ => vec![Vec::new()],
        };
        let mut error = None;
        for path in &paths {
            for id in &ids {
                match condition.holds(&subject.facts(path, id)) {
                    Ok(true) => return Matched::Yes,
                    Ok(false) => {}
                    Err(why) => error = Some(why.to_string()),
                }
            }
        }
        error.map_or(Matched::No, Matched::Error)
    }

    fn path_captures<'a>(&'a self, subject: &'a Subject<'_>) -> Vec<Vec<(&'a str, &'a str)>> {
        self.actions
            .iter()
            .filter(|action| action.methods.cover(subject.query.method))
            .filter_map(|action| action.path.capture(&subject.target.path))
            .collect()
    }
}

/// Whether the caller has asked whoever passes the request on to drop headers of its choice
/// (RFC 9110, section 7.6.1). What a condition finds, or misses, then depends on who stands in front.
fn names_headers_of_the_next_hop(subject: &Subject<'_>) -> bool {
    const USUAL: [&str; 7] = [
        "close",
        "keep-alive",
        "upgrade",
        "te",
        "http2-settings",
        "proxy-connection",
        "transfer-encoding",
    ];
    let values = subject.query.headers.get_all(http::header::CONNECTION);
    values.iter().any(|value| {
        let names = value.as_bytes().split(|byte| *byte == b',');
        names.map(<[u8]>::trim_ascii).any(|name| {
            !name.is_empty()
                && !USUAL
                    .iter()
                    .any(|usual| name.eq_ignore_ascii_case(usual.as_bytes()))
        })
    })
}

impl Methods {
    /// Whether a rule that names these methods speaks of this one.
    pub(crate) fn cover(&self, method: &http::Method) -> bool {
        match self {
            Self::Every => true,
            Self::These(these) => these.iter().any(|one| {
                one == method || (one == http::Method::GET && method == http::Method::HEAD)
            }),
        }
    }
}

impl PathPattern {
    /// What it captures of a decoded path, if it meets it.
    pub(crate) fn capture<'a>(&'a self, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut captures = Vec::new();
        let mut parts = path.split('/').skip(1).filter(|_| path != "/");
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Literal(_) => return None,
                Segment::One => {}
                Segment::Capture(name) => captures.push((name.as_str(), part)),
            }
        }
        (self.open_ended || parts.next().is_none()).then_some(captures)
    }
}
