//! The dashboard that people can import, made out for one ModelService.

use crate::meta;
use crate::plan::{Dashboard, Identity, Monitoring, Thresholds};
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
pub(super) fn render(id: &Identity, monitoring: &Monitoring, dashboard: &Dashboard) -> ConfigMap {
    let mut labels = dashboard.labels.clone();
    labels.insert(SIDECAR_LABEL.to_owned(), "1".to_owned());
    let mut metadata = meta::object(id, meta::dashboard_name(&id.name), &labels);
    metadata.annotations = dashboard
        .folder
        .as_ref()
        .map(|folder| BTreeMap::from([(FOLDER_ANNOTATION.to_owned(), folder.clone())]));
    // The sidecar puts the files of all namespaces into one folder, where the uid is unique and
    // namespace and name with a dash between them are not.
    let file = format!("{}.json", meta::dashboard_uid(id));
    // Without line breaks it is half as long, and a cluster may hold thousands of them.
    let text = specialise(id, monitoring, &dashboard.thresholds).to_string();
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(file, text)])),
        ..ConfigMap::default()
    }
}

/// The generic dashboard with title, uid, variables, links and thresholds fixed.
fn specialise(id: &Identity, monitoring: &Monitoring, thresholds: &Thresholds) -> Value {
    // A test parses the embedded file, so the fallback is never seen.
    let mut dashboard: Value = serde_json::from_str(MODEL_SERVICE).unwrap_or_default();
    dashboard["title"] = json!(format!("ModelService / {} / {}", id.namespace, id.name));
    dashboard["uid"] = json!(meta::dashboard_uid(id));
    let alerts = monitoring.alerts.as_ref();
    for variable in items(&mut dashboard["templating"]["list"]) {
        let value = match variable["name"].as_str() {
            Some("namespace") => Some(&id.namespace),
            Some("modelservice") => Some(&id.name),
            Some("runbooks") => alerts.map(|alerts| &alerts.runbook_base_url),
            _ => None,
        };
        if let Some(value) = value {
            *variable = constant(&variable["name"], value);
        }
    }
    for panel in items(&mut dashboard["panels"]) {
        fix_threshold(panel, monitoring, thresholds);
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

/// Reads the threshold that a panel draws; None if the spec has none.
type Read = fn(&Monitoring, &Thresholds) -> Option<f64>;

const DRIFT: Read = |monitoring, _| monitoring.drift.map(|watch| watch.threshold);
const LATENCY: Read = |_, thresholds| Some(thresholds.latency_p95_seconds);

/// Panels by title, and the threshold of the spec that they draw.
const DRAWN: [(&str, Read); 11] = [
    ("p95 latency", LATENCY),
    ("Request latency", LATENCY),
    ("Inference time", |_, t| Some(t.inference_p95_seconds)),
    ("Errors by endpoint and type", |_, t| {
        Some(t.errors_per_second)
    }),
    ("Active requests", |_, t| Some(f64::from(t.active_requests))),
    ("Error ratio", |m, _| m.objectives.map(|o| o.unavailable)),
    ("Largest drift", DRIFT),
    ("PSI by feature", DRIFT),
    ("PSI of the prediction", DRIFT),
    ("PSI of $feature", DRIFT),
    ("Invalid values", |m, _| m.quality.map(|w| w.threshold)),
];

/// Moves the red step of a panel to the threshold at which the alert fires. The steps before it
/// stay where they are, but none may lie above it.
fn fix_threshold(panel: &mut Value, monitoring: &Monitoring, thresholds: &Thresholds) {
    let drawn = DRAWN.iter().find(|(title, _)| panel["title"] == *title);
    let Some(red) = drawn.and_then(|(_, read)| read(monitoring, thresholds)) else {
        return;
    };
    for step in items(&mut panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) {
        let before = step["value"].as_f64().filter(|_| step["color"] != "red");
        if step["color"] == "red" || before.is_some_and(|before| before > red) {
            step["value"] = json!(red);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Alerts, Objectives, Scrape, Watch, Window};

    const THRESHOLDS: Thresholds = Thresholds {
        errors_per_second: 3.0,
        latency_p95_seconds: 4.0,
        inference_p95_seconds: 5.0,
        active_requests: 6,
    };

    fn id(namespace: &str, name: &str) -> Identity {
        Identity {
            name: name.into(),
            namespace: namespace.into(),
            owner: None,
        }
    }

    fn monitoring() -> Monitoring {
        let window = Window { seconds: 300 };
        let watch = |threshold| Watch {
            window,
            threshold,
            minimum_samples: 1,
        };
        Monitoring {
            scrape: Scrape {
                interval: "15s".into(),
                every: Window { seconds: 15 },
                timeout: "10s".into(),
                labels: BTreeMap::new(),
            },
            window,
            objectives: Some(Objectives {
                unit: window,
                unavailable: 0.002,
                latency_seconds: 0.25,
                slow: 0.01,
            }),
            drift: Some(watch(0.05)),
            quality: Some(watch(0.07)),
            performance: None,
            averages: Vec::new(),
            alerts: Some(Alerts {
                labels: BTreeMap::new(),
                thresholds: THRESHOLDS,
                runbook_base_url: "https://runbooks.example.com".into(),
                dashboard_url: None,
            }),
            dashboard: None,
        }
    }

    #[test]
    fn no_two_modelservices_share_a_file_in_grafanas_folder() {
        let dashboard = Dashboard {
            labels: BTreeMap::new(),
            folder: None,
            thresholds: THRESHOLDS,
        };
        let file = |id: &Identity| {
            let map = render(id, &monitoring(), &dashboard);
            map.data.unwrap().into_keys().next().unwrap()
        };
        assert_ne!(
            file(&id("team-a", "diabetes")),
            file(&id("team", "a-diabetes"))
        );
    }

    /// Colours and values of a panel's steps.
    fn steps(dashboard: &Value, title: &str) -> Vec<(String, Option<f64>)> {
        let mut panels = dashboard["panels"].as_array().unwrap().iter();
        let panel = panels.find(|panel| panel["title"] == title);
        let steps = &panel.unwrap_or_else(|| panic!("no panel {title}"))["fieldConfig"]["defaults"]
            ["thresholds"]["steps"];
        let step = |step: &Value| {
            let color = step["color"].as_str().unwrap().to_owned();
            (color, step["value"].as_f64())
        };
        steps.as_array().unwrap().iter().map(step).collect()
    }

    #[test]
    fn panels_draw_the_thresholds_of_the_spec() {
        let monitoring = monitoring();
        let dashboard = specialise(&id("team", "churn"), &monitoring, &THRESHOLDS);
        for (title, read) in DRAWN {
            let wanted = read(&monitoring, &THRESHOLDS).unwrap();
            let steps = steps(&dashboard, title);
            assert_eq!(steps.last().unwrap(), &("red".to_owned(), Some(wanted)));
            assert!(steps.is_sorted_by_key(|(_, value)| *value), "{steps:?}");
        }
    }

    #[test]
    fn what_is_not_watched_leaves_the_usual_thresholds() {
        let mut monitoring = monitoring();
        monitoring.drift = None;
        let dashboard = specialise(&id("team", "churn"), &monitoring, &THRESHOLDS);
        let red = steps(&dashboard, "Largest drift").pop().unwrap();
        assert_eq!(red, ("red".to_owned(), Some(0.2)));
    }

    #[test]
    fn runbooks_are_where_the_administrator_says() {
        let dashboard = specialise(&id("team", "churn"), &monitoring(), &THRESHOLDS);
        let mut variables = dashboard["templating"]["list"].as_array().unwrap().iter();
        let runbooks = variables.find(|variable| variable["name"] == "runbooks");
        assert_eq!(
            runbooks.unwrap()["current"]["value"],
            "https://runbooks.example.com"
        );
    }
}
