//! Sources whose material a test hands over, change by change, without an agent.

use spiffe_devkit::{Authority, IssueSpec, IssuedSvid};
use spiffe_source::{Builder, ConnectError, Feed, Material, Sink, Source, SvidMaterial};
use tokio::sync::watch;

/// Brings what is sent to it.
pub struct Handed(watch::Receiver<Material>);

impl Feed for Handed {
    fn prepare(&mut self) -> Result<String, ConnectError> {
        Ok("a test".to_owned())
    }

    async fn run(&mut self, sink: Sink) {
        loop {
            let material = self.0.borrow_and_update().clone();
            sink.update(&material);
            if self.0.changed().await.is_err() {
                // The test has said all that it has to say.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A source that has not been connected, and what its material is handed to.
pub fn handed(material: Material) -> (Builder<Handed>, watch::Sender<Material>) {
    let (sender, receiver) = watch::channel(material);
    (Source::from_feed(Handed(receiver)), sender)
}

/// An SVID as an agent would deliver it, with the bundle of the authority that issued it.
#[must_use]
pub fn material(authority: &Authority, svid: &IssuedSvid) -> Material {
    under(svid, authority.bundle_der())
}

/// The same with another bundle.
#[must_use]
pub fn under(svid: &IssuedSvid, bundle: Vec<u8>) -> Material {
    Material::new(SvidMaterial::from_der(
        svid.chain_der(),
        svid.key_der(),
        bundle,
    ))
}

/// A fresh SVID.
#[must_use]
pub fn issue(authority: &Authority, id: &str) -> IssuedSvid {
    authority.issue(&IssueSpec::new(id).unwrap()).unwrap()
}
