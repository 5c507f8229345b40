//! What `#[permit(…)]` says.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use spiffe_peer::IdPattern;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, LitStr, Meta, Result, Token};

pub(crate) const FORMS: &str = "write one of\n  \
    #[permit(\"spiffe://example.org/service/payment-processor\")]\n  \
    #[permit(principal = \"payments\")]\n  \
    #[permit(authenticated, because = \"…\")]\n  \
    #[permit(anyone, because = \"…\")]\n  \
    #[permit(policy)]";

const WORDS: [&str; 5] = ["principal", "authenticated", "anyone", "policy", "because"];

/// Who may call one RPC.
pub(crate) enum Permit {
    Callers {
        ids: Vec<LitStr>,
        principals: Vec<LitStr>,
    },
    Authenticated(LitStr),
    Anyone(LitStr),
    Policy,
}

impl Permit {
    pub(crate) fn of(attribute: &Attribute) -> Result<Self> {
        match &attribute.meta {
            Meta::List(list) => attribute.parse_args::<Said>()?.judge(list.span()),
            Meta::Path(_) | Meta::NameValue(_) => Err(Error::new_spanned(
                attribute,
                format!("the rule says nobody; {FORMS}"),
            )),
        }
    }
}

impl ToTokens for Permit {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let permit = quote!(::spiffe_authz::grpc::Permit);
        tokens.extend(match self {
            Self::Callers { ids, principals } => quote! {
                #permit::Callers { ids: &[#(#ids),*], principals: &[#(#principals),*] }
            },
            Self::Authenticated(because) => quote!(#permit::Authenticated { because: #because }),
            Self::Anyone(because) => quote!(#permit::Anyone { because: #because }),
            Self::Policy => quote!(#permit::Policy),
        });
    }
}

/// The words of an attribute, before it is known whether they make a rule.
struct Said {
    ids: Vec<LitStr>,
    principals: Vec<LitStr>,
    authenticated: Option<Span>,
    anyone: Option<Span>,
    policy: Option<Span>,
    because: Option<LitStr>,
}

impl Parse for Said {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut said = Self {
            ids: Vec::new(),
            principals: Vec::new(),
            authenticated: None,
            anyone: None,
            policy: None,
            because: None,
        };
        while !input.is_empty() {
            if input.peek(LitStr) {
                said.ids.push(pattern(input.parse()?)?);
            } else {
                said.word(input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>().map_err(|error| {
                    Error::new(
                        error.span(),
                        format!("only a comma may stand here; {FORMS}"),
                    )
                })?;
            }
        }
        Ok(said)
    }
}

impl Said {
    fn word(&mut self, input: ParseStream<'_>) -> Result<()> {
        let word: Ident = input
            .parse()
            .map_err(|error| Error::new(error.span(), format!("this is no rule; {FORMS}")))?;
        let twice = match word.to_string().as_str() {
            "principal" => {
                self.principals.push(said(&word, input)?);
                false
            }
            "because" => self.because.replace(said(&word, input)?).is_some(),
            "authenticated" => self.authenticated.replace(word.span()).is_some(),
            "anyone" => self.anyone.replace(word.span()).is_some(),
            "policy" => self.policy.replace(word.span()).is_some(),
            unknown => return Err(Error::new(word.span(), unknown_word(unknown))),
        };
        if twice {
            return Err(Error::new(word.span(), format!("`{word}` is said twice")));
        }
        Ok(())
    }

    fn judge(self, whole: Span) -> Result<Permit> {
        let names_callers = !self.ids.is_empty() || !self.principals.is_empty();
        let kinds = [
            names_callers,
            self.authenticated.is_some(),
            self.anyone.is_some(),
            self.policy.is_some(),
        ];
        match kinds.iter().filter(|said| **said).count() {
            0 => return Err(Error::new(whole, format!("the rule says nobody; {FORMS}"))),
            1 => {}
            _ => {
                let why = "a rule either names callers or is `authenticated` or is `anyone` or is left to the `policy`";
                return Err(Error::new(whole, format!("{why}; {FORMS}")));
            }
        }
        match (self.authenticated, self.anyone, self.because) {
            (Some(word), _, because) => {
                reason("authenticated", word, because).map(Permit::Authenticated)
            }
            (_, Some(word), because) => reason("anyone", word, because).map(Permit::Anyone),
            (None, None, Some(because)) => Err(Error::new(
                because.span(),
                "only `authenticated` and `anyone` have a reason: take `because` out, and write it as a comment",
            )),
            (None, None, None) if self.policy.is_some() => Ok(Permit::Policy),
            (None, None, None) => Ok(Permit::Callers {
                ids: self.ids,
                principals: self.principals,
            }),
        }
    }
}

fn pattern(text: LitStr) -> Result<LitStr> {
    match text.value().parse::<IdPattern>() {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::new(text.span(), error.to_string())),
    }
}

fn said(word: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    let missing = |span| Error::new(span, format!("write `{word} = \"…\"`"));
    if !input.peek(Token![=]) {
        return Err(missing(word.span()));
    }
    input.parse::<Token![=]>()?;
    let text: LitStr = input
        .parse()
        .map_err(|error: Error| missing(error.span()))?;
    if text.value().trim().is_empty() {
        let why = match word == "because" {
            true => "the reason is blank: write in words why no particular caller is asked for",
            false => "a principal has a name: write the one that the policy gives it",
        };
        return Err(Error::new(text.span(), why));
    }
    Ok(text)
}

fn reason(word: &str, span: Span, because: Option<LitStr>) -> Result<LitStr> {
    because.ok_or_else(|| {
        Error::new(
            span,
            format!("a rule that asks for no particular caller says why: write `#[permit({word}, because = \"…\")]`"),
        )
    })
}

fn unknown_word(unknown: &str) -> String {
    if unknown.starts_with(char::is_uppercase) {
        return format!(
            "what `{unknown}` stands for is not known here: write the text itself; {FORMS}"
        );
    }
    let near = WORDS
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(word, unknown), word))
        .filter(|(distance, word)| {
            *distance <= word.len() / 3 || (unknown.len() > 2 && word.starts_with(unknown))
        })
        .min();
    match near {
        Some((_, word)) => format!("there is no word `{unknown}`; did you mean `{word}`?"),
        None => format!("there is no word `{unknown}`; {FORMS}"),
    }
}
