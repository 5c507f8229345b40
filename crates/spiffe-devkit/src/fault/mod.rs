mod body;
mod code;

use std::fmt;
use std::sync::Arc;

use hyper::body::Incoming;
use tokio::sync::watch;
use tonic::Status;

use crate::workload_api::{Method, WorkloadApi};
pub(crate) use body::FaultyBody;
pub use code::{Code, UnknownCode};

/// What a listener does instead of answering, to see how its clients bear it.
///
/// A fault holds for all methods of the listener, for new calls and for open streams, until
/// [`Agent::heal`](crate::Agent::heal).
///
/// ```
/// use spiffe_devkit::{Code, Fault};
///
/// let fault = Fault::Error { code: Code::Unavailable, message: "starting".into() };
/// assert_eq!(fault.to_string(), "error unavailable: starting");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Streams stay open and new ones are opened, but nothing is sent on them.
    Pause,
    /// A call is accepted and never answered; an open stream is silent.
    Hang,
    /// A call is answered with an error, and an open stream ends with it.
    Error {
        /// The status code.
        code: Code,
        /// The status message.
        message: String,
    },
    /// A call is answered with bytes that are no protobuf, and an open stream gets them.
    Garbage,
    /// The answer is padded, with a field that nobody knows, to a message of this many bytes. An
    /// open stream gets its last answer once more in this size. The padding is made while it is
    /// sent, so a gigabyte costs the agent next to nothing.
    Huge(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Hang => f.write_str("hang"),
            Self::Error { code, message } => write!(f, "error {code}: {message}"),
            Self::Garbage => f.write_str("garbage"),
            Self::Huge(bytes) => write!(f, "huge {bytes}"),
        }
    }
}

/// The Workload API for one caller, behind the fault of its listener.
#[derive(Debug, Clone)]
pub(crate) struct FaultyApi {
    pub(crate) api: WorkloadApi,
    pub(crate) fault: watch::Receiver<Option<Fault>>,
}

impl FaultyApi {
    pub(crate) async fn answer(
        mut self,
        request: http::Request<Incoming>,
    ) -> http::Response<FaultyBody> {
        let method = Method::from_path(request.uri().path());
        let is_stream = method.is_some_and(Method::is_stream);
        let fault = self.fault_of(method).await;
        match fault {
            Some(Fault::Error { code, message }) => Status::new(code.into(), message)
                .into_http::<tonic::body::Body>()
                .map(FaultyBody::honest),
            Some(Fault::Garbage) if is_stream => {
                grpc_response(FaultyBody::garbage_stream(self.fault))
            }
            Some(Fault::Garbage) => grpc_response(FaultyBody::garbage_answer()),
            fault => {
                let response = self.api.answer(request).await;
                if response.headers().contains_key("grpc-status") {
                    return response.map(FaultyBody::honest);
                }
                match fault {
                    _ if is_stream => response.map(|body| FaultyBody::stream(body, self.fault)),
                    Some(Fault::Huge(bytes)) => {
                        response.map(|body| FaultyBody::padded(body, bytes))
                    }
                    _ => response.map(FaultyBody::honest),
                }
            }
        }
    }

    /// The fault that a new call meets, once it no longer hangs.
    async fn fault_of(&mut self, method: Option<Method>) -> Option<Fault> {
        let name = method.map_or("an unknown method", Method::name);
        loop {
            let fault = self.fault.borrow_and_update().clone();
            if let Some(fault) = &fault {
                self.api
                    .log
                    .add(&self.api.caller, name, format!("fault: {fault}"), true);
            }
            if fault != Some(Fault::Hang) {
                return fault;
            }
            if self.fault.changed().await.is_err() {
                // The agent is gone, and the connection with it.
                return std::future::pending().await;
            }
        }
    }
}

fn grpc_response(body: FaultyBody) -> http::Response<FaultyBody> {
    let mut response = http::Response::new(body);
    let kind = http::HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

/// The fault of each listener.
pub(crate) type FaultSwitch = Arc<watch::Sender<Option<Fault>>>;
