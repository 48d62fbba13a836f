//! Scraping, alerts and the dashboard.

use super::{Invalid, millis, seconds};
use crate::api::{MonitoringSpec, ThresholdsSpec};
use crate::meta;
use crate::plan::{Alerts, Dashboard, Identity, Monitoring, Scrape, Settings, Thresholds, Window};

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
        window: Window {
            seconds: millis("monitoring.alerts.window", &spec.alerts.window)? / 1000,
        },
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

fn scrape(spec: &MonitoringSpec, settings: &Settings) -> Result<Scrape, Invalid> {
    millis("monitoring.scrape.interval", &spec.scrape.interval)?;
    millis("monitoring.scrape.timeout", &spec.scrape.timeout)?;
    let defaults = settings.monitor_labels.iter().cloned();
    Ok(Scrape {
        interval: spec.scrape.interval.0.clone(),
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
