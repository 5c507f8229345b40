//! Few words, so that rules overlap and requests meet them.

use crate::random::Random;

/// The service's own trust domain.
pub(crate) const OWN: &str = "prod.example";

/// The trust domains that a policy may list.
pub(super) const TRUST_DOMAINS: &[&str] = &[OWN, "stage.example", "partner.example"];

/// One that no policy lists.
pub(super) const FOREIGN: &str = "prod.example.evil";

pub(super) const WORDS: &[&str] = &["orders", "docs", "7", "web", "raw"];

/// Segments of a path that are hard to write in YAML, in a URI or in CEL.
pub(super) const ODD_WORDS: &[&str] = &["a b", "é", "it's", "x:y", "#1", "100%", "say\"so", "..."];

pub(super) const ID_WORDS: &[&str] = &["ns", "web", "sa", "docs", "7"];

pub(super) const CAPTURES: &[&str] = &["doc", "office", "_x9"];

pub(super) const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD"];

pub(super) const ODD_METHODS: &[&str] = &["OPTIONS", "get", "BREW", "PURGE-ALL", "Post", "HEAD"];

pub(super) const RPCS: &[&str] = &["shop.Orders/Create", "shop.Orders/List", "shop.Users/List"];

pub(super) const HEADERS: &[&str] = &["x-role", "x-tenant"];

pub(super) const ROLES: &[&str] = &["admin", "guest", "web"];

pub(super) const HOSTS: &[&str] = &["api.example.com", "web"];

pub(super) const ISSUERS: &[&str] = &["https://id.example.com", "https://login.example.org/x"];

pub(super) const AUDIENCES: &[&str] = &["document-api", "other-api"];

pub(super) const SUBJECTS: &[&str] = &["ada", "web"];

pub(super) const SCOPES: &[&str] = &["read", "write", "web"];

/// Midday of 15 June 2026, about which all moments lie.
pub(super) const NOW: u64 = 1_781_524_800;

/// Moments at which a rule may expire and a request may come: before, at and after one another.
pub(super) fn moment(random: &mut Random) -> u64 {
    let midnight = NOW - 12 * 3600;
    *random.item(&[
        NOW - 1,
        NOW,
        NOW + 1,
        midnight,
        midnight + 86_400,
        midnight - 1,
    ])
}
