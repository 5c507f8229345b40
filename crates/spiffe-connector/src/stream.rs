use hyper_util::client::legacy::connect::{Connected, Connection};
use spiffe_peer::PeerIdentity;

use crate::guarded::{Guarded, reads_and_writes};

/// A connection to the expected server.
///
/// It ends when the server's identity does, or when the trust in it is withdrawn: whatever is in
/// flight then fails. One to which nothing has been written also ends when it would be retired.
///
/// ```
/// fn whom(stream: &spiffe_connector::Stream) -> String {
///     stream.peer().to_string()
/// }
/// ```
#[derive(Debug)]
pub struct Stream {
    guarded: Guarded,
    peer: PeerIdentity,
}

impl Stream {
    pub(crate) fn new(guarded: Guarded, peer: PeerIdentity) -> Self {
        Self { guarded, peer }
    }

    /// The verified server.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.guarded.connected().extra(self.peer.clone())
    }
}

reads_and_writes!(Stream);
