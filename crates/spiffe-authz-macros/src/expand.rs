//! The whole `impl` of a service.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Generics, ImplItem, ItemImpl, Path, PathArguments, Result, Type};

use crate::method::{Method, take};

const IMPL: &str =
    "`#[authorize]` stands above the `impl` of a tonic service, `impl Orders for Service`";

pub(crate) fn expand(server: TokenStream, item: TokenStream) -> TokenStream {
    let Ok(mut service) = syn::parse2::<ItemImpl>(item.clone()) else {
        let error = Error::new_spanned(&item, IMPL).to_compile_error();
        return quote!(#error #item);
    };
    let rules = rules(server, &mut service);
    match rules {
        Ok(rules) => quote!(#service #rules),
        // The service stays, without the attributes that nobody else knows: one error, not ten.
        Err(error) => {
            let error = error.to_compile_error();
            for item in &mut service.items {
                if let ImplItem::Fn(method) = item {
                    take(&mut method.attrs, "permit");
                    take(&mut method.attrs, "rpc");
                }
            }
            quote!(#service #error)
        }
    }
}

fn rules(server: TokenStream, service: &mut ItemImpl) -> Result<TokenStream> {
    if service.trait_.is_none() {
        return Err(Error::new_spanned(&service.self_ty, IMPL));
    }
    let mut problems = Problems(None);
    let server = problems.keep(server_type(server, &service.self_ty));
    let mut methods: Vec<Method> = Vec::new();
    for item in &mut service.items {
        match item {
            ImplItem::Fn(method) => {
                if let Some(method) = problems.keep(Method::take(method)) {
                    for other in &methods {
                        problems.add(method.clashes_with(other));
                    }
                    methods.push(method);
                }
            }
            // The streams of a service.
            ImplItem::Type(kind) => {
                let ours = kind.attrs.iter().find(|attribute| {
                    attribute.path().is_ident("permit") || attribute.path().is_ident("rpc")
                });
                let why = "a type is not called: put the rule above the method";
                problems.add(ours.map(|attribute| Error::new_spanned(attribute, why)));
                take(&mut kind.attrs, "permit");
                take(&mut kind.attrs, "rpc");
            }
            other => {
                let why = "what this stands for cannot be seen from here, and might be a method without a rule: write each method of the service out";
                problems.add(Some(Error::new_spanned(other, why)));
            }
        }
    }
    let Some(server) = problems.none(server)? else {
        return Err(Error::new_spanned(&service.self_ty, IMPL));
    };
    let Server { kind, bare } = server;
    let Generics { where_clause, .. } = &service.generics;
    let (generics, _, _) = service.generics.split_for_impl();
    let own = &service.self_ty;
    let entries = methods.iter().map(Method::entry);
    let serves = bare.and_then(|server| serves(&server, service));
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::spiffe_authz::grpc::Authorized<#kind> for #own #where_clause {
            const RPCS: &'static [::spiffe_authz::grpc::RpcRule] = &[#(#entries),*];
        }
        #serves
    })
}

/// Does not compile where the server is that of another trait. A type that implements two services would
/// have the rules of one around the other, as far as they share the names of their RPCs.
fn serves(server: &Path, service: &ItemImpl) -> Option<TokenStream> {
    let (_, annotated, _) = service.trait_.as_ref()?;
    let plain = |path: &Path| {
        let mut segments = path.segments.iter();
        segments.all(|segment| matches!(segment.arguments, PathArguments::None))
    };
    // What tonic generates has no parameters; what has some was written by hand.
    plain(annotated).then(|| {
        // The error belongs to the name of the server, and not to the trait.
        let first = server.segments.first();
        let at = first.map_or(Span::call_site(), Spanned::span);
        let annotated = quote!(#annotated).into_iter().map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        });
        let annotated: TokenStream = annotated.collect();
        quote_spanned! {at=>
            const _: () = {
                fn __check<__AnyOfThisService: #annotated>() {
                    ::spiffe_authz::grpc::authorize_names_the_server_of_this_service::<#server<__AnyOfThisService>>()
                }
            };
        }
    })
}

/// The generated server around the annotated service.
struct Server {
    kind: TokenStream,
    /// Without the service, where it was written so.
    bare: Option<Path>,
}

fn server_type(server: TokenStream, own: &Type) -> Result<Server> {
    const SERVER: &str =
        "name the server type that tonic generates for this service: `#[authorize(OrdersServer)]`";
    if server.is_empty() {
        return Err(Error::new(proc_macro2::Span::call_site(), SERVER));
    }
    let path: Path =
        syn::parse2(server.clone()).map_err(|_| Error::new_spanned(&server, SERVER))?;
    let bare = path
        .segments
        .last()
        .is_none_or(|last| matches!(last.arguments, PathArguments::None));
    Ok(if bare {
        Server {
            kind: quote!(#path<#own>),
            bare: Some(path),
        }
    } else {
        Server {
            kind: quote!(#path),
            bare: None,
        }
    })
}

/// Every mistake comes out at once.
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, problem: Option<Error>) {
        match (&mut self.0, problem) {
            (Some(known), Some(problem)) => known.combine(problem),
            (None, problem) => self.0 = problem,
            (Some(_), None) => {}
        }
    }

    fn keep<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(problem) => {
                self.add(Some(problem));
                None
            }
        }
    }

    fn none<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}
