//! What the project's own verifier says of a chain.

use std::time::SystemTime;

use spiffe_peer::{SpiffeId, TrustDomain, parse};
use spiffe_verify::{
    KnownIssuers, Purpose, VerifiedChain, X509Bundle, X509Error, X509Verifier, default_provider,
};

use crate::case::{Bundles, Case, Role, Verdict};

/// Judges chains of one role against the same bundles, and learns issuers in doing so.
pub struct Judge {
    verifier: X509Verifier,
    bundles: Vec<X509Bundle>,
    purpose: Purpose,
    known: KnownIssuers,
}

impl Judge {
    /// With these bundles. A bundle that cannot be read is trusted by nobody.
    #[must_use]
    pub fn new(bundles: &Bundles, role: Role) -> Self {
        let read = |(domain, roots): (&String, &Vec<Vec<u8>>)| {
            let domain = parse::trust_domain(domain).ok()?;
            X509Bundle::from_der(domain, &roots.concat()).ok()
        };
        Self {
            verifier: X509Verifier::new(&default_provider().unwrap()),
            bundles: bundles.iter().filter_map(read).collect(),
            purpose: match role {
                Role::Client => Purpose::Client,
                Role::Server => Purpose::Server,
            },
            known: KnownIssuers::default(),
        }
    }

    /// Whose chain it is.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    ///
    /// # Panics
    ///
    /// Where a verifier that has met the issuers before says anything else.
    pub fn verify(
        &self,
        chain: &[impl AsRef<[u8]>],
        now: SystemTime,
    ) -> Result<SpiffeId, X509Error> {
        let bundle = |domain: &TrustDomain| {
            self.bundles
                .iter()
                .find(|bundle| bundle.trust_domain() == domain)
        };
        let whole = self.verifier.verify(chain, self.purpose, bundle, now);
        let known = &self.known;
        let short = self
            .verifier
            .verify_under(known, chain, self.purpose, bundle, now);
        assert_eq!(short, whole, "known issuers change the verdict");
        whole.map(|verified: VerifiedChain| verified.spiffe_id().clone())
    }

    /// Why the verdict on a case with these bundles is not the right one, if it is not.
    #[must_use]
    pub fn mistakes(&self, case: &Case) -> Option<String> {
        let verdict = self.verify(&case.presented.chain, case.now);
        let right = match (&verdict, &case.verdict) {
            (Ok(id), Verdict::Accepted(right)) => id.to_string() == *right,
            (Ok(_), Verdict::HandshakeFails) => true,
            (Err(error), Verdict::Refused(right)) => error.fault() == *right,
            (Ok(_) | Err(_), _) => false,
        };
        let verdict = match verdict {
            Ok(id) => format!("accepted as {id}"),
            Err(error) => format!("refused: {}: {error}", error.fault()),
        };
        (!right).then(|| format!("{}: {verdict}; right is {:?}", case.id(), case.verdict))
    }
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("bundles", &self.bundles)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}
