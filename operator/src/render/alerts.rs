//! The alerts, as a table.

use super::recordings::{ERROR_RATE, INFERENCE_P95, LATENCY_P95, Recording};
use crate::plan::{Alerts, Identity, Thresholds, Window};
use crate::prometheus_operator::Alert;
use crate::promql::{self, SERVICE};
use contract::metrics::{ACTIVE_REQUESTS, MODEL_LOADED};
use std::collections::BTreeMap;

/// One alert, before it is made out for a ModelService.
#[derive(Debug)]
pub struct AlertTemplate {
    /// Name; its runbook is `docs/runbooks/<name>.md`.
    pub name: &'static str,
    /// Whom it concerns.
    pub severity: Severity,
    /// How long it must hold before it fires, in percent of the window.
    pub pending_percent: u64,
    /// A sentence without values, the same for every instance of the alert.
    pub summary: &'static str,
    /// What is going on, with `$value` as Prometheus fills it in.
    pub description: &'static str,
    condition: Condition,
}

/// Whom an alert concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is woken up.
    Critical,
    /// Somebody looks during the day.
    Warning,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// When an alert holds.
#[derive(Debug, Clone, Copy)]
enum Condition {
    /// No pod can be scraped, though some are wanted.
    Down,
    /// A pod that is to serve has no model, or does not run.
    NotLoaded,
    /// A recorded series is above its threshold.
    Above(Recording, fn(&Thresholds) -> f64),
    /// A pod works on more requests than its threshold.
    Busy,
}

/// The alerts of every ModelService.
pub const ALERTS: [AlertTemplate; 6] = [
    AlertTemplate {
        name: "ModelServiceDown",
        severity: Severity::Critical,
        pending_percent: 20,
        summary: "No pod of the model answers.",
        description: "Prometheus reaches none of the pods: predictions fail.",
        condition: Condition::Down,
    },
    AlertTemplate {
        name: "ModelNotLoaded",
        severity: Severity::Critical,
        pending_percent: 20,
        summary: "A pod has no loaded model.",
        description: "{{ $value }} pods have no loaded model: they could not load it, or do not run.",
        condition: Condition::NotLoaded,
    },
    AlertTemplate {
        name: "HighErrorRate",
        severity: Severity::Warning,
        pending_percent: 40,
        summary: "Many requests fail.",
        description: "{{ $value | printf \"%.2f\" }} requests a second are answered with an error.",
        condition: Condition::Above(ERROR_RATE, |t| t.errors_per_second),
    },
    AlertTemplate {
        name: "HighLatency",
        severity: Severity::Warning,
        pending_percent: 100,
        summary: "Requests take long.",
        description: "One request in twenty takes longer than {{ $value | humanizeDuration }}.",
        condition: Condition::Above(LATENCY_P95, |t| t.latency_p95_seconds),
    },
    AlertTemplate {
        name: "SlowInference",
        severity: Severity::Warning,
        pending_percent: 100,
        summary: "The model itself is slow.",
        description: "One prediction in twenty takes the model longer than {{ $value | humanizeDuration }}.",
        condition: Condition::Above(INFERENCE_P95, |t| t.inference_p95_seconds),
    },
    AlertTemplate {
        name: "HighConcurrentRequests",
        severity: Severity::Warning,
        pending_percent: 40,
        summary: "A pod works on many requests at once.",
        description: "A pod works on {{ $value }} requests at once.",
        condition: Condition::Busy,
    },
];

/// The alerts made out for one ModelService that wants `replicas` pods.
pub(super) fn render(id: &Identity, alerts: &Alerts, window: Window, replicas: i32) -> Vec<Alert> {
    let service = Subject {
        id,
        window,
        thresholds: &alerts.thresholds,
        replicas,
    };
    ALERTS
        .iter()
        .map(|template| alert(template, &service, alerts))
        .collect()
}

/// What the expressions speak of.
struct Subject<'a> {
    id: &'a Identity,
    window: Window,
    thresholds: &'a Thresholds,
    replicas: i32,
}

fn alert(template: &AlertTemplate, subject: &Subject<'_>, alerts: &Alerts) -> Alert {
    let pending = Window {
        seconds: subject.window.seconds * template.pending_percent / 100,
    };
    Alert {
        alert: template.name.to_owned(),
        expr: subject.expr(template.condition),
        pending: pending.to_string(),
        labels: labels(template, subject.id, alerts),
        annotations: annotations(template, subject.id, alerts),
    }
}

impl Subject<'_> {
    fn expr(&self, condition: Condition) -> String {
        let (selector, by) = (promql::selector(self.id), SERVICE.join(", "));
        match condition {
            // Without pods Prometheus has no target at all; that is a fault unless none is wanted.
            Condition::Down if self.replicas > 0 => {
                format!("sum by ({by}) (up{selector}) == 0 or absent(up{selector})")
            }
            Condition::Down => format!("sum by ({by}) (up{selector}) == 0"),
            // A server that cannot load its model says why and stops, so it is a target that is down.
            Condition::NotLoaded => format!(
                "count by ({by}) (up{selector} unless on (namespace, pod) {}{selector} == 1) > 0",
                MODEL_LOADED.name
            ),
            Condition::Above(recording, threshold) => {
                format!(
                    "{}{selector} > {}",
                    recording.name(self.window),
                    threshold(self.thresholds)
                )
            }
            Condition::Busy => format!(
                "max by ({by}) ({}{selector}) > {}",
                ACTIVE_REQUESTS.name, self.thresholds.active_requests
            ),
        }
    }
}

/// The user's labels, then ours: severity and identity cannot be overridden.
fn labels(template: &AlertTemplate, id: &Identity, alerts: &Alerts) -> BTreeMap<String, String> {
    let ours = [
        ("severity", template.severity.as_str()),
        ("namespace", &id.namespace),
        ("modelservice", &id.name),
    ];
    // Prometheus expands label values as templates.
    let user = alerts
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), literal(value)));
    user.chain(ours.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

fn annotations(
    template: &AlertTemplate,
    id: &Identity,
    alerts: &Alerts,
) -> BTreeMap<String, String> {
    let where_ = format!(
        "ModelService {}/{}: {}",
        id.namespace, id.name, template.description
    );
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), template.summary.to_owned()),
        ("description".to_owned(), where_),
        (
            "runbook_url".to_owned(),
            format!("{}/{}", alerts.runbook_base_url, template.name),
        ),
    ]);
    annotations.extend(
        alerts
            .dashboard_url
            .clone()
            .map(|url| ("dashboard_url".to_owned(), url)),
    );
    annotations
}

/// `text` in a Go template, to the letter.
fn literal(text: &str) -> String {
    text.replace("{{", "{{`{{`}}")
}
