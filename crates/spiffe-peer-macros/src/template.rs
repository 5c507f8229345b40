use syn::{DeriveInput, Error, LitStr, Result};

const ATTRIBUTE: &str =
    "write `#[spiffe(\"/ns/{namespace}/sa/{service_account}\")]` above the struct";

/// What `#[spiffe("…")]` says.
///
/// Only what the generated code needs is taken apart here. Whether the text follows the grammar of
/// ID patterns is judged by `spiffe-peer` itself, in a constant of the generated code.
pub(crate) struct Template {
    pub(crate) text: LitStr,
    pub(crate) trust_domain: Option<String>,
    pub(crate) segments: Vec<Segment>,
}

pub(crate) enum Segment {
    Literal(String),
    Named(String),
}

impl Template {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut attributes = input
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("spiffe"));
        let attribute = attributes.next().ok_or_else(|| {
            Error::new_spanned(
                &input.ident,
                format!("the template is missing: {ATTRIBUTE}"),
            )
        })?;
        if let Some(second) = attributes.next() {
            return Err(Error::new_spanned(second, "a struct has one template"));
        }
        let text: LitStr = attribute
            .parse_args()
            .map_err(|error| Error::new(error.span(), format!("{error}; {ATTRIBUTE}")))?;
        Self::read(text)
    }

    fn read(text: LitStr) -> Result<Self> {
        let value = text.value();
        let (trust_domain, path) = match value.strip_prefix("spiffe://") {
            Some(rest) => match rest.split_once('/') {
                Some((domain, path)) => (Some(domain.to_owned()), path),
                None => return Err(Error::new(text.span(), "the template has no path")),
            },
            None => match value.strip_prefix('/') {
                Some(path) => (None, path),
                None => {
                    let why = "a template begins with `/`, or with `spiffe://` and a trust domain";
                    return Err(Error::new(text.span(), why));
                }
            },
        };
        let segments = path
            .split('/')
            .map(|part| match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => Ok(Segment::Named(name.to_owned())),
                None if matches!(part, "*" | "**") => {
                    let why = "every wildcard of a template has a name: write `{name}` and a field for it";
                    Err(Error::new(text.span(), why))
                }
                None => Ok(Segment::Literal(part.to_owned())),
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            text,
            trust_domain,
            segments,
        })
    }

    /// The template as an ID pattern, which is what its grammar is.
    pub(crate) fn as_pattern(&self) -> LitStr {
        let value = self.text.value();
        let pattern = match self.trust_domain {
            Some(_) => value,
            None => format!("spiffe://any{value}"),
        };
        LitStr::new(&pattern, self.text.span())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Named(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}
