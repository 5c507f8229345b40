use spiffe_peer::{IdPattern, InvalidPattern};

/// One or many ID patterns, parsed but not judged: what is wrong with them comes out where the rule
/// is made.
///
/// ```
/// use spiffe_authz::{IdPatterns, Rule};
///
/// let batch = ["import", "export"].map(|name| format!("spiffe://example.org/batch/{name}"));
/// assert!(Rule::allow(batch).is_ok());
/// assert!(Rule::allow("spiffe://example.org/**").is_ok());
///
/// let none: IdPatterns = Vec::<String>::new().into();
/// assert!(Rule::allow(none).unwrap_err().is_without_ids(), "empty never means any");
/// ```
#[derive(Debug, Clone, Default)]
pub struct IdPatterns(Vec<Result<IdPattern, InvalidPattern>>);

impl IdPatterns {
    pub(crate) fn into_vec(self) -> Vec<Result<IdPattern, InvalidPattern>> {
        self.0
    }

    #[cfg(feature = "axum")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }
}

impl From<&str> for IdPatterns {
    fn from(text: &str) -> Self {
        Self(vec![text.parse()])
    }
}

impl From<&String> for IdPatterns {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for IdPatterns {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<IdPattern> for IdPatterns {
    fn from(pattern: IdPattern) -> Self {
        Self(vec![Ok(pattern)])
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for IdPatterns {
    fn from(many: [T; N]) -> Self {
        many.into_iter().collect()
    }
}

impl<T: Into<Self>> From<Vec<T>> for IdPatterns {
    fn from(many: Vec<T>) -> Self {
        many.into_iter().collect()
    }
}

impl<'a, T> From<&'a [T]> for IdPatterns
where
    &'a T: Into<Self>,
{
    fn from(many: &'a [T]) -> Self {
        many.iter().collect()
    }
}

impl<T: Into<Self>> FromIterator<T> for IdPatterns {
    fn from_iter<I: IntoIterator<Item = T>>(many: I) -> Self {
        Self(many.into_iter().flat_map(|one| one.into().0).collect())
    }
}
