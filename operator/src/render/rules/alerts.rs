//! The alerts, as a table.

use super::objectives::Objective;
use super::subject::Subject;
use super::{Group, drift, objectives, performance, quality, serving};
use crate::plan::{Alerts, Identity, Monitoring, Watch, Window};
use crate::prometheus_operator::Alert;
use std::collections::BTreeMap;

/// One alert, before it is made out for a ModelService.
#[derive(Debug)]
pub struct AlertTemplate {
    /// Name; its runbook is `docs/runbooks/<name>.md`.
    pub name: &'static str,
    /// Whom it concerns.
    pub severity: Severity,
    watch: Watching,
    /// How long it must hold before it fires, in percent of the window that it looks at.
    pub pending_percent: u64,
    /// A sentence without values, the same for every instance of the alert.
    pub summary: &'static str,
    /// What is going on, with `$value` as Prometheus fills it in; `{window}` and `{threshold}` are
    /// those that it looks at.
    pub description: &'static str,
    group: Group,
    /// When it holds; None if it never can.
    condition: fn(&Subject<'_>) -> Option<String>,
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

/// The alerts of every ModelService.
pub const ALERTS: [AlertTemplate; 18] = [
    AlertTemplate {
        name: "ModelServiceDown",
        severity: Severity::Critical,
        watch: serving_window,
        pending_percent: 20,
        summary: "No pod of the model answers.",
        description: "Prometheus reaches none of the pods: predictions fail.",
        group: Group::Serving,
        condition: serving::down,
    },
    AlertTemplate {
        name: "ModelNotLoaded",
        severity: Severity::Critical,
        watch: serving_window,
        pending_percent: 20,
        summary: "A pod has no loaded model.",
        description: "{{ $value }} pods have no loaded model: they could not load it, or do not run.",
        group: Group::Serving,
        condition: serving::not_loaded,
    },
    AlertTemplate {
        name: "HighErrorRate",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 40,
        summary: "Many requests fail.",
        description: "{{ $value | printf \"%.2f\" }} requests a second are answered with an error.",
        group: Group::Serving,
        condition: serving::errors,
    },
    AlertTemplate {
        name: "HighLatency",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 100,
        summary: "Requests take long.",
        description: "One request in twenty takes longer than {{ $value | humanizeDuration }}.",
        group: Group::Serving,
        condition: serving::latency,
    },
    AlertTemplate {
        name: "SlowInference",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 100,
        summary: "The model itself is slow.",
        description: "One prediction in twenty takes the model longer than {{ $value | humanizeDuration }}.",
        group: Group::Serving,
        condition: serving::inference,
    },
    AlertTemplate {
        name: "HighConcurrentRequests",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 40,
        summary: "A pod works on many requests at once.",
        description: "A pod works on {{ $value }} requests at once.",
        group: Group::Serving,
        condition: serving::busy,
    },
    AlertTemplate {
        name: "Overloaded",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 40,
        summary: "Pods refuse requests because they are at their limits.",
        description: "{{ $value | humanizePercentage }} of the requests are refused with 503: the pods are at their limits.",
        group: Group::Serving,
        condition: serving::overloaded,
    },
    AlertTemplate {
        name: "CrashLooping",
        severity: Severity::Critical,
        watch: serving_window,
        pending_percent: 20,
        summary: "A pod stops and starts again and again.",
        description: "Pod {{ $labels.pod }} was started anew {{ $value }} times within minutes.",
        group: Group::Serving,
        condition: serving::crash_looping,
    },
    AlertTemplate {
        name: "MemoryNearLimit",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 100,
        summary: "A pod has little memory left.",
        description: "Pod {{ $labels.pod }} uses {{ $value | humanizePercentage }} of the memory that it may have; beyond that it is killed.",
        group: Group::Serving,
        condition: serving::memory_near_limit,
    },
    AlertTemplate {
        name: "TargetMissing",
        severity: Severity::Warning,
        watch: serving_window,
        pending_percent: 200,
        summary: "Prometheus scrapes fewer pods than there are to be.",
        description: "Prometheus scrapes {{ $value }} pods: the others do not exist, or it does not find them.",
        group: Group::Serving,
        condition: serving::target_missing,
    },
    AlertTemplate {
        name: "AvailabilityBudgetBurn",
        severity: Severity::Critical,
        watch: objective_unit,
        pending_percent: 40,
        summary: "The errors that the availability objective allows are used up within days.",
        description: "{{ $value | humanizePercentage }} of the requests end in a fault of the server, many times more than the objective allows.",
        group: Group::Objectives,
        condition: |subject| objectives::fast(subject, Objective::Availability),
    },
    AlertTemplate {
        name: "AvailabilityBudgetBurnSlow",
        severity: Severity::Warning,
        watch: objective_unit,
        pending_percent: 300,
        summary: "The errors that the availability objective allows are used up before its period ends.",
        description: "{{ $value | humanizePercentage }} of the requests end in a fault of the server, more than the objective allows.",
        group: Group::Budgets,
        condition: |subject| objectives::slow(subject, Objective::Availability),
    },
    AlertTemplate {
        name: "LatencyBudgetBurn",
        severity: Severity::Critical,
        watch: objective_unit,
        pending_percent: 40,
        summary: "The slow requests that the latency objective allows are used up within days.",
        description: "{{ $value | humanizePercentage }} of the requests take longer than they should, many times more than the objective allows.",
        group: Group::Objectives,
        condition: |subject| objectives::fast(subject, Objective::Latency),
    },
    AlertTemplate {
        name: "LatencyBudgetBurnSlow",
        severity: Severity::Warning,
        watch: objective_unit,
        pending_percent: 300,
        summary: "The slow requests that the latency objective allows are used up before its period ends.",
        description: "{{ $value | humanizePercentage }} of the requests take longer than they should, more than the objective allows.",
        group: Group::Budgets,
        condition: |subject| objectives::slow(subject, Objective::Latency),
    },
    AlertTemplate {
        name: "FeatureDrift",
        severity: Severity::Warning,
        watch: drift_window,
        pending_percent: 50,
        summary: "The values of a feature are spread otherwise than in training.",
        description: "Feature {{ $labels.feature }} of version {{ $labels.model_version }}: population stability index {{ $value | printf \"%.2f\" }} over {window}, more than {threshold}.",
        group: Group::Values,
        condition: drift::of_a_feature,
    },
    AlertTemplate {
        name: "PredictionDrift",
        severity: Severity::Warning,
        watch: drift_window,
        pending_percent: 50,
        summary: "The predictions are spread otherwise than in training.",
        description: "Predictions of version {{ $labels.model_version }}: population stability index {{ $value | printf \"%.2f\" }} over {window}, more than {threshold}.",
        group: Group::Values,
        condition: drift::of_the_prediction,
    },
    AlertTemplate {
        name: "DataQuality",
        severity: Severity::Warning,
        watch: quality_window,
        pending_percent: 25,
        summary: "Many values of a feature are missing, of a wrong type or unknown to the model.",
        description: "Feature {{ $labels.feature }} of version {{ $labels.model_version }}: {{ $value | humanizePercentage }} more invalid values over {window} than in training.",
        group: Group::Values,
        condition: quality::poor,
    },
    AlertTemplate {
        name: "ModelPerformanceDegraded",
        severity: Severity::Warning,
        watch: performance_window,
        pending_percent: 5,
        summary: "The model is right less often than it was in training.",
        description: "Ground truth over {window} gives version {{ $labels.model_version }} {{ $value | printf \"%.3g\" }} (accuracy, or root mean squared error of a regression): worse than in training by more than {threshold}.",
        group: Group::Performance,
        condition: performance::degraded,
    },
];

/// The window that an alert looks at, and the threshold that its description names.
type Watching = fn(&Monitoring) -> Option<(Window, f64)>;

fn watch(watch: Option<Watch>) -> Option<(Window, f64)> {
    watch.map(|watch| (watch.window, watch.threshold))
}

fn serving_window(monitoring: &Monitoring) -> Option<(Window, f64)> {
    Some((monitoring.window, 0.0))
}

fn objective_unit(monitoring: &Monitoring) -> Option<(Window, f64)> {
    let objectives = monitoring.objectives?;
    Some((objectives.unit, 0.0))
}

fn drift_window(monitoring: &Monitoring) -> Option<(Window, f64)> {
    watch(monitoring.drift)
}

fn quality_window(monitoring: &Monitoring) -> Option<(Window, f64)> {
    watch(monitoring.quality)
}

fn performance_window(monitoring: &Monitoring) -> Option<(Window, f64)> {
    watch(monitoring.performance)
}

/// The alerts of `group`, made out for one ModelService; none if it wants none.
pub(super) fn render(group: Group, subject: &Subject<'_>) -> Vec<Alert> {
    let Some(alerts) = &subject.monitoring.alerts else {
        return Vec::new();
    };
    let of_group = ALERTS.iter().filter(|template| template.group == group);
    of_group
        .filter_map(|template| alert(template, subject, alerts))
        .collect()
}

fn alert(template: &AlertTemplate, subject: &Subject<'_>, alerts: &Alerts) -> Option<Alert> {
    let (window, threshold) = (template.watch)(subject.monitoring)?;
    let pending = Window {
        seconds: window.seconds * template.pending_percent / 100,
    };
    let description = template
        .description
        .replace("{window}", &window.to_string())
        .replace("{threshold}", &threshold.to_string());
    Some(Alert {
        alert: template.name.to_owned(),
        expr: (template.condition)(subject)?,
        pending: pending.to_string(),
        labels: labels(template, subject.id(), alerts),
        annotations: annotations(template, &description, subject.id(), alerts),
    })
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
    description: &str,
    id: &Identity,
    alerts: &Alerts,
) -> BTreeMap<String, String> {
    let where_ = format!("ModelService {}/{}: {}", id.namespace, id.name, description);
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
