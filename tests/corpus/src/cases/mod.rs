//! The cases.

mod chain;
mod constraints;
mod encoding;
mod extensions;
mod good_chains;
mod good_ids;
mod good_leaves;
mod ids;
mod issuers;
mod keys;
mod leaf;
mod names;
mod paths;
mod signature;
mod time;
mod trust;

use std::time::SystemTime;

use spiffe_verify::X509Fault;

use crate::case::{Case, Presented, Role, Verdict};
use crate::key::KeyKind;
use crate::world::World;

/// Every case, judged at `now`. The keys are fresh.
#[must_use]
pub fn all(now: SystemTime) -> Vec<Case> {
    let mut list = Vec::new();
    for kind in KeyKind::COMMON {
        list.extend(of_kind(&World::new(kind, now)));
    }
    let world = World::new(KeyKind::P256, now);
    let mut cases = Cases::new(&world);
    // What these are about has nothing to do with the kind of the key.
    ids::sweeps(&mut cases, &world);
    names::large(&mut cases, &world);
    chain::large(&mut cases, &world);
    keys::add(&mut cases, &world);
    list.extend(cases.list);
    list
}

/// The cases that are made with every kind of key.
#[must_use]
pub fn of_kind(world: &World) -> Vec<Case> {
    let mut cases = Cases::new(world);
    for add in [
        good_ids::add,
        good_leaves::add,
        good_chains::add,
        ids::add,
        names::add,
        leaf::add,
        time::add,
        encoding::add,
        extensions::add,
        chain::add,
        issuers::add,
        constraints::add,
        trust::add,
        signature::add,
    ] {
        add(&mut cases, world);
    }
    cases.list
}

struct Cases {
    now: SystemTime,
    kind: KeyKind,
    variant: Option<String>,
    list: Vec<Case>,
}

impl Cases {
    fn new(world: &World) -> Self {
        Self {
            now: world.now,
            kind: world.kind,
            variant: None,
            list: Vec::new(),
        }
    }

    /// A chain that is an identity at both ends.
    fn good(
        &mut self,
        class: &str,
        description: &str,
        (conformance, threats): (&[u8], &[u8]),
        id: impl Into<String>,
        presented: Presented,
    ) {
        let verdict = Verdict::Accepted(id.into());
        self.both(
            class,
            description,
            (conformance, threats),
            verdict,
            presented,
        );
    }

    /// A chain that is none at either end.
    fn bad(
        &mut self,
        class: &str,
        description: &str,
        (conformance, threats): (&[u8], &[u8]),
        fault: X509Fault,
        presented: Presented,
    ) {
        let verdict = Verdict::Refused(fault);
        self.both(
            class,
            description,
            (conformance, threats),
            verdict,
            presented,
        );
    }

    fn both(
        &mut self,
        class: &str,
        description: &str,
        numbers: (&[u8], &[u8]),
        verdict: Verdict,
        presented: Presented,
    ) {
        self.at(
            class,
            description,
            numbers,
            Role::Client,
            verdict.clone(),
            presented.clone(),
        );
        self.at(
            class,
            description,
            numbers,
            Role::Server,
            verdict,
            presented,
        );
    }

    fn at(
        &mut self,
        class: &str,
        description: &str,
        (conformance, threats): (&[u8], &[u8]),
        role: Role,
        verdict: Verdict,
        presented: Presented,
    ) {
        self.list.push(Case {
            class: class.to_owned(),
            variant: self.variant.clone(),
            kind: self.kind,
            role,
            description: description.to_owned(),
            conformance: conformance.to_vec(),
            threats: threats.to_vec(),
            now: self.now,
            presented,
            verdict,
        });
    }
}
