//! Recording rules: what the alerts ask for, computed once under a readable name.

use crate::plan::{Identity, Window};
use crate::prometheus_operator::Record;
use crate::promql;
use contract::metrics::{
    ERRORS, INFERENCE_DURATION, Metric, PREDICTIONS, REQUEST_DURATION, REQUESTS,
};

/// What a recording rule computes over the window.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Increase per second, summed over the pods.
    Rate,
    /// 95th percentile over all pods.
    P95,
}

/// A recorded series of a ModelService, without its window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recording {
    metric: &'static Metric,
    shape: Shape,
}

pub(super) const REQUEST_RATE: Recording = Recording {
    metric: &REQUESTS,
    shape: Shape::Rate,
};
pub(super) const ERROR_RATE: Recording = Recording {
    metric: &ERRORS,
    shape: Shape::Rate,
};
pub(super) const PREDICTION_RATE: Recording = Recording {
    metric: &PREDICTIONS,
    shape: Shape::Rate,
};
pub(super) const LATENCY_P95: Recording = Recording {
    metric: &REQUEST_DURATION,
    shape: Shape::P95,
};
pub(super) const INFERENCE_P95: Recording = Recording {
    metric: &INFERENCE_DURATION,
    shape: Shape::P95,
};

const RECORDINGS: [Recording; 5] = [
    REQUEST_RATE,
    ERROR_RATE,
    PREDICTION_RATE,
    LATENCY_P95,
    INFERENCE_P95,
];

impl Recording {
    /// Name by the convention `level:metric:operation`, such as `modelservice:api_errors:rate5m`.
    pub(super) fn name(self, window: Window) -> String {
        let metric = self.metric.name.trim_end_matches("_total");
        let operation = match self.shape {
            Shape::Rate => "rate",
            Shape::P95 => "p95_",
        };
        format!("modelservice:{metric}:{operation}{window}")
    }

    fn rule(self, id: &Identity, window: Window) -> Record {
        let expr = match self.shape {
            Shape::Rate => promql::rate(id, self.metric, window, &[]),
            Shape::P95 => promql::quantile(id, self.metric, window, 0.95),
        };
        Record {
            record: self.name(window),
            expr,
        }
    }
}

/// Every recording rule of a ModelService.
pub(super) fn render(id: &Identity, window: Window) -> Vec<Record> {
    RECORDINGS
        .iter()
        .map(|recording| recording.rule(id, window))
        .collect()
}
