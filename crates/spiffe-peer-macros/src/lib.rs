//! The derive macro of `spiffe-peer`. Use it from there; its documentation is at the trait
//! `spiffe_peer::SpiffePath`.

mod expand;
mod template;

use proc_macro::TokenStream;

/// Makes a struct one that is read from a SPIFFE ID; see the trait of the same name.
#[proc_macro_derive(SpiffePath, attributes(spiffe))]
pub fn derive_spiffe_path(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
