use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::decision::Reason;

/// Why a request was refused, in the extensions of the answer.
///
/// It never goes over the wire: the peer sees a status and an empty body, the same for every reason
/// behind that status. A layer outside may read it, to count refusals or to answer in another form.
///
/// | | HTTP | gRPC |
/// |---|---|---|
/// | no identity, or one that has ended | 401 | 16, `UNAUTHENTICATED` |
/// | an identity that no rule lets in | 403 | 7, `PERMISSION_DENIED` |
/// | a request that can be read in two ways | 400 | 3, `INVALID_ARGUMENT` |
///
/// ```
/// use http::{Request, Response};
/// use spiffe_authz::{Refusal, RequireIdLayer};
/// use tower::{ServiceExt, service_fn};
/// use tower_layer::Layer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hello = service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::from("hello"))));
/// let guarded = RequireIdLayer::exact("spiffe://example.org/service/orders")?.layer(hello);
///
/// let response = guarded.oneshot(Request::new(())).await?;
/// assert_eq!(response.status(), 401);
/// let refusal = response.extensions().get::<Refusal>().ok_or("no refusal")?;
/// assert!(refusal.is_unauthenticated());
/// assert_eq!(refusal.reason(), "no_identity");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    grpc: Option<Grpc>,
    has_peer: bool,
    rule: Option<Arc<str>>,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, request: &HeaderMap) -> Self {
        Self {
            reason,
            grpc: Grpc::of(request),
            has_peer: !matches!(reason, Reason::NoIdentity | Reason::EndedIdentity),
            rule: None,
        }
    }

    /// A refusal by a policy: with an identity or without, and by a rule or by none.
    pub(crate) fn by_policy(
        reason: Reason,
        request: &HeaderMap,
        has_peer: bool,
        rule: Option<&str>,
    ) -> Self {
        Self {
            has_peer,
            rule: rule.map(Arc::from),
            ..Self::new(reason, request)
        }
    }

    /// The rule of the policy that denied, if one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// The reason in one word, or for a request that is not canonical in a few.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.reason {
            Reason::NoIdentity => "no_identity",
            Reason::EndedIdentity => "ended_identity",
            Reason::NotAllowed => "not_allowed",
            Reason::NoRule => "no_rule",
            Reason::NotCanonical(why) => why.reason(),
            Reason::Rule => "rule",
            Reason::Default => "default",
            Reason::BadUser => "bad_user",
            Reason::ConditionError => "condition_error",
            Reason::DecisionPoint => "decision_point",
            Reason::NoRecord => "no_record",
        }
    }

    /// Whether the peer has no identity, one that has ended, or an end user's token that is not to be believed.
    #[must_use]
    pub fn is_unauthenticated(&self) -> bool {
        !self.is_malformed() && (!self.has_peer || self.reason == Reason::BadUser)
    }

    /// Whether the peer has an identity that no rule lets in, or that a rule keeps out.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        !self.is_malformed() && !self.is_unauthenticated()
    }

    /// Whether the request can be read in more than one way.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self.reason, Reason::NotCanonical(_))
    }

    /// Whether the request is a call of gRPC or gRPC-Web.
    pub(crate) fn is_rpc(&self) -> bool {
        self.grpc.is_some()
    }

    /// Whether the answer ends with trailers of HTTP, as those of gRPC do and those of gRPC-Web do not.
    pub(crate) fn ends_with_trailers(&self) -> bool {
        self.grpc == Some(Grpc::Plain)
    }

    /// The answer to the peer: nothing in it depends on more than the status.
    pub(crate) fn response<B: Default>(self) -> Response<B> {
        let (status, code, message) = if self.is_malformed() {
            (StatusCode::BAD_REQUEST, "3", "invalid argument")
        } else if self.is_unauthenticated() {
            (StatusCode::UNAUTHORIZED, "16", "unauthenticated")
        } else {
            (StatusCode::FORBIDDEN, "7", "permission denied")
        };
        let mut response = Response::new(B::default());
        if let Some(grpc) = self.grpc {
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, grpc.content_type());
            headers.insert(
                HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(code),
            );
            headers.insert(
                HeaderName::from_static("grpc-message"),
                HeaderValue::from_static(message),
            );
        } else {
            *response.status_mut() = status;
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The protocol of a call, by the content type of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grpc {
    Plain,
    Web,
    WebText,
}

impl Grpc {
    fn of(request: &HeaderMap) -> Option<Self> {
        let content_type = request.get(CONTENT_TYPE)?.as_bytes();
        // What begins with another begins with it too: the longest comes first.
        let known = [Self::WebText, Self::Web, Self::Plain];
        known.into_iter().find(|grpc| {
            let start = grpc.prefix();
            let begins = content_type.get(..start.len());
            begins.is_some_and(|begins| begins.eq_ignore_ascii_case(start.as_bytes()))
        })
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Plain => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(reason: Reason, content_type: Option<&'static str>) -> Response<String> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Refusal::new(reason, &headers).response()
    }

    #[test]
    fn the_content_type_of_the_request_chooses_the_form() {
        for (grpc, answer) in [
            ("application/grpc", "application/grpc"),
            ("application/grpc+proto", "application/grpc"),
            ("application/grpc-web", "application/grpc-web"),
            ("application/grpc-web+proto", "application/grpc-web"),
            ("application/grpc-web-text", "application/grpc-web-text"),
            ("Application/gRPC", "application/grpc"),
        ] {
            let response = response(Reason::NoRule, Some(grpc));
            assert_eq!(response.status(), 200, "{grpc}");
            assert_eq!(response.headers()[CONTENT_TYPE], answer, "{grpc}");
            assert_eq!(response.headers()["grpc-status"], "7", "{grpc}");
        }
        for other in [
            None,
            Some("application/json"),
            Some("application/grp"),
            Some(""),
        ] {
            let response = response(Reason::NoRule, other);
            assert_eq!(response.status(), 403, "{other:?}");
            assert!(response.headers().is_empty(), "{other:?}");
        }
    }

    #[test]
    fn invariant_12_two_reasons_behind_one_status_look_the_same() {
        for content_type in [None, Some("application/grpc")] {
            for (one, other) in [
                (Reason::NoIdentity, Reason::EndedIdentity),
                (Reason::NotAllowed, Reason::NoRule),
            ] {
                let [one, other] = [one, other].map(|reason| response(reason, content_type));
                assert_eq!(
                    (one.status(), one.headers(), one.body()),
                    (other.status(), other.headers(), other.body())
                );
            }
        }
    }
}
