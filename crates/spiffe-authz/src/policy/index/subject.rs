use std::time::SystemTime;

use crate::canonical::Canonical;
use crate::policy::condition::{Facts, UserFacts};
use crate::policy::query::{Query, Resource};

/// A request that is canonical, and when it is judged.
pub(super) struct Subject<'q> {
    pub(super) query: &'q Query<'q>,
    pub(super) target: &'q Canonical<'q>,
    host: Option<String>,
    peer: Option<(String, String)>,
}

impl<'q> Subject<'q> {
    pub(super) fn new(query: &'q Query<'q>, target: &'q Canonical<'q>) -> Self {
        Self {
            host: target.host(),
            target,
            query,
            peer: query
                .peer
                .id()
                .map(|id| (id.to_string(), id.trust_domain().to_string())),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.query.at.unwrap_or_else(SystemTime::now)
    }

    pub(super) fn knows_resource(&self) -> bool {
        !matches!(self.query.resource, Resource::NotAsked)
    }

    pub(super) fn facts<'a>(
        &'a self,
        path: &'a [(&'a str, &'a str)],
        id: &'a [(&'a str, &'a str)],
    ) -> Facts<'a> {
        Facts {
            path,
            id,
            peer: self
                .peer
                .as_ref()
                .map(|(id, trust_domain)| (id.as_str(), trust_domain.as_str())),
            method: self.query.method.as_str(),
            request_path: &self.target.path,
            host: self.host.as_deref(),
            headers: self.query.headers,
            user: self.query.user.get().map(|user| UserFacts {
                subject: user.subject(),
                issuer: user.issuer(),
                scopes: user.scopes(),
                claims: user.claims(),
            }),
            resource: match self.query.resource {
                Resource::Known(value) => Some(value),
                Resource::Absent | Resource::NotAsked => None,
            },
        }
    }
}
