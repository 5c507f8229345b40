use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use spiffe_peer::parse;

use super::answer::word;
use super::{RecordedRequest, harmless};
use crate::policy::model::{Effect, Spot, TestModel};
use crate::policy::{InvalidPolicy, Policy};

/// Runs the tests that a policy file brings along, in their order.
#[must_use]
pub fn tests(policy: &Policy, at: SystemTime) -> Vec<TestOutcome> {
    (1..)
        .zip(&policy.model().tests)
        .map(|(number, test)| TestOutcome::of(policy, number, test, at))
        .collect()
}

/// What came of one of a policy's own tests.
///
/// ```
/// use std::time::SystemTime;
/// use spiffe_authz::policy::{Policy, review};
///
/// let policy = Policy::from_yaml("
/// version: 1
/// name: closed
/// rules: []
/// tests:
///   - { request: GET /, expect: allow }
/// ")?;
/// let outcome = &review::tests(&policy, SystemTime::now())[0];
/// assert!(!outcome.is_passed());
/// assert_eq!(outcome.to_string(), "test 1: GET /: expected allow, got deny (no_identity)");
/// # Ok::<(), spiffe_authz::policy::InvalidPolicy>(())
/// ```
#[derive(Debug, Clone)]
pub struct TestOutcome {
    label: String,
    at: Spot,
    request: String,
    expected: String,
    got: String,
    passed: bool,
}

impl TestOutcome {
    fn of(policy: &Policy, number: usize, test: &TestModel, at: SystemTime) -> Self {
        let label = match &test.name {
            Some(name) => format!("`{}`", harmless(name)),
            None => format!("test {number}"),
        };
        let request = RecordedRequest::new(String::new(), test.case.clone());
        let decision = policy.decide(&request.query(at));
        let wanted = test.expect == Effect::Allow;
        let mut got = word(decision.is_allowed()).to_owned();
        match decision.rule() {
            Some(rule) => got.push_str(&format!(" by `{}`", harmless(rule))),
            None => got.push_str(&format!(" ({})", decision.reason())),
        }
        if let Some(why) = decision.not_canonical() {
            got.push_str(&format!(": {why}"));
        }
        for (rule, error) in decision.errors() {
            got.push_str(&format!(
                ", and the condition of `{}` failed: {}",
                harmless(rule),
                harmless(error)
            ));
        }
        let mut expected = word(wanted).to_owned();
        if let Some(rule) = &test.rule {
            expected.push_str(&format!(" by `{}`", harmless(rule)));
        }
        Self {
            label,
            at: test.at,
            request: format!("{} {}", test.case.method, harmless(&test.case.target)),
            expected,
            got,
            passed: decision.is_allowed() == wanted
                && test
                    .rule
                    .as_deref()
                    .is_none_or(|rule| decision.rule() == Some(rule)),
        }
    }

    /// Whether the decision, and the rule where the test names one, is the one expected.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.passed
    }

    /// The line of the test, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.at.line
    }

    /// The column of the test, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.at.column
    }
}

/// The test, what was expected and what came, on one line.
impl fmt::Display for TestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            request,
            expected,
            got,
            ..
        } = self;
        if self.passed {
            write!(f, "{label}: {request}: {got}")
        } else {
            write!(f, "{label}: {request}: expected {expected}, got {got}")
        }
    }
}

/// Reads a policy from a file and runs its own tests, now: the body of
/// [`policy_tests!`](crate::policy_tests). `own` is the trust domain that `own:` stands for.
///
/// # Errors
///
/// [`FailedTests`] with a line for each test that failed, or with why there is none to run.
pub fn run_file(path: impl AsRef<Path>, own: Option<&str>) -> Result<(), FailedTests> {
    let path = path.as_ref();
    let failed = |why: &dyn fmt::Display| FailedTests(format!("{}: {why}", path.display()));
    let mut loader = Policy::loader();
    if let Some(own) = own {
        let own = parse::trust_domain(own).map_err(|error| failed(&error))?;
        loader = loader.own_trust_domain(own);
    }
    let policy = loader
        .from_path(path)
        .map_err(|error: InvalidPolicy| FailedTests(error.to_string()))?;
    let outcomes = tests(&policy, SystemTime::now());
    if outcomes.is_empty() {
        return Err(failed(&"the policy has no `tests`"));
    }
    let lines: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_passed())
        .map(|outcome| {
            let (line, column) = (outcome.line(), outcome.column());
            format!("\n{}:{line}:{column}: {outcome}", path.display())
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let (bad, all) = (lines.len(), outcomes.len());
    Err(failed(&format_args!(
        "{bad} of {all} tests failed{}",
        lines.concat()
    )))
}

/// Tests of a policy that failed, or that could not be run: a text for a person.
///
/// ```
/// let error = spiffe_authz::policy::review::run_file("nowhere.yaml", None).unwrap_err();
/// assert!(error.to_string().contains("nowhere.yaml"), "{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTests(String);

impl fmt::Display for FailedTests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FailedTests {}

/// Runs the own tests of policy files under `cargo test`.
///
/// It makes a test `policy_tests` of the file, whose path begins at the package's directory. The test
/// fails where the policy does not load, has no tests, or decides otherwise than one of them expects.
/// `own` is the trust domain for patterns that begin with `own:`. For several files, write each in a
/// module.
///
/// ```
/// mod orders {
///     spiffe_authz::policy_tests!("policies/orders.yaml");
/// }
/// mod shipping {
///     spiffe_authz::policy_tests!("policies/shipping.yaml", own = "example.org");
/// }
/// ```
#[macro_export]
macro_rules! policy_tests {
    ($file:literal $(,)?) => {
        $crate::policy_tests!(@ $file, ::core::option::Option::None);
    };
    ($file:literal, own = $own:literal $(,)?) => {
        $crate::policy_tests!(@ $file, ::core::option::Option::Some($own));
    };
    (@ $file:literal, $own:expr) => {
        #[test]
        fn policy_tests() {
            let file = ::std::path::Path::new(::core::env!("CARGO_MANIFEST_DIR")).join($file);
            if let ::core::result::Result::Err(failed) = $crate::policy::review::run_file(file, $own) {
                ::core::panic!("{failed}");
            }
        }
    };
}
