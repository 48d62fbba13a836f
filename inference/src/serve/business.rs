//! Metrics of the user's own: what requests carry and what the model answers, counted as
//! [`contract::business`] says.
//!
//! ```text
//! query, body, answer ─→ Visit ─numbers, texts→ Counted ─→ Label ─index→ Family ─→ Tally
//! ```
//! A visit notes what one request is about. All that is counted outlives the model, as the other
//! metrics of requests do. Whatever clients send, a label has only so many values, a family only so
//! many sets of them, and all families together only so many series.

mod counted;
mod family;
mod label;
mod parameters;
mod tally;
mod visit;

pub use visit::{Caller, Visit};

use super::signature::Signature;
use crate::artifact::Task;
use crate::model::Predictions;
use axum::extract::Request;
use contract::business::{BusinessMetric, MOST_SERIES_IN_ALL};
use contract::labels::{Endpoint, OUTCOME_VALUE};
use contract::metrics::{BUSINESS_LABEL_OVERFLOW, BUSINESS_REJECTED, Metric};
use counted::{Counted, Seen};
use family::Room;
use http::Method;
use parameters::Names;
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounterVec, Opts, Registry};
use std::sync::Arc;

/// All metrics of the user's own.
#[derive(Debug)]
pub struct Business {
    metrics: Vec<Counted>,
    /// Parameters that any of them reads.
    names: Names,
    registry: Registry,
}

/// Families that say what is not in those of the user.
#[derive(Debug)]
struct Losses {
    overflow: IntCounterVec,
    rejected: IntCounterVec,
}

impl Business {
    /// Of `metrics`, which [`contract::business::check`] has admitted.
    ///
    /// # Errors
    /// If it should not have.
    pub fn new(metrics: &[BusinessMetric]) -> Result<Self, Error> {
        let registry = Registry::new();
        let losses = Losses::new(&registry)?;
        let names = Names::new(metrics.iter().flat_map(BusinessMetric::parameters));
        let room = Arc::new(Room::new(MOST_SERIES_IN_ALL));
        let counted = metrics
            .iter()
            .map(|metric| Counted::new(metric, &names, &room, &losses, &registry));
        Ok(Self {
            metrics: counted.collect::<Result<_, _>>()?,
            names,
            registry,
        })
    }

    /// Makes the series that are known before the first request, now that the model of `signature`
    /// is served.
    pub fn expect(&self, signature: &Signature) {
        let outcomes: Vec<&str> = match signature.task {
            Task::Classification => {
                let classes = signature.classes.iter();
                classes.map(|class| class.name.as_str()).collect()
            }
            Task::Regression => vec![OUTCOME_VALUE],
        };
        self.metrics
            .iter()
            .for_each(|metric| metric.expect(&outcomes));
    }

    /// Begins to note what `request` by `caller` is about, if it is for predictions. Whoever answers
    /// finds the visit among the request's extensions.
    pub fn begin(
        &'static self,
        endpoint: Endpoint,
        request: &mut Request,
        caller: Caller,
    ) -> Option<Arc<Visit>> {
        if !endpoint.is_predicting() || request.method() != Method::POST {
            return None;
        }
        // Strangers have no say in which values a label has room for.
        let heard = !matches!(caller, Caller::Refused) && !endpoint.is_grpc();
        let query = request.uri().query().filter(|_| heard);
        let visit = Arc::new(Visit::new(self, endpoint, caller, query));
        request.extensions_mut().insert(Arc::clone(&visit));
        Some(visit)
    }

    /// All families at this moment.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Whether any metric observes numbers that the model answers.
    fn observes_outputs(&self) -> bool {
        self.metrics.iter().any(Counted::observes_outputs)
    }

    /// Observes the numbers that the model answered.
    fn predicted(&self, seen: Seen<'_>, signature: &Signature, predictions: &Predictions) {
        let metrics = self.metrics.iter();
        metrics.for_each(|metric| metric.predicted(seen, signature, predictions));
    }

    /// Observes everything else about a request, once it is known what became of it.
    fn answered(&self, seen: Seen<'_>, answered: &counted::Answered<'_>) {
        let metrics = self.metrics.iter();
        metrics.for_each(|metric| metric.answered(seen, answered));
    }
}

impl Losses {
    fn new(registry: &Registry) -> Result<Self, Error> {
        let counter = |metric: &Metric| -> Result<IntCounterVec, Error> {
            let options = Opts::new(metric.name, metric.help);
            let family = IntCounterVec::new(options, metric.labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok(family)
        };
        Ok(Self {
            overflow: counter(&BUSINESS_LABEL_OVERFLOW)?,
            rejected: counter(&BUSINESS_REJECTED)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::business::check;
    use serde_json::{Value, json};

    fn families(metrics: Value, outcomes: &[&str]) -> Vec<MetricFamily> {
        let metrics: Vec<BusinessMetric> = serde_json::from_value(metrics).unwrap();
        check(&metrics).unwrap();
        let business = Business::new(&metrics).unwrap();
        business
            .metrics
            .iter()
            .for_each(|metric| metric.expect(outcomes));
        business.gather()
    }

    #[test]
    fn label_sets_from_the_start_take_no_more_room_than_there_is() {
        let values: Vec<String> = (0..30).map(|at| at.to_string()).collect();
        let labels = json!([
            {"name": "p", "source": {"parameter": "p"}, "values": values},
            {"name": "o", "source": "outcome"},
        ]);
        let metric = |at| json!({"name": format!("m{at}"), "type": "counter", "labels": labels});
        let outcomes: Vec<String> = (0..80).map(|at| at.to_string()).collect();
        let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
        let found = families((0..20).map(metric).collect(), &outcomes);
        let own = found.iter().filter(|family| family.name().starts_with('m'));
        let sizes: Vec<usize> = own.map(|family| family.get_metric().len()).collect();
        // The set for the rest of each is not needed yet.
        assert_eq!(sizes.iter().sum::<usize>(), MOST_SERIES_IN_ALL - 20);
        assert_eq!(sizes[..4], [999; 4]);
    }

    #[test]
    fn what_is_always_the_same_is_there_from_the_start() {
        let constant = json!({"name": "k", "source": {"constant": "other"}});
        let found = families(
            json!([
                {"name": "a", "type": "counter"},
                {"name": "b", "type": "average", "labels": [constant]},
            ]),
            &[],
        );
        let own = found.iter().filter(|family| family.name().len() == 1);
        assert!(own.map(|family| family.get_metric().len()).eq([1, 1]));
    }
}
