use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use spiffe_peer::TrustDomain;

use crate::error::{ConnectError, Failure};
use crate::jwt::JwtAuthority;
use crate::keeper::{JwtMaterial, Keeper};
use crate::material::Material;

/// Where SVIDs and bundles come from. The Workload API, files and fixed material are feeds;
/// implement this for a fourth kind, and open it with [`Source::from_feed`](crate::Source::from_feed).
///
/// A feed only brings material. Verification, the choice among several SVIDs, expiry, the
/// deny-list, revisions and events are the same for every feed, and are none of its business.
///
/// ```
/// use spiffe_source::{ConnectError, Feed, Material, Sink};
/// use tokio::sync::watch;
///
/// /// Takes what another part of the program fetches.
/// struct Handed(watch::Receiver<Material>);
///
/// impl Feed for Handed {
///     fn prepare(&mut self) -> Result<String, ConnectError> {
///         Ok("the key server".to_owned())
///     }
///
///     async fn run(&mut self, sink: Sink) {
///         loop {
///             let material = self.0.borrow_and_update().clone();
///             sink.update(&material);
///             if self.0.changed().await.is_err() {
///                 return sink.failed("the key server's client has ended");
///             }
///         }
///     }
/// }
/// ```
pub trait Feed: Send + 'static {
    /// Checks the settings before anything is started, and says where the material comes from: a
    /// short text for people, such as an address or a directory.
    ///
    /// # Errors
    ///
    /// [`ConnectError::configuration`] where the settings are wrong.
    fn prepare(&mut self) -> Result<String, ConnectError>;

    /// Brings material until the source ends, which drops this future at any point where it waits.
    ///
    /// What has been brought stays in force when it returns. When it panics it is started again,
    /// after a while.
    fn run(&mut self, sink: Sink) -> impl Future<Output = ()> + Send;

    /// Who issues JWT-SVIDs beside this feed, asked after [`prepare`](Self::prepare); nobody by
    /// default.
    fn jwt_authority(&self) -> Option<Arc<dyn JwtAuthority>> {
        None
    }
}

/// What a [`Feed`] gives its material to.
///
/// ```
/// use spiffe_source::{Material, Sink};
///
/// fn arrived(sink: &Sink, material: Result<Material, std::io::Error>) {
///     match material {
///         Ok(material) => { sink.update(&material); }
///         Err(error) => sink.failed(format!("cannot read the material: {error}")),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Sink {
    keeper: Arc<Keeper>,
}

impl Sink {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper }
    }

    /// Verifies the full set of X.509 material and puts it in force, each part on its own. Answers
    /// whether the own SVID of this update is in force; otherwise the one before stays until its
    /// end, and the source's status says why.
    pub fn update(&self, material: &Material) -> bool {
        self.keeper.update(material)
    }

    /// Puts the full sets of X.509 material and of JWT bundles in force in one revision. Answers what
    /// [`update`](Self::update) does.
    pub(crate) fn update_all(&self, material: &Material, jwt: JwtMaterial) -> bool {
        self.keeper.update_all(material, Some(jwt))
    }

    /// Why not all of this material could be put in force now, which it is not.
    pub(crate) fn problem_with(&self, material: &Material) -> Option<String> {
        self.keeper.problem_with(material)
    }

    /// Puts the full set of JWT bundles in force: JWK Sets by trust domain. Answers whether all
    /// that concern this source could be used.
    pub fn update_jwt_bundles<J: Into<Vec<u8>>>(
        &self,
        bundles: impl IntoIterator<Item = (TrustDomain, J)>,
    ) -> bool {
        let bundles = bundles
            .into_iter()
            .map(|(domain, jwks)| (domain, jwks.into()))
            .collect();
        self.keeper.update_jwt_bundles(bundles)
    }

    /// Takes everything back: whoever issues the material says that there is no identity for this
    /// process. It holds until the next update.
    pub fn withdraw(&self, reason: impl fmt::Display) {
        self.report(Failure::TakenBack(reason.to_string()));
    }

    /// Says that news cannot be had at the moment. What is in force stays until its end.
    pub fn failed(&self, reason: impl fmt::Display) {
        self.report(Failure::Feed(reason.to_string()));
    }

    /// Says that what was brought is unusable and will stay so.
    pub(crate) fn end(&self, reason: &str) {
        self.keeper.end(reason);
    }

    pub(crate) fn report(&self, failure: Failure) {
        self.keeper.report(failure);
    }

    /// That something beside the own SVIDs does not work, which the own SVIDs outlive.
    pub(crate) fn mention(&self, problem: String) {
        self.keeper.mention(problem);
    }

    /// A new attempt to get news begins.
    pub(crate) fn retries(&self) {
        self.keeper.retries();
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        self.keeper.provider()
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}
