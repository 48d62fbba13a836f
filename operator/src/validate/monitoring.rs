//! Scraping, alerts and the dashboard.

use super::destination::destination;
use super::{Invalid, millis, seconds};
use crate::api::{
    BusinessKind, BusinessMetricSpec, BusinessValueSpec, Duration, MonitoringSpec, ObjectivesSpec,
    OutputValue, ThresholdsSpec, TracingSpec,
};
use crate::meta;
use crate::plan::{
    Alerts, Average, Dashboard, Destination, Identity, Monitoring, Objectives, Scrape, Settings,
    Thresholds, Watch, Window,
};
use contract::config::Tracing;

/// What the three kinds of watching have in common.
macro_rules! watch {
    ($spec:expr, $field:literal) => {{
        let spec = $spec;
        let watch = Watch {
            window: window(concat!("monitoring.", $field, ".window"), &spec.window)?,
            threshold: spec.threshold,
            minimum_samples: spec.minimum_samples,
        };
        spec.enabled.then_some(watch)
    }};
}

/// What monitoring the spec asks for; None for none.
pub(super) fn monitoring(
    spec: &MonitoringSpec,
    id: &Identity,
    settings: &Settings,
) -> Result<Option<Monitoring>, Invalid> {
    if !spec.enabled {
        return Ok(None);
    }
    let thresholds = thresholds(&spec.alerts.thresholds)?;
    Ok(Some(Monitoring {
        scrape: scrape(spec, settings)?,
        window: window("monitoring.alerts.window", &spec.alerts.window)?,
        objectives: objectives(&spec.objectives)?,
        drift: watch!(&spec.drift, "drift"),
        quality: watch!(&spec.quality, "quality"),
        performance: watch!(&spec.performance, "performance"),
        averages: averages(&spec.business_metrics),
        alerts: spec
            .alerts
            .enabled
            .then(|| alerts(spec, thresholds, id, settings)),
        dashboard: spec.dashboard.enabled.then(|| Dashboard {
            labels: spec.dashboard.labels.clone(),
            folder: spec.dashboard.folder.clone(),
            thresholds,
        }),
    }))
}

/// Where traces are sent.
pub(super) struct Traces {
    /// What the server is told.
    pub(super) config: Tracing,
    /// Whom it sends them to.
    pub(super) destination: Destination,
}

/// Where the pods in `namespace` send traces, if the spec asks for any.
pub(super) fn traces(spec: &MonitoringSpec, namespace: &str) -> Result<Option<Traces>, Invalid> {
    let Some(TracingSpec {
        endpoint,
        sample_ratio,
    }) = &spec.tracing
    else {
        return Ok(None);
    };
    let destination =
        destination(endpoint, namespace).map_err(|problem| Invalid::TracingEndpoint {
            endpoint: endpoint.clone(),
            problem,
        })?;
    Ok(Some(Traces {
        config: Tracing {
            sample_ratio: *sample_ratio,
            namespace: Some(namespace.to_owned()),
            ..Tracing::to(endpoint.clone())
        },
        destination,
    }))
}

fn window(field: &'static str, duration: &Duration) -> Result<Window, Invalid> {
    let seconds = millis(field, duration)? / 1000;
    Ok(Window { seconds })
}

fn objectives(spec: &ObjectivesSpec) -> Result<Option<Objectives>, Invalid> {
    let period = window("monitoring.objectives.period", &spec.period)?;
    let threshold = "monitoring.objectives.latency.threshold";
    let objectives = Objectives {
        unit: Window {
            seconds: (period.seconds / Objectives::PERIOD).max(1),
        },
        unavailable: remainder(spec.availability),
        latency_seconds: seconds(threshold, &spec.latency.threshold)?,
        slow: remainder(spec.latency.target),
    };
    Ok(spec.enabled.then_some(objectives))
}

/// What `percent` leaves of 1, to nine digits: binary fractions would show in the rules.
fn remainder(percent: f64) -> f64 {
    ((100.0 - percent) * 1e7).round() / 1e9
}

fn averages(metrics: &[BusinessMetricSpec]) -> Vec<Average> {
    let averages = metrics
        .iter()
        .filter(|metric| metric.kind == BusinessKind::Average);
    let average = |metric: &BusinessMetricSpec| Average {
        name: metric.name.clone(),
        labels: metric
            .labels
            .iter()
            .map(|label| label.name.clone())
            .collect(),
        signed: metric.value.as_ref().is_some_and(may_be_negative),
    };
    averages.map(average).collect()
}

/// Whether some observation of `value` can be below 0: counts, seconds and probabilities are not.
fn may_be_negative(value: &BusinessValueSpec) -> bool {
    value.parameter.is_some() || value.output == Some(OutputValue::Prediction)
}

fn scrape(spec: &MonitoringSpec, settings: &Settings) -> Result<Scrape, Invalid> {
    let interval = millis("monitoring.scrape.interval", &spec.scrape.interval)?;
    millis("monitoring.scrape.timeout", &spec.scrape.timeout)?;
    let defaults = settings.monitor_labels.iter().cloned();
    Ok(Scrape {
        interval: spec.scrape.interval.0.clone(),
        every: Window {
            seconds: interval.div_ceil(1000),
        },
        timeout: spec.scrape.timeout.0.clone(),
        labels: defaults.chain(spec.scrape.labels.clone()).collect(),
    })
}

fn alerts(
    spec: &MonitoringSpec,
    thresholds: Thresholds,
    id: &Identity,
    settings: &Settings,
) -> Alerts {
    let dashboard_url = settings
        .grafana_url
        .as_ref()
        .filter(|_| spec.dashboard.enabled);
    Alerts {
        labels: spec.alerts.labels.clone(),
        thresholds,
        runbook_base_url: settings.runbook_base_url.trim_end_matches('/').to_owned(),
        dashboard_url: dashboard_url.map(|base| {
            format!(
                "{}/d/{}",
                base.trim_end_matches('/'),
                meta::dashboard_uid(id)
            )
        }),
    }
}

fn thresholds(spec: &ThresholdsSpec) -> Result<Thresholds, Invalid> {
    Ok(Thresholds {
        errors_per_second: spec.errors_per_second,
        latency_p95_seconds: seconds("monitoring.alerts.thresholds.latencyP95", &spec.latency_p95)?,
        inference_p95_seconds: seconds(
            "monitoring.alerts.thresholds.inferenceP95",
            &spec.inference_p95,
        )?,
        active_requests: spec.active_requests,
    })
}
