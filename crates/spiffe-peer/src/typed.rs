use std::fmt;

use spiffe::SpiffeId;

use crate::parse;

/// A struct that is read from the path of a SPIFFE ID, segment by segment.
///
/// `#[derive(SpiffePath)]` (feature `macros`) writes it from a template. Each `{name}` is one whole
/// segment and has a field of that name, of any type that is [`FromStr`](std::str::FromStr); an ID
/// whose segment the type refuses is of another shape. Everything else in the template stands for
/// itself. What is no template, and a name without its field, does not compile.
///
/// ```
/// use spiffe_peer::{SpiffePath, parse};
///
/// #[derive(SpiffePath)]
/// #[spiffe("spiffe://example.org/ns/{namespace}/sa/{service_account}")]
/// struct Workload {
///     namespace: String,
///     service_account: String,
/// }
///
/// let orders = Workload::from_id(&parse::workload_id("spiffe://example.org/ns/shop/sa/orders")?)?;
/// assert_eq!((orders.namespace.as_str(), orders.service_account.as_str()), ("shop", "orders"));
///
/// let other = parse::workload_id("spiffe://example.com/ns/shop/sa/orders")?;
/// assert!(Workload::from_id(&other).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Trust domains
///
/// A template may begin at the path, as in `#[spiffe("/ns/{namespace}")]`. It then meets that path in
/// **every** trust domain, federated ones included. Leave the trust domain away only where
/// something else has decided about it, such as a rule before the handler.
///
/// # As an extractor
///
/// With the feature `axum`, a derived struct is an argument of handlers: 401 where the request has no
/// current [`PeerIdentity`](crate::PeerIdentity), 403 where the peer's ID has another shape.
#[cfg_attr(
    all(feature = "axum", feature = "macros"),
    doc = "
```
use spiffe_peer::SpiffePath;

#[derive(SpiffePath)]
#[spiffe(\"spiffe://example.org/ns/{namespace}/sa/{service_account}\")]
struct Workload {
    namespace: String,
    service_account: String,
}

async fn hello(Workload { namespace, service_account }: Workload) -> String {
    format!(\"{service_account} of {namespace}\")
}

let app: axum::Router = axum::Router::new().route(\"/\", axum::routing::get(hello));
```"
)]
pub trait SpiffePath: Sized {
    /// The template as it was written.
    const TEMPLATE: &'static str;

    /// The one trust domain whose IDs are meant, where the template names it.
    const TRUST_DOMAIN: Option<&'static str>;

    /// Reads the segments of a path, each once and in order; `None` where they have another shape.
    ///
    /// It does not look at the trust domain: call [`from_id`](Self::from_id).
    fn from_segments<'p>(segments: impl Iterator<Item = &'p str>) -> Option<Self>;

    /// Reads the ID.
    ///
    /// # Errors
    ///
    /// [`PathMismatch`] where the ID is of another trust domain than the template names, or its path
    /// has another shape.
    fn from_id(id: &SpiffeId) -> Result<Self, PathMismatch> {
        let of_other_domain =
            Self::TRUST_DOMAIN.is_some_and(|domain| domain != id.trust_domain().as_str());
        let read = if of_other_domain {
            None
        } else {
            Self::from_segments(id.path().split('/').skip(1))
        };
        read.ok_or_else(|| PathMismatch {
            template: Self::TEMPLATE,
            id: parse::shortened(&id.to_string(), parse::SHOWN),
        })
    }
}

/// An ID of another shape than a [`SpiffePath`] asks for.
///
#[cfg_attr(
    feature = "macros",
    doc = "
```
use spiffe_peer::{SpiffePath, parse};

#[derive(Debug, SpiffePath)]
#[spiffe(\"/tenant/{number}\")]
struct Tenant {
    number: u32,
}

let error = Tenant::from_id(&parse::workload_id(\"spiffe://example.org/tenant/x\")?).unwrap_err();
assert_eq!(
    error.to_string(),
    \"`spiffe://example.org/tenant/x` has not the shape `/tenant/{number}`\"
);
# Ok::<(), parse::InvalidId>(())
```"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMismatch {
    template: &'static str,
    id: String,
}

impl fmt::Display for PathMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has not the shape `{}`", self.id, self.template)
    }
}

impl std::error::Error for PathMismatch {}
