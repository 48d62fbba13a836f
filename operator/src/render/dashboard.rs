//! The dashboard that people can import, made out for one ModelService.

use crate::meta;
use crate::plan::{Dashboard, Identity, Thresholds};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The generic dashboard: `dashboards/model-service.json`.
pub const MODEL_SERVICE: &str = include_str!("../../../dashboards/model-service.json");
/// Label by which Grafana's sidecar finds dashboards.
const SIDECAR_LABEL: &str = "grafana_dashboard";
/// Annotation by which Grafana's sidecar sorts dashboards into folders.
const FOLDER_ANNOTATION: &str = "grafana_folder";

/// The dashboard in a ConfigMap, as Grafana's sidecar finds it.
pub(super) fn render(id: &Identity, dashboard: &Dashboard) -> ConfigMap {
    let mut labels = dashboard.labels.clone();
    labels.insert(SIDECAR_LABEL.to_owned(), "1".to_owned());
    let mut metadata = meta::object(id, meta::dashboard_name(id), &labels);
    metadata.annotations = dashboard
        .folder
        .as_ref()
        .map(|folder| BTreeMap::from([(FOLDER_ANNOTATION.to_owned(), folder.clone())]));
    // The sidecar puts the files of all namespaces into one folder, where the uid is unique and
    // namespace and name with a dash between them are not.
    let file = format!("{}.json", meta::dashboard_uid(id));
    let text = format!("{:#}\n", specialise(id, &dashboard.thresholds));
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(file, text)])),
        ..ConfigMap::default()
    }
}

/// The generic dashboard with title, uid, variables and thresholds fixed.
fn specialise(id: &Identity, thresholds: &Thresholds) -> Value {
    // A test parses the embedded file, so the fallback is never seen.
    let mut dashboard: Value = serde_json::from_str(MODEL_SERVICE).unwrap_or_default();
    dashboard["title"] = json!(format!("ModelService / {} / {}", id.namespace, id.name));
    dashboard["uid"] = json!(meta::dashboard_uid(id));
    for variable in items(&mut dashboard["templating"]["list"]) {
        let value = match variable["name"].as_str() {
            Some("namespace") => &id.namespace,
            Some("modelservice") => &id.name,
            _ => continue,
        };
        *variable = constant(&variable["name"], value);
    }
    for panel in items(&mut dashboard["panels"]) {
        fix_threshold(panel, thresholds);
    }
    dashboard
}

fn items(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// A variable that has one value and is not shown.
fn constant(name: &Value, value: &str) -> Value {
    json!({
        "name": name,
        "type": "constant",
        "hide": 2,
        "query": value,
        "current": {"text": value, "value": value},
    })
}

/// Reads the threshold that a panel draws.
type Read = fn(&Thresholds) -> f64;

/// Panels by title, and the threshold of the spec that they draw.
const DRAWN: [(&str, Read); 4] = [
    ("Request latency", |t| t.latency_p95_seconds),
    ("Inference time", |t| t.inference_p95_seconds),
    ("Errors by endpoint and type", |t| t.errors_per_second),
    ("Active requests", |t| f64::from(t.active_requests)),
];

/// Moves the red step of a panel to the threshold at which the alert fires.
fn fix_threshold(panel: &mut Value, thresholds: &Thresholds) {
    let drawn = DRAWN.iter().find(|(title, _)| panel["title"] == *title);
    let Some((_, threshold)) = drawn else { return };
    for step in items(&mut panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) {
        if step["color"] == "red" {
            step["value"] = json!(threshold(thresholds));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_modelservices_share_a_file_in_grafanas_folder() {
        let file = |namespace: &str, name: &str| {
            let id = Identity {
                name: name.into(),
                namespace: namespace.into(),
                owner: None,
            };
            let thresholds = Thresholds {
                errors_per_second: 1.0,
                latency_p95_seconds: 1.0,
                inference_p95_seconds: 1.0,
                active_requests: 1,
            };
            let dashboard = Dashboard {
                labels: BTreeMap::new(),
                folder: None,
                thresholds,
            };
            render(&id, &dashboard)
                .data
                .unwrap()
                .into_keys()
                .next()
                .unwrap()
        };
        assert_ne!(file("team-a", "diabetes"), file("team", "a-diabetes"));
    }
}
