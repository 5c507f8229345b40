//! One method of the service, with its rule.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Ident, ImplItemFn, LitStr, Result};

use crate::permit::{FORMS, Permit};

pub(crate) struct Method {
    ident: Ident,
    /// As in the `.proto` file.
    pub(crate) rpc: String,
    permit: Permit,
    /// Under which conditions there is such a method at all.
    conditions: Vec<Attribute>,
}

impl Method {
    /// Takes the attributes that are ours from a method.
    pub(crate) fn take(method: &mut ImplItemFn) -> Result<Self> {
        let ident = method.sig.ident.clone();
        let permits = take(&mut method.attrs, "permit");
        let names = take(&mut method.attrs, "rpc");
        let rpc = match names.as_slice() {
            [] => camel_case(&ident),
            [name] => rpc_name(name)?,
            [_, second, ..] => {
                return Err(Error::new_spanned(second, "an RPC has one name"));
            }
        };
        let permit = match permits.as_slice() {
            [] => {
                return Err(Error::new(
                    ident.span(),
                    format!("`{ident}` has no rule that says who may call it; {FORMS}"),
                ));
            }
            [permit] => Permit::of(permit)?,
            [_, second, ..] => {
                let why = format!(
                    "`{ident}` has two rules: put all callers into one, `#[permit(\"…\", \"…\")]`"
                );
                return Err(Error::new_spanned(second, why));
            }
        };
        let conditions = method.attrs.iter();
        let conditions = conditions.filter(|attribute| attribute.path().is_ident("cfg"));
        Ok(Self {
            ident,
            rpc,
            permit,
            conditions: conditions.cloned().collect(),
        })
    }

    pub(crate) fn clashes_with(&self, other: &Self) -> Option<Error> {
        // Of two methods under conditions at most one may be there.
        let both = self.conditions.is_empty() && other.conditions.is_empty();
        (both && self.rpc == other.rpc).then(|| {
            let (one, two, rpc) = (&other.ident, &self.ident, &self.rpc);
            let why = format!(
                "`{one}` and `{two}` are both the RPC `{rpc}`: write `#[rpc(\"…\")]` with the name of the `.proto` file above the one that is another"
            );
            Error::new(two.span(), why)
        })
    }

    pub(crate) fn entry(&self) -> TokenStream {
        let Self {
            rpc,
            permit,
            conditions,
            ..
        } = self;
        quote! {
            #(#conditions)*
            ::spiffe_authz::grpc::RpcRule::new(#rpc, #permit)
        }
    }
}

/// Removes the attributes of this name.
pub(crate) fn take(attributes: &mut Vec<Attribute>, name: &str) -> Vec<Attribute> {
    let (taken, left) = std::mem::take(attributes)
        .into_iter()
        .partition(|attribute| attribute.path().is_ident(name));
    *attributes = left;
    taken
}

fn rpc_name(attribute: &Attribute) -> Result<String> {
    const FORM: &str = "write the RPC's own name as in the `.proto` file: `#[rpc(\"GetURL\")]`";
    let name: LitStr = attribute
        .parse_args()
        .map_err(|error| Error::new(error.span(), FORM))?;
    let text = name.value();
    let mut bytes = text.bytes();
    let begins = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic());
    if begins && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        Ok(text)
    } else {
        Err(Error::new(name.span(), FORM))
    }
}

fn camel_case(ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    let mut camel = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
