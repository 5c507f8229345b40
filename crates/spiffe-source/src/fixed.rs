use std::fmt;

use spiffe_peer::{TrustDomain, parse};

use crate::builder::Builder;
use crate::error::{ConnectError, Failure};
use crate::feed::{Feed, Sink};
use crate::material::Material;

/// The feed that brings its material once; see [`Source::fixed`](crate::Source::fixed).
///
/// ```
/// # async fn example(chain: Vec<u8>, key: Vec<u8>, bundle: Vec<u8>) -> Result<(), spiffe_source::ConnectError> {
/// use spiffe_source::{Material, Source, SvidMaterial};
///
/// let material = Material::new(SvidMaterial::from_der(chain, key, bundle));
/// let source = Source::fixed(material).connect().await?;
/// assert!(source.status().is_ready());
/// # Ok(())
/// # }
/// ```
pub struct Fixed {
    material: Material,
    jwt_bundles: Vec<(String, Vec<u8>)>,
    domains: Vec<TrustDomain>,
}

impl Fixed {
    pub(crate) fn new(material: Material) -> Self {
        Self {
            material,
            jwt_bundles: Vec::new(),
            domains: Vec::new(),
        }
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains: Vec<_> = self.jwt_bundles.iter().map(|(name, _)| name).collect();
        f.debug_struct("Fixed")
            .field("material", &self.material)
            .field("jwt_bundles", &domains)
            .finish_non_exhaustive()
    }
}

impl Builder<Fixed> {
    /// The JWT bundle of a trust domain, a JWK Set. It counts where the domain is the own or
    /// trusted.
    pub fn jwt_bundle(mut self, trust_domain: impl Into<String>, jwks: impl Into<Vec<u8>>) -> Self {
        self.feed
            .jwt_bundles
            .push((trust_domain.into(), jwks.into()));
        self
    }
}

impl Feed for Fixed {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        let names = self.jwt_bundles.iter();
        self.domains = names
            .map(|(name, _)| parse::trust_domain(name))
            .collect::<Result<_, _>>()
            .map_err(Failure::InvalidId)?;
        Ok("fixed material".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        let jwks = self.jwt_bundles.iter().map(|(_, jwks)| jwks.clone());
        sink.update_jwt_bundles(self.domains.iter().cloned().zip(jwks));
        if !sink.update(&self.material) {
            sink.end("the material cannot be used, and it will not change");
        }
    }
}
