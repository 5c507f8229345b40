use spiffe_peer::PeerIdentity;
use tonic::{Request, Status};

/// The verified peer that sent a request.
///
/// It is in the request's extensions wherever an acceptor, or `PeerIdentityLayer` on tonic's own server,
/// stands in front. `Request::remote_addr` says from where the peer called on tonic's own server, and under
/// the acceptor's `serve` after `with_tonic_connect_info`.
///
/// ```
/// use spiffe_authz::grpc::peer;
/// use tonic::{Request, Response, Status};
///
/// async fn create(request: Request<String>) -> Result<Response<String>, Status> {
///     let payments = peer(&request)?;
///     Ok(Response::new(format!("{payments} orders {}", request.get_ref())))
/// }
/// ```
///
/// # Errors
///
/// `UNAUTHENTICATED` where there is none, or where its identity has ended: a handler of
/// [`Permit::Anyone`](super::Permit::Anyone) can use `.ok()`.
pub fn peer<T>(request: &Request<T>) -> Result<&PeerIdentity, Status> {
    request
        .extensions()
        .get::<PeerIdentity>()
        .filter(|peer| peer.is_current())
        .ok_or_else(|| Status::unauthenticated("unauthenticated"))
}
