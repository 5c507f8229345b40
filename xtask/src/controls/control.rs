/// A check of the workspace, how to remove it, and the test that has to fail then.
pub(crate) struct Control {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// The invariant of CONTRIBUTING.md that the check keeps.
    pub(super) invariant: u8,
    /// What the workspace does without the check.
    pub(super) without: &'static str,
    /// Removes the check. Several where it stands twice, so that one would cover for the other.
    pub(super) edits: &'static [Edit],
    pub(super) test: Test,
}

/// A text that stands exactly once in a file, and what takes its place.
pub(super) struct Edit {
    /// From the root.
    pub(super) file: &'static str,
    pub(super) text: &'static str,
    pub(super) replacement: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) package: &'static str,
    pub(super) target: Target,
    /// Its whole path in the target.
    pub(super) name: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The unit tests of the library.
    Library,
    /// A file or directory in `tests`.
    Test(&'static str),
}

impl Target {
    /// What chooses it on cargo's command line.
    pub(super) fn flags(self) -> Vec<&'static str> {
        match self {
            Self::Library => vec!["--lib"],
            Self::Test(name) => vec!["--test", name],
        }
    }
}

/// A test in `tests/integration`.
pub(super) const fn integration(target: &'static str, name: &'static str) -> Test {
    Test {
        package: "integration",
        target: Target::Test(target),
        name,
    }
}

/// A test in the `tests` directory of a crate.
pub(super) const fn of_crate(
    package: &'static str,
    target: &'static str,
    name: &'static str,
) -> Test {
    Test {
        package,
        target: Target::Test(target),
        name,
    }
}

/// A unit test.
pub(super) const fn unit(package: &'static str, name: &'static str) -> Test {
    Test {
        package,
        target: Target::Library,
        name,
    }
}
