use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use ::axum::extract::Request;
use ::axum::handler::Handler;
use ::axum::response::IntoResponse;
use ::axum::routing::{self, MethodFilter, MethodRouter};
use tower_service::Service;

use super::draft::Draft;
use super::guarded::{Guarded, RouteRule};
use crate::patterns::IdPatterns;

/// Puts a handler behind the rule of its route, once both are known.
pub(super) type Mount<S> = Box<dyn FnOnce(Arc<RouteRule>) -> MethodRouter<S> + Send + Sync>;

/// The name under which [`any`] is told of in errors.
pub(super) const ANY: &str = "any";

/// Handlers of one route, each method with its rule: what [`Router::route`](super::Router::route) takes.
///
/// ```
/// use spiffe_authz::axum::{Router, get};
///
/// let orders = get(async || "all of them")
///     .allow("spiffe://example.org/service/payment-processor")
///     .allow("spiffe://example.org/ns/audit/**")
///     .post(async || "done")
///     .allow("spiffe://example.org/service/payment-processor");
/// Router::new().route("/orders", orders).build()?;
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
#[must_use = "handlers answer nothing until they are mounted"]
pub struct GuardedMethods<S = ()> {
    pub(super) methods: Vec<GuardedMethod<S>>,
}

pub(super) struct GuardedMethod<S> {
    pub(super) name: &'static str,
    pub(super) draft: Draft,
    pub(super) mount: Mount<S>,
}

/// A handler without a rule, which cannot be mounted: say who may call it.
///
/// ```
/// use spiffe_authz::axum::{GuardedMethods, Unguarded, get};
///
/// let handler: Unguarded = get(async || "the catalogue");
/// let mountable: GuardedMethods = handler.authenticated("any workload may read the catalogue");
/// ```
#[must_use = "a handler without a rule cannot be mounted: say who may call it"]
pub struct Unguarded<S = ()> {
    before: Vec<GuardedMethod<S>>,
    name: &'static str,
    mount: Mount<S>,
}

impl<S> Unguarded<S> {
    /// Lets in the peers that one of these ID patterns describes.
    pub fn allow(self, ids: impl Into<IdPatterns>) -> GuardedMethods<S> {
        self.with(Draft::ids(ids.into()))
    }

    /// Lets in every peer with a verified identity, for a reason that is not blank.
    pub fn authenticated(self, because: impl Into<String>) -> GuardedMethods<S> {
        self.with(Draft::authenticated(because.into()))
    }

    /// Lets in everybody, with an identity or without, for a reason that is not blank. An identity
    /// that has ended is still refused.
    pub fn anyone(self, because: impl Into<String>) -> GuardedMethods<S> {
        self.with(Draft::anyone(because.into()))
    }

    /// Leaves the decision to the policy that the router is [bound](super::Router::bind) to.
    pub fn policy(self) -> GuardedMethods<S> {
        self.with(Draft::policy())
    }

    fn with(self, draft: Draft) -> GuardedMethods<S> {
        let mut methods = self.before;
        methods.push(GuardedMethod {
            name: self.name,
            draft,
            mount: self.mount,
        });
        GuardedMethods { methods }
    }
}

impl<S> GuardedMethods<S> {
    /// Lets further peers into the method that was named last. Its rule must be one of IDs too.
    pub fn allow(mut self, ids: impl Into<IdPatterns>) -> Self {
        if let Some(mut last) = self.methods.pop() {
            last.draft = last.draft.and(Draft::ids(ids.into()));
            self.methods.push(last);
        }
        self
    }

    /// Keeps these peers from the method that was named last, whoever lets them in.
    pub fn deny(mut self, ids: impl Into<IdPatterns>) -> Self {
        if let Some(mut last) = self.methods.pop() {
            last.draft = last.draft.deny(ids.into());
            self.methods.push(last);
        }
        self
    }

    pub(super) fn with_state<S2>(self, state: &S) -> GuardedMethods<S2>
    where
        S: Clone + Send + Sync + 'static,
        S2: 'static,
    {
        let supply = |method: GuardedMethod<S>| {
            let (mount, state) = (method.mount, state.clone());
            let mount: Mount<S2> = Box::new(move |rule| mount(rule).with_state(state));
            GuardedMethod {
                name: method.name,
                draft: method.draft,
                mount,
            }
        };
        GuardedMethods {
            methods: self.methods.into_iter().map(supply).collect(),
        }
    }
}

impl<S> fmt::Debug for GuardedMethods<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.methods
                    .iter()
                    .map(|method| (method.name, &method.draft)),
            )
            .finish()
    }
}

impl<S> fmt::Debug for Unguarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unguarded")
            .field("method", &self.name)
            .finish_non_exhaustive()
    }
}

/// What can be mounted: handlers that all have a rule. Implemented by [`GuardedMethods`] alone.
///
/// ```
/// use spiffe_authz::axum::{HasRules, get};
///
/// fn mountable(_: impl HasRules<()>) {}
/// mountable(get(async || "hello").anyone("a greeting is for all"));
/// ```
#[diagnostic::on_unimplemented(
    message = "this route has no rule that says who may call it",
    label = "a handler without a rule",
    note = "end it with `.allow(\"spiffe://...\")`, `.authenticated(\"because ...\")`, `.anyone(\"because ...\")` or `.policy()`",
    note = "the functions of `axum::routing` know no rules: take `get`, `post`, ... from `spiffe_authz::axum`"
)]
pub trait HasRules<S>: sealed::Sealed {
    #[doc(hidden)]
    fn into_methods(self) -> GuardedMethods<S>;
}

#[diagnostic::do_not_recommend]
impl<S> HasRules<S> for GuardedMethods<S> {
    fn into_methods(self) -> Self {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl<S> Sealed for super::GuardedMethods<S> {}
}

fn handle<H, T, S>(
    before: Vec<GuardedMethod<S>>,
    name: &'static str,
    filter: MethodFilter,
    handler: H,
) -> Unguarded<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let mount: Mount<S> =
        Box::new(move |rule| routing::on::<_, T, S>(filter, Guarded::new(rule, handler)));
    Unguarded {
        before,
        name,
        mount,
    }
}

fn handle_any<H, T, S>(before: Vec<GuardedMethod<S>>, handler: H) -> Unguarded<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    let mount: Mount<S> =
        Box::new(move |rule| routing::any::<_, T, S>(Guarded::new(rule, handler)));
    Unguarded {
        before,
        name: ANY,
        mount,
    }
}

macro_rules! methods {
    ($($name:ident $filter:ident),* $(,)?) => {
        $(
            #[doc = concat!("Answers `", stringify!($filter), "` with a handler that still needs a rule.")]
            ///
            /// ```
            #[doc = concat!("use spiffe_authz::axum::{Router, ", stringify!($name), "};")]
            ///
            #[doc = concat!("let handler = ", stringify!($name), "(async || ()).allow(\"spiffe://example.org/service/orders\");")]
            /// Router::new().route("/orders", handler).build()?;
            /// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
            /// ```
            pub fn $name<H, T, S>(handler: H) -> Unguarded<S>
            where
                H: Handler<T, S>,
                T: 'static,
                S: Clone + Send + Sync + 'static,
            {
                handle(Vec::new(), stringify!($filter), MethodFilter::$filter, handler)
            }
        )*

        impl<S> GuardedMethods<S>
        where
            S: Clone + Send + Sync + 'static,
        {
            $(
                #[doc = concat!("Answers `", stringify!($filter), "` of the same route with a handler that needs a rule of its own.")]
                pub fn $name<H, T>(self, handler: H) -> Unguarded<S>
                where
                    H: Handler<T, S>,
                    T: 'static,
                {
                    handle(self.methods, stringify!($filter), MethodFilter::$filter, handler)
                }
            )*

            /// Answers every other method of the same route, also one that no one has heard of, with a
            /// handler that needs a rule of its own.
            pub fn any<H, T>(self, handler: H) -> Unguarded<S>
            where
                H: Handler<T, S>,
                T: 'static,
            {
                handle_any(self.methods, handler)
            }
        }
    };
}

methods! {
    connect CONNECT,
    delete DELETE,
    get GET,
    head HEAD,
    options OPTIONS,
    patch PATCH,
    post POST,
    put PUT,
    trace TRACE,
}

/// Answers every method, also one that no one has heard of, with a handler that still needs a rule.
///
/// ```
/// use spiffe_authz::axum::{Router, any};
///
/// let handler = any(async || "whatever").allow("spiffe://example.org/service/orders");
/// Router::new().route("/orders", handler).build()?;
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
pub fn any<H, T, S>(handler: H) -> Unguarded<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    handle_any(Vec::new(), handler)
}

/// Answers every method with a Tower service that still needs a rule.
///
/// ```
/// use axum::{extract::Request, response::Response};
/// use spiffe_authz::axum::{Router, any_service};
/// use tower::service_fn;
///
/// let files = service_fn(async |_: Request| Ok::<_, std::convert::Infallible>(Response::new("a file".to_owned())));
/// Router::new().service("/files", any_service(files).allow("spiffe://example.org/ns/web/**")).build()?;
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
pub fn any_service<T, S>(service: T) -> Unguarded<S>
where
    T: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    S: Clone + Send + Sync + 'static,
{
    let mount: Mount<S> = Box::new(move |rule| routing::any_service(Guarded::new(rule, service)));
    Unguarded {
        before: Vec::new(),
        name: ANY,
        mount,
    }
}

/// Answers `GET` and `HEAD` with a Tower service that still needs a rule.
///
/// ```
/// use axum::{extract::Request, response::Response};
/// use spiffe_authz::axum::{Router, get_service};
/// use tower::service_fn;
///
/// let page = service_fn(async |_: Request| Ok::<_, std::convert::Infallible>(Response::new("a page".to_owned())));
/// Router::new().route("/page", get_service(page).authenticated("any workload may read it")).build()?;
/// # Ok::<(), spiffe_authz::axum::InvalidRouter>(())
/// ```
pub fn get_service<T, S>(service: T) -> Unguarded<S>
where
    T: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    S: Clone + Send + Sync + 'static,
{
    let mount: Mount<S> = Box::new(move |rule| routing::get_service(Guarded::new(rule, service)));
    Unguarded {
        before: Vec::new(),
        name: "GET",
        mount,
    }
}
