//! Values of one label, of which there are never more than so many.

use super::parameters::Names;
use arc_swap::ArcSwap;
use contract::business::{BusinessLabel, LONGEST_VALUE, LabelSource, NONE, OTHER};
use prometheus::IntCounter;
use std::collections::HashMap;

/// A label of one metric.
#[derive(Debug)]
pub(super) struct Label {
    /// Where its values come from.
    pub(super) source: Source,
    /// Those that are there from the start.
    pub(super) listed: Vec<String>,
    /// Index of each value that was admitted. Those who look need no lock: there is one only while
    /// a value comes for the first time, which happens at most [`Self::most`] times.
    known: ArcSwap<HashMap<Box<str>, u16>>,
    most: usize,
    /// Observations whose value became [`OTHER`].
    pub(super) overflow: IntCounter,
}

/// Where the values of a label come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The parameter in this place.
    Parameter(usize),
    /// The predicted class.
    Outcome,
    /// The API key.
    ApiKey,
    /// The one value that is listed.
    Constant,
}

/// A value that a label may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    /// Its index: the same for the same text.
    pub(super) at: u16,
    /// As the exposition shows it.
    pub(super) text: &'a str,
    /// Whether it stands for another.
    pub(super) lost: bool,
}

impl Value<'_> {
    /// Of a request that has none.
    const NONE: Self = Self {
        at: 0,
        text: NONE,
        lost: false,
    };
    /// Sent as such.
    const OTHER: Self = Self {
        at: 1,
        text: OTHER,
        lost: false,
    };
    /// For one that has no place of its own.
    pub(super) const LOST: Self = Self {
        lost: true,
        ..Self::OTHER
    };
    const FIRST: usize = 2;
}

impl Label {
    /// As `label` says, whose parameter is in `names`.
    pub(super) fn new(label: &BusinessLabel, names: &Names, overflow: IntCounter) -> Self {
        let (source, listed) = match &label.source {
            LabelSource::Constant(value) => (Source::Constant, vec![value.clone()]),
            LabelSource::Outcome => (Source::Outcome, label.values.clone()),
            LabelSource::ApiKey => (Source::ApiKey, label.values.clone()),
            LabelSource::Parameter(name) => {
                // The names are those of all parameters.
                let place = names.place(name).unwrap_or(usize::MAX);
                (Source::Parameter(place), label.values.clone())
            }
        };
        let known = listed.iter().enumerate();
        let known = known.map(|(at, value)| (value.as_str().into(), index(at)));
        Self {
            source,
            known: ArcSwap::from_pointee(known.collect()),
            listed,
            most: label.most_values(),
            overflow,
        }
    }

    /// The value that stands for `text`; one that comes for the first time is admitted if there is
    /// `room`.
    pub(super) fn value<'a>(&self, text: Option<&'a str>, room: bool) -> Value<'a> {
        match text {
            // To Prometheus an empty value is none.
            None | Some("" | NONE) => Value::NONE,
            Some(OTHER) => Value::OTHER,
            Some(text) => self.find(text, room).map_or(Value::LOST, |at| Value {
                at,
                text,
                lost: false,
            }),
        }
    }

    fn find(&self, text: &str, room: bool) -> Option<u16> {
        let known = self.known.load();
        match known.get(text) {
            Some(at) => Some(*at),
            None if !room || known.len() >= self.most || text.len() > LONGEST_VALUE => None,
            None => self.admit(text),
        }
    }

    fn admit(&self, text: &str) -> Option<u16> {
        let mut admitted = None;
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            let next = known.len();
            if next < self.most {
                known.entry(text.into()).or_insert(index(next));
            }
            admitted = known.get(text).copied();
            known
        });
        admitted
    }
}

/// The index of the value that comes after `before` others.
fn index(before: usize) -> u16 {
    // The contract admits fewer than fit.
    u16::try_from(Value::FIRST + before).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(values: &[&str], max_values: Option<u32>) -> Label {
        let label = BusinessLabel {
            name: "l".to_owned(),
            source: LabelSource::Parameter("p".to_owned()),
            values: values.iter().map(|&value| value.to_owned()).collect(),
            max_values,
        };
        let overflow = IntCounter::new("lost", "Lost.").unwrap();
        Label::new(&label, &Names::new(["p"].into_iter()), overflow)
    }

    #[test]
    fn values_beyond_the_most_are_other() {
        let label = label(&[], Some(2));
        let texts = |sent: &[&'static str]| -> Vec<&str> {
            let values = sent.iter().map(|text| label.value(Some(text), true));
            values.map(|value| value.text).collect()
        };
        assert_eq!(
            texts(&["a", "", "b", "c", "a"]),
            ["a", NONE, "b", OTHER, "a"]
        );
        assert_eq!(label.value(Some("b"), false).at, 3);
        assert!(label.value(Some("d"), true).lost && !label.value(Some(OTHER), true).lost);
        assert_eq!(label.value(None, true), Value::NONE);
    }

    #[test]
    fn only_listed_values_are_admitted_and_no_long_ones() {
        let listed = label(&["x", "y"], None);
        assert_eq!(listed.value(Some("y"), true).at, 3);
        assert_eq!(listed.value(Some("z"), true), Value::LOST);
        let long = "l".repeat(LONGEST_VALUE + 1);
        let open = label(&[], None);
        assert_eq!(open.value(Some(&long), true), Value::LOST);
        assert_eq!(open.value(Some(&long[1..]), false), Value::LOST);
        assert_eq!(open.value(Some(&long[1..]), true).at, 2);
    }

    #[test]
    fn many_threads_agree_on_the_index_of_a_value() {
        let label = label(&[], Some(50));
        let names: Vec<String> = (0..100).map(|at| at.to_string()).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    names
                        .iter()
                        .filter_map(|name| label.find(name, true))
                        .count()
                });
            }
        });
        let found: std::collections::BTreeSet<_> = names
            .iter()
            .filter_map(|name| label.find(name, true))
            .collect();
        assert_eq!(found, (2..52).collect());
    }
}
