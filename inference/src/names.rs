//! What a model and its parts may be called: names become parts of URLs and label values. And how
//! messages list them.

use contract::labels::PREDICTION_FEATURE;
use contract::limits::{LONGEST_NAME, MOST_FEATURES};
use std::collections::HashSet;

/// Names in one message.
const MOST_LISTED: usize = 20;

/// Names that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// None, or more than the metrics can carry.
    #[error("{found} features, expected 1 to {MOST_FEATURES}")]
    Features {
        /// Features found.
        found: usize,
    },
    /// Empty, long, or with control characters.
    #[error(
        "{name:?} is no name for a {what}: \
         1 to {LONGEST_NAME} bytes without control characters are expected"
    )]
    Label {
        /// What bears the name.
        what: &'static str,
        /// The name, or its beginning.
        name: String,
    },
    /// The feature would have the series of the prediction.
    #[error("a feature cannot be named {PREDICTION_FEATURE:?}: that is the prediction itself")]
    Prediction,
    /// Two series would be one.
    #[error("two of the {what} names are {name:?}")]
    Twice {
        /// What bears the name.
        what: &'static str,
        /// The name.
        name: String,
    },
}

/// Whether `text` can be the name or version of a model: letters, digits, `.`, `_` and `-`.
pub fn is_name(text: &str) -> bool {
    let admitted = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(admitted)
}

/// Whether these can be the features of a model.
///
/// # Errors
/// [`NameError`] naming the first that cannot.
pub fn features(names: &[&str]) -> Result<(), NameError> {
    let found = names.len();
    if !(1..=MOST_FEATURES).contains(&found) {
        return Err(NameError::Features { found });
    }
    if names.contains(&PREDICTION_FEATURE) {
        return Err(NameError::Prediction);
    }
    labels("feature", names)
}

/// Whether these can be the classes of a model, whatever their number.
///
/// # Errors
/// [`NameError`] naming the first that cannot.
pub fn classes(names: &[&str]) -> Result<(), NameError> {
    labels("class", names)
}

/// Whether `name` can be the target of a model.
///
/// # Errors
/// [`NameError::Label`]
pub fn target(name: &str) -> Result<(), NameError> {
    label("target", name)
}

fn labels(what: &'static str, names: &[&str]) -> Result<(), NameError> {
    let mut seen = HashSet::new();
    for name in names {
        label(what, name)?;
        if !seen.insert(name) {
            let name = shortened(name);
            return Err(NameError::Twice { what, name });
        }
    }
    Ok(())
}

fn label(what: &'static str, name: &str) -> Result<(), NameError> {
    if (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let name = shortened(name);
    Err(NameError::Label { what, name })
}

/// `a, b, c and 5 more`: as many as a person reads.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(MOST_LISTED).map(shortened).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// At most as much of it as a person needs to find it.
pub fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_longer_than_a_message_can_be() {
        assert_eq!(listed(["a", "b"]), "a, b");
        let names: Vec<String> = (0..300).map(|at| format!("f{at}")).collect();
        let list = listed(names.iter().map(String::as_str));
        assert!(list.starts_with("f0, f1, ") && list.ends_with(", f19 and 280 more"));
        assert_eq!(listed(["x".repeat(1_000_000).as_str()]).len(), LONGEST_NAME);
    }
}
