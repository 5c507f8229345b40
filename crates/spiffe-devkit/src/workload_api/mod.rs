mod jwt;
mod method;
mod x509;

use std::future::ready;
use std::sync::Arc;

use http::HeaderMap;
use hyper::body::Incoming;
use prost::Message;
use spiffe_source::workload_api::messages::SECURITY_HEADER;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::caller::Caller;
use crate::log::Log;
use crate::state::{Refusal, State};
pub(crate) use method::Method;

/// No request of the Workload API needs more.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The SPIFFE Workload API for one caller.
#[derive(Debug, Clone)]
pub(crate) struct WorkloadApi {
    pub(crate) state: Arc<State>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) log: Log,
}

/// An answer with what the log says of it.
type Answer<M> = Result<(M, String), Status>;

impl WorkloadApi {
    pub(crate) async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let method = Method::from_path(request.uri().path());
        let name = method.map_or("an unknown method", Method::name);
        if let Err(status) = demand_security_header(request.headers()) {
            return self.refused(name, status).into_http();
        }
        match method {
            Some(Method::FetchX509Svid) => self.stream(name, request, Self::x509_svids).await,
            Some(Method::FetchX509Bundles) => self.stream(name, request, Self::x509_bundles).await,
            Some(Method::FetchJwtBundles) => self.stream(name, request, Self::jwt_bundles).await,
            Some(Method::FetchJwtSvid) => self.unary(name, request, Self::jwt_svids).await,
            Some(Method::ValidateJwtSvid) => {
                self.unary(name, request, Self::validate_jwt_svid).await
            }
            None => self
                .refused(
                    name,
                    Status::unimplemented("the agent does not serve this method"),
                )
                .into_http(),
        }
    }

    async fn unary<Q, M>(
        &self,
        name: &'static str,
        request: http::Request<Incoming>,
        answer: fn(&Self, &Q) -> Answer<M>,
    ) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        M: Message + Default + 'static,
    {
        let handler = service_fn(|request: Request<Q>| {
            let answer = self.logged(name, answer(self, request.get_ref()));
            ready(answer.map(Response::new))
        });
        grpc::<M, Q>().unary(handler, request).await
    }

    /// Answers at once, and again whenever the answer has become another one.
    async fn stream<M>(
        &self,
        name: &'static str,
        request: http::Request<Incoming>,
        answer: fn(&Self) -> Answer<M>,
    ) -> http::Response<Body>
    where
        M: Message + Default + Clone + PartialEq + 'static,
    {
        // The requests of all streams are empty.
        let handler =
            service_fn(|_: Request<()>| ready(self.updates(name, answer).map(Response::new)));
        grpc::<M, ()>().server_streaming(handler, request).await
    }

    fn updates<M>(
        &self,
        name: &'static str,
        answer: fn(&Self) -> Answer<M>,
    ) -> Result<impl Stream<Item = Result<M, Status>> + Send + use<M>, Status>
    where
        M: Clone + PartialEq + Send + 'static,
    {
        // Subscribed first: a change between the two makes a second answer, and is not lost.
        let revisions = WatchStream::from_changes(self.state.subscribe());
        let first = self.logged(name, answer(self))?;
        let mut last = first.clone();
        let api = self.clone();
        let later = revisions.filter_map(move |_| match answer(&api) {
            Ok((message, _)) if message == last => None,
            next => Some(
                api.logged(name, next)
                    .inspect(|message| last.clone_from(message)),
            ),
        });
        Ok(tokio_stream::once(Ok(first)).chain(later))
    }

    fn logged<M>(&self, name: &'static str, answer: Answer<M>) -> Result<M, Status> {
        match answer {
            Ok((message, told)) => {
                self.log.add(&self.caller, name, told, false);
                Ok(message)
            }
            Err(status) => Err(self.refused(name, status)),
        }
    }

    fn refused(&self, name: &'static str, status: Status) -> Status {
        self.log.add(
            &self.caller,
            name,
            format!("{:?}: {}", status.code(), status.message()),
            true,
        );
        status
    }
}

fn grpc<M, Q>() -> Grpc<ProstCodec<M, Q>>
where
    M: Message + 'static,
    Q: Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// SPIFFE Workload Endpoint, section 3: it keeps a server-side request forgery from reaching the agent.
fn demand_security_header(headers: &HeaderMap) -> Result<(), Status> {
    let mut values = headers.get_all(SECURITY_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value == "true" => Ok(()),
        _ => Err(Status::invalid_argument(
            "security header missing from request",
        )),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoIdentity => Self::permission_denied("no identity issued"),
            Refusal::Issue(error) => Self::unavailable(format!("no SVID can be issued: {error}")),
        }
    }
}
