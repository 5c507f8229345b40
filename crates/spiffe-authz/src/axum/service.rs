use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::axum::ServiceExt;
use ::axum::body::{Body, Bytes, HttpBody};
use ::axum::extract::Request;
use ::axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use ::axum::response::Response;
use ::axum::routing::IntoMakeService;
use ::axum::routing::future::RouteFuture;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::build::Built;
use super::spelling::Spelling;
use crate::canonical;
use crate::decision::{Reason, refuse_not_canonical};
use crate::guard::Guard;
use crate::inventory::Inventory;
use crate::policy::query::Head;
use crate::require_id;
use crate::require_id::future::Answer;

/// A guarded router, ready to be served: a Tower service, and no router any more.
///
/// Cloning copies four pointers. It is always ready and never fails.
///
/// ```no_run
/// use spiffe_authz::axum::{Router, get};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/healthz", get(async || "ok").anyone("probes carry no identity")).build()?;
/// // Behind plain TCP nobody has an identity: this serves probes, and denies everything else.
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app.into_make_service()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GuardedService {
    routes: ::axum::Router,
    inventory: Arc<Inventory>,
    guard: Option<Arc<Guard>>,
    spelling: Arc<Spelling>,
}

impl GuardedService {
    pub(super) fn new(built: Built) -> Self {
        Self {
            routes: built.routes,
            inventory: Arc::new(built.inventory),
            guard: built.guard,
            spelling: Arc::new(built.spelling),
        }
    }

    /// Which routes there are: for `spiffectl policy check --routes`.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Makes this service for every connection, for `axum::serve`.
    #[must_use]
    pub fn into_make_service(self) -> IntoMakeService<Self> {
        ServiceExt::<Request>::into_make_service(self)
    }

    /// Makes this service for every connection, with axum's `ConnectInfo<C>` in each request.
    #[must_use]
    pub fn into_make_service_with_connect_info<C>(self) -> IntoMakeServiceWithConnectInfo<Self, C> {
        ServiceExt::<Request>::into_make_service_with_connect_info(self)
    }
}

impl<B> Service<http::Request<B>> for GuardedService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<::axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let readable = canonical::check(&request)
            .and_then(|()| canonical::check_undisguised(request.uri().path()))
            .and_then(|()| self.spelling.check(request.uri().path()))
            .map_err(|why| match &self.guard {
                Some(guard) => guard.refuse(Head::of(&request), Reason::NotCanonical(why)),
                None => refuse_not_canonical(&request, why),
            });
        let answer = Answer::new(readable, || self.routes.call(request));
        ResponseFuture {
            inner: require_id::ResponseFuture::new(answer),
        }
    }
}

/// For tonic's own server: `Server::builder().add_routes(app.into())`. What the server is told of
/// timeouts, limits and connections holds, and there is nothing beside what this router guards, unless a
/// service is added to the server after it: that one is guarded by nobody.
#[cfg(feature = "tonic")]
impl From<GuardedService> for tonic::service::Routes {
    fn from(service: GuardedService) -> Self {
        ::axum::Router::new().fallback_service(service).into()
    }
}

impl fmt::Debug for GuardedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedService").finish_non_exhaustive()
    }
}

pin_project! {
    /// The answer of a [`GuardedService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture {
        #[pin]
        inner: require_id::ResponseFuture<RouteFuture<Infallible>>,
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
