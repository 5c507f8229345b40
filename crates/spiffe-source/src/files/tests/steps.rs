//! A follower that the test lets look, one round after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use spiffe_peer::parse;

use super::super::Files;
use super::super::follow::{Follower, Next};
use super::Directory;
use crate::clock::Clock;
use crate::feed::Sink;
use crate::keeper::{Keeper, Reader};
use crate::picker::Picker;
use crate::{Snapshot, Status};

pub(super) struct Stepped {
    pub(super) keeper: Arc<Keeper>,
    pub(super) sink: Sink,
    pub(super) follower: Follower,
}

impl Stepped {
    /// Follows the files of a directory, and those of further trust domains in it.
    pub(super) fn new(directory: &Directory, foreign: &[&str], jwt: &[&str]) -> Self {
        Self::with_clock(directory, foreign, jwt, Clock::default())
    }

    pub(super) fn with_clock(
        directory: &Directory,
        foreign: &[&str],
        jwt: &[&str],
        clock: Clock,
    ) -> Self {
        let mut files = Files::new(directory.0.path().to_owned());
        let named = |names: &[&str], kind: &str| {
            names
                .iter()
                .map(|name| (name.to_string(), format!("{name}.{kind}").into()))
                .collect()
        };
        files.foreign = named(foreign, "pem");
        files.jwt = named(jwt, "json");
        let trusted: BTreeSet<_> = foreign
            .iter()
            .map(|name| parse::trust_domain(name).unwrap())
            .collect();
        let provider = spiffe_verify::default_provider().unwrap();
        let reader = Reader::new(provider, trusted, Picker::First);
        let keeper = Arc::new(Keeper::new(
            reader,
            clock,
            "a test".to_owned(),
            Default::default(),
        ));
        Self {
            sink: Sink::new(keeper.clone()),
            keeper,
            follower: Follower::new(Arc::new(files.layout().unwrap())),
        }
    }

    pub(super) async fn look(&mut self) -> Next {
        self.follower.round(&self.sink).await
    }

    /// Looks until nothing goes on any more, without letting time pass.
    pub(super) async fn rest(&mut self) {
        self.look().await;
        assert_eq!(self.look().await, Next::Later);
    }

    /// Looks as if what is there now had been there for long.
    pub(super) async fn rest_for_long(&mut self) {
        if self.look().await == Next::Soon {
            self.age().await;
            assert_eq!(self.look().await, Next::Later);
        }
    }

    /// Lets time pass for the follower alone.
    pub(super) async fn pass(&self, time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    pub(super) async fn age(&self) {
        self.pass(Duration::from_secs(60)).await;
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.keeper.snapshots().borrow().clone()
    }

    pub(super) fn status(&self) -> Status {
        self.keeper.statuses().borrow().clone()
    }

    pub(super) fn serial(&self) -> Option<String> {
        Some(self.snapshot().svid()?.verified().serial().to_owned())
    }

    pub(super) fn trusts(&self, domain: &str) -> bool {
        let domain = parse::trust_domain(domain).unwrap();
        self.snapshot().bundle(&domain).is_some()
    }

    pub(super) fn trusts_tokens(&self, domain: &str) -> bool {
        let domain = parse::trust_domain(domain).unwrap();
        self.snapshot().jwt_bundle(&domain).is_some()
    }

    /// Says that the last error names this.
    pub(super) fn complains(&self, of: &str) {
        let status = self.status();
        let said = status.last_error().unwrap_or_default();
        assert!(said.contains(of), "{of}: {status}");
    }
}
