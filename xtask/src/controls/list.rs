mod bounds;
mod connector;
mod decisions;
mod identity;
mod policy;
mod secrets;
mod source;
mod trust;
mod withdrawal;

use super::control::Control;

/// Every control.
pub(super) const ALL: [&[Control]; 9] = [
    &identity::CONTROLS,
    &trust::CONTROLS,
    &withdrawal::CONTROLS,
    &connector::CONTROLS,
    &source::CONTROLS,
    &decisions::CONTROLS,
    &policy::CONTROLS,
    &secrets::CONTROLS,
    &bounds::CONTROLS,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::ALL;

    /// Sooner than a run of the controls would tell.
    #[test]
    fn what_the_controls_replace_is_there_once() {
        let mut names = HashSet::new();
        let mut lost = Vec::new();
        for control in ALL.into_iter().flatten() {
            assert!(names.insert(control.name), "{} stands twice", control.name);
            for edit in control.edits {
                let content = fs::read_to_string(crate::root().join(edit.file)).unwrap_or_default();
                if content.matches(edit.text).count() != 1 {
                    lost.push(format!("{}: {}: {}", control.name, edit.file, edit.text));
                }
            }
        }
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}
