//! What each algorithm takes, for a person to read.

use super::{
    ElasticNet, Forest, KernelName, Knn, Lasso, Nothing, Parameters, Penalty, Positive, Share, Svc,
    Svr, Tree,
};
use crate::artifact::{Algorithm, Task};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::num::{NonZeroU16, NonZeroUsize};

/// One hyper-parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// As in `--param NAME=VALUE`.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// The value without a `--param`.
    pub default: String,
    /// The values it may have.
    pub admitted: String,
}

impl Key {
    pub(super) fn new<T: Admits + Serialize>(
        name: &'static str,
        meaning: &'static str,
        default: T,
    ) -> Self {
        let default = match serde_json::to_value(default) {
            Ok(Value::String(text)) => text,
            Ok(value) => value.to_string(),
            Err(_) => String::new(),
        };
        Self {
            name,
            meaning: meaning.trim(),
            default,
            admitted: T::admitted(),
        }
    }
}

/// A type with bounds that can be told.
pub trait Admits {
    /// The values it admits.
    fn admitted() -> String;
}

impl<const MOST: u32> Admits for Positive<MOST> {
    fn admitted() -> String {
        format!("a number above 0 and at most {MOST}")
    }
}

impl Admits for Share {
    fn admitted() -> String {
        "a number from 0 to 1".to_owned()
    }
}

impl Admits for NonZeroU16 {
    fn admitted() -> String {
        format!("a whole number from 1 to {}", Self::MAX)
    }
}

impl Admits for NonZeroUsize {
    fn admitted() -> String {
        "a whole number from 1".to_owned()
    }
}

impl Admits for KernelName {
    fn admitted() -> String {
        "linear or rbf".to_owned()
    }
}

impl<T: Admits> Admits for Option<T> {
    fn admitted() -> String {
        format!("{}, or null", T::admitted())
    }
}

/// What `algorithm` takes for `task`.
pub fn of(algorithm: Algorithm, task: Task) -> Vec<Key> {
    use Algorithm as A;
    match (algorithm, task) {
        (A::LogisticRegression | A::Ridge, _) => Penalty::keys(),
        (A::LinearRegression | A::GaussianNb, _) => Nothing::keys(),
        (A::Lasso, _) => Lasso::keys(),
        (A::ElasticNet, _) => ElasticNet::keys(),
        (A::DecisionTree, _) => Tree::keys(),
        (A::RandomForest | A::ExtraTrees, _) => Forest::keys(),
        (A::Knn, _) => Knn::keys(),
        (A::Svm, Task::Classification) => Svc::keys(),
        (A::Svm, Task::Regression) => Svr::keys(),
    }
}

/// What every algorithm takes.
pub fn help() -> String {
    let mut text = "Hyper-parameters of the algorithms, with their defaults:\n".to_owned();
    for (algorithm, name, tasks) in Algorithm::ALL {
        let mut sets: Vec<_> = tasks
            .iter()
            .map(|task| (task, of(*algorithm, *task)))
            .collect();
        sets.dedup_by(|(_, one), (_, other)| one == other);
        let same_for_all = sets.len() == 1;
        for (task, keys) in sets {
            let title = if same_for_all {
                (*name).to_owned()
            } else {
                format!("{name}, {task}")
            };
            text.push_str(&section(&title, &keys));
        }
    }
    text
}

fn section(title: &str, keys: &[Key]) -> String {
    let mut text = format!("\n  {title}\n");
    for key in keys {
        let Key {
            name,
            meaning,
            default,
            admitted,
        } = key;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {name}={default}: {admitted}\n        {meaning}");
    }
    if keys.is_empty() {
        text.push_str("    none\n");
    }
    text
}
