//! The dashboards and their queries.

use crate::support::repository;
use serde_json::Value;
use std::fs;

/// The files that people import or that the chart brings.
pub(crate) const DASHBOARDS: [&str; 2] = ["model-service.json", "fleet.json"];

/// A dashboard of [`DASHBOARDS`].
pub(crate) fn dashboard(file: &str) -> Value {
    let path = repository("dashboards").join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Everything that a dashboard asks Prometheus: for its panels, annotations and variables.
pub(crate) fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = items(&dashboard["panels"]).flat_map(|panel| items(&panel["targets"]));
    let annotations = items(&dashboard["annotations"]["list"]);
    let asked = targets.chain(annotations).map(|query| &query["expr"]);
    let asked = asked.map(|expr| expr.as_str().unwrap().to_owned());
    let variables = items(&dashboard["templating"]["list"]);
    let values = variables.filter_map(|variable| selected(variable["definition"].as_str()?));
    asked.chain(values).collect()
}

/// The series in `label_values(series, label)`.
fn selected(query: &str) -> Option<String> {
    let inside = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    Some(inside.rsplit_once(',')?.0.to_owned())
}

/// The items of a list; none if it is not there.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
