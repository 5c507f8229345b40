//! Names and words that look like others.

#[cfg(not(feature = "confusables"))]
impl super::Survey<'_> {
    pub(super) fn names(&self) {}
}

#[cfg(feature = "confusables")]
mod confusable {
    use std::collections::HashMap;

    use unicode_security::{GeneralSecurityProfile as _, MixedScript as _, skeleton};

    use super::super::{Survey, harmless};
    use crate::policy::model::Spot;
    use crate::policy::path::Segment;

    const KIND: &str = "confusable";

    impl Survey<'_> {
        pub(crate) fn names(&mut self) {
            let model = self.model;
            let rules = model.rules.iter().map(|rule| (rule.name.as_str(), rule.at));
            let principals = model.principals.iter().map(|it| (it.name.as_str(), it.at));
            let users = model.users.iter().map(|user| (user.name.as_str(), user.at));
            self.look_alikes("rules", rules.clone());
            self.look_alikes("principals", principals.clone());
            for (name, at) in rules.chain(principals).chain(users) {
                self.word(name, at);
            }
            for rule in &model.rules {
                for action in &rule.actions {
                    for segment in &action.path.segments {
                        if let Segment::Literal(literal) = segment {
                            self.word(literal, action.at);
                        }
                    }
                }
                if let Some(when) = &rule.when {
                    self.word(&when.text, when.at);
                }
            }
        }

        /// Names that differ, and that a reader takes for the same.
        fn look_alikes<'n>(&mut self, what: &str, names: impl Iterator<Item = (&'n str, Spot)>) {
            let mut seen = HashMap::<String, &str>::new();
            for (name, at) in names {
                let looks = skeleton(name).collect();
                let first = *seen.entry(looks).or_insert(name);
                if first != name {
                    let message = format!(
                        "two {what} look alike, `{}` and `{}`: give one of them another name",
                        harmless(first),
                        harmless(name)
                    );
                    self.about(KIND, at, message);
                }
            }
        }

        fn word(&mut self, text: &str, at: Spot) {
            if text.is_ascii() {
                return;
            }
            if let Some(sign) = text.chars().find(|sign| is_unseen(*sign)) {
                let message = format!(
                    "U+{:04X} stands in `{}`, which is not seen or turns what stands beside it: take it out",
                    u32::from(sign),
                    harmless(text)
                );
                self.about(KIND, at, message);
                return;
            }
            let mut words = text.split(|sign: char| !sign.is_alphanumeric());
            if let Some(word) = words.find(|word| poses(word)) {
                let signs: Vec<_> = word
                    .chars()
                    .filter(|sign| !sign.is_ascii())
                    .map(|sign| format!("U+{:04X}", u32::from(sign)))
                    .collect();
                let message = format!(
                    "`{}` has letters that look like others ({}): write it in one script",
                    harmless(word),
                    signs.join(", ")
                );
                self.about(KIND, at, message);
            }
        }
    }

    /// Signs that stand in no word of any script, and that a screen does not show.
    fn is_unseen(sign: char) -> bool {
        !sign.is_ascii()
            && !sign.is_alphanumeric()
            && !sign.identifier_allowed()
            && sign.escape_debug().count() > 1
    }

    /// Whether a word mixes scripts, or is foreign and looks like ASCII all through.
    fn poses(word: &str) -> bool {
        !word.is_ascii() && (!word.is_single_script() || skeleton(word).all(|sign| sign.is_ascii()))
    }
}
