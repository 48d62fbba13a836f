//! What is exported about each ModelService. There are 16 series of each: they are written out when
//! asked for, as thousands of ModelServices would otherwise fill the memory with labels.

use crate::api::{ConditionStatus, ConditionType, ModelServiceStatus};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name of a ModelService.
pub type Name = (String, String);

/// The numbers of pods that are told apart.
const KINDS: [&str; 3] = ["desired", "total", "ready"];

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Services(Arc<Mutex<BTreeMap<Name, Row>>>);

#[derive(Debug)]
struct Row {
    version: String,
    /// By [`KINDS`].
    replicas: [i32; KINDS.len()],
    /// By [`ConditionType::ALL`]; None for those that were not judged yet.
    conditions: [Option<ConditionStatus>; ConditionType::ALL.len()],
}

impl Services {
    /// Shows what the status of a ModelService with so many wanted pods says.
    pub(super) fn observe(&self, name: Name, wanted: i32, status: &ModelServiceStatus) {
        let model = status.model.as_ref();
        let condition = |type_: ConditionType| {
            let found = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == type_.as_str())?;
            let mut all = ConditionStatus::ALL.into_iter();
            all.find(|known| known.as_str() == found.status)
        };
        let row = Row {
            version: model
                .and_then(|model| model.version.clone())
                .unwrap_or_default(),
            replicas: [wanted, status.replicas, status.ready_replicas],
            conditions: ConditionType::ALL.map(condition),
        };
        self.rows().insert(name, row);
    }

    /// A ModelService is gone.
    pub(super) fn forget(&self, name: &Name) {
        self.rows().remove(name);
    }

    /// All but these are gone.
    pub(super) fn forget_all_but(&self, living: &HashSet<Name>) {
        self.rows().retain(|name, _| living.contains(name));
    }

    /// Prometheus text exposition.
    pub(super) fn text(&self) -> String {
        let rows = self.rows();
        let mut text = Text::default();
        text.family(
            "modelservice_status_condition",
            "1 for the status that a condition has, else 0.",
        );
        for (name, row) in rows.iter() {
            for (type_, holds) in ConditionType::ALL.iter().zip(row.conditions) {
                for status in ConditionStatus::ALL {
                    let labels = [("condition", type_.as_str()), ("status", status.as_str())];
                    text.sample(name, &labels, i32::from(holds == Some(status)));
                }
            }
        }
        text.family(
            "modelservice_replicas",
            "Pods of a ModelService: desired, total and ready.",
        );
        for (name, row) in rows.iter() {
            for (kind, count) in KINDS.iter().zip(row.replicas) {
                text.sample(name, &[("kind", kind)], count);
            }
        }
        text.family(
            "modelservice_info",
            "Always 1; its version label says which model version the spec asks for.",
        );
        for (name, row) in rows.iter() {
            text.sample(name, &[("version", &row.version)], 1);
        }
        text.out
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<Name, Row>> {
        // A panic elsewhere cannot leave the map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exposition that is being written.
#[derive(Default)]
struct Text {
    family: &'static str,
    out: String,
}

impl Text {
    fn family(&mut self, name: &'static str, help: &str) {
        self.family = name;
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, (namespace, name): &Name, labels: &[(&str, &str)], value: i32) {
        let _ = write!(
            self.out,
            "{}{{namespace=\"{namespace}\",name=\"{name}\"",
            self.family
        );
        for (label, text) in labels {
            let _ = write!(self.out, ",{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.out, "}} {value}");
    }
}

/// A label value as the text format writes it.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ModelStatus;

    #[test]
    fn a_service_has_its_series_until_it_is_gone() {
        let services = Services::default();
        let name = ("ns".to_owned(), "churn".to_owned());
        let status = ModelServiceStatus {
            replicas: 2,
            ready_replicas: 1,
            model: Some(ModelStatus {
                version: Some("1\"\\\n".to_owned()),
                sha256: None,
            }),
            ..ModelServiceStatus::default()
        };
        services.observe(name.clone(), 3, &status);
        let text = services.text();
        let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(series(&text), 16);
        for line in [
            r#"modelservice_replicas{namespace="ns",name="churn",kind="desired"} 3"#,
            r#"modelservice_replicas{namespace="ns",name="churn",kind="ready"} 1"#,
            r#"modelservice_info{namespace="ns",name="churn",version="1\"\\\n"} 1"#,
            r#"modelservice_status_condition{namespace="ns",name="churn",condition="Ready",status="True"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        services.forget_all_but(&HashSet::from([name.clone()]));
        assert_eq!(series(&services.text()), 16);
        services.forget(&name);
        assert_eq!(series(&services.text()), 0);
    }
}
