use crate::meta;
use crate::plan::{Identity, Scrape};
use crate::prometheus_operator::{Endpoint, Relabeling, ServiceMonitor, ServiceMonitorSpec};
use contract::endpoints;
use contract::limits::{LABEL_VALUE_LENGTH_LIMIT, SAMPLE_LIMIT};

/// Labels on one sample, those of the target included.
const LABEL_LIMIT: u64 = 32;

/// How Prometheus finds and scrapes the pods.
pub(super) fn render(id: &Identity, scrape: &Scrape) -> ServiceMonitor {
    ServiceMonitor {
        metadata: meta::object(id, meta::name(id), &scrape.labels),
        spec: ServiceMonitorSpec {
            selector: meta::label_selector(id),
            endpoints: vec![endpoint(id, scrape)],
            sample_limit: SAMPLE_LIMIT,
            label_limit: LABEL_LIMIT,
            label_value_length_limit: LABEL_VALUE_LENGTH_LIMIT,
        },
    }
}

fn endpoint(id: &Identity, scrape: &Scrape) -> Endpoint {
    Endpoint {
        port: endpoints::ADMIN.name.to_owned(),
        path: endpoints::METRICS.to_owned(),
        interval: scrape.interval.clone(),
        scrape_timeout: scrape.timeout.clone(),
        honor_labels: false,
        relabelings: vec![
            // From the name itself, not from a label of the Service that anybody may edit.
            Relabeling::Replace {
                target_label: "modelservice".to_owned(),
                replacement: id.name.clone(),
            },
            // The Prometheus operator labels targets with the name of their port, as `endpoint`;
            // Prometheus would then rename the label that our metrics have.
            Relabeling::LabelDrop {
                regex: "endpoint".to_owned(),
            },
        ],
    }
}
