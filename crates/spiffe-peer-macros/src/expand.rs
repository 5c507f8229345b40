use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Result};

use crate::template::{Segment, Template};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input)?;
    let template = Template::of(input)?;
    each_name_has_its_field(&template, &fields)?;

    let name = &input.ident;
    let text = &template.text;
    let pattern = template.as_pattern();
    let trust_domain = match &template.trust_domain {
        Some(domain) => quote!(::core::option::Option::Some(#domain)),
        None => quote!(::core::option::Option::None),
    };
    // A name of its own, which a field called `segments` does not hide.
    let segments = Ident::new("segments", Span::mixed_site());
    let steps = template
        .segments
        .iter()
        .map(|segment| step(segment, &segments, &fields));
    let idents = fields.iter().map(|(ident, _)| ident);
    // Located at the template, which is where a text that breaks the grammar is to be reported.
    let check = quote_spanned! {text.span()=>
        const _: () =
            if let ::core::result::Result::Err(why) =
                ::spiffe_peer::__private::CheckedPattern::of_literal(#pattern)
            {
                ::core::panic!("{}", why)
            };
    };
    Ok(quote! {
        #check

        #[automatically_derived]
        impl ::spiffe_peer::SpiffePath for #name {
            const TEMPLATE: &'static str = #text;
            const TRUST_DOMAIN: ::core::option::Option<&'static str> = #trust_domain;

            fn from_segments<'p>(
                mut #segments: impl ::core::iter::Iterator<Item = &'p str>,
            ) -> ::core::option::Option<Self> {
                #(#steps)*
                match #segments.next() {
                    ::core::option::Option::None => ::core::option::Option::Some(Self { #(#idents),* }),
                    ::core::option::Option::Some(_) => ::core::option::Option::None,
                }
            }
        }

        ::spiffe_peer::__typed_id_extractor!(#name);
    })
}

fn step(segment: &Segment, segments: &Ident, fields: &[(&Ident, &Field)]) -> TokenStream {
    match segment {
        Segment::Literal(literal) => quote! {
            if #segments.next()? != #literal {
                return ::core::option::Option::None;
            }
        },
        Segment::Named(name) => fields
            .iter()
            .filter(|(ident, _)| ident.unraw() == name)
            .map(|(ident, field)| {
                let kind = &field.ty;
                quote_spanned! {ident.span()=>
                    let #ident = <#kind as ::core::str::FromStr>::from_str(#segments.next()?).ok()?;
                }
            })
            .collect(),
    }
}

fn named_fields(input: &DeriveInput) -> Result<Vec<(&Ident, &Field)>> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a typed ID has no parameters",
        ));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields
                .named
                .iter()
                .filter_map(|field| field.ident.as_ref().map(|ident| (ident, field)))
                .collect()),
            Fields::Unnamed(_) | Fields::Unit => Err(not_a_struct_with_names(input)),
        },
        Data::Enum(_) | Data::Union(_) => Err(not_a_struct_with_names(input)),
    }
}

fn not_a_struct_with_names(input: &DeriveInput) -> Error {
    let why = "a typed ID is a struct with named fields, one for each `{name}` of its template";
    Error::new_spanned(&input.ident, why)
}

fn each_name_has_its_field(template: &Template, fields: &[(&Ident, &Field)]) -> Result<()> {
    for (ident, _) in fields {
        if !template.names().any(|name| ident.unraw() == name) {
            let why = format!("the template has no `{{{}}}`", ident.unraw());
            return Err(Error::new_spanned(ident, why));
        }
    }
    for name in template.names() {
        if !fields.iter().any(|(ident, _)| ident.unraw() == name) {
            let why = format!("the struct has no field for `{{{name}}}`");
            return Err(Error::new(template.text.span(), why));
        }
    }
    Ok(())
}
