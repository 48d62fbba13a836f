//! One metric: which numbers it observes, and under which label values.

use super::Losses;
use super::family::{Family, Room, Series, Shared};
use super::label::{Label, Source, Value};
use super::parameters::{Names, Parameters};
use crate::model::Predictions;
use crate::serve::signature::Signature;
use contract::business::{
    BusinessKind, BusinessMetric, BusinessValue, LARGEST_OBSERVATION, MOST_SERIES, OutputValue,
    RequestValue,
};
use contract::labels::{OUTCOME_VALUE, ObservationRejection};
use prometheus::{Error, IntCounter, Registry};
use std::sync::Arc;

/// A metric that is counted.
#[derive(Debug)]
pub(super) struct Counted {
    value: Number,
    kind: BusinessKind,
    labels: Vec<Label>,
    family: Arc<Family>,
    /// By reason.
    rejected: Vec<IntCounter>,
}

/// What is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    One,
    /// The parameter in this place.
    Parameter(usize),
    Output(OutputValue),
    Request(RequestValue),
}

/// What is known of a request while it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// As sent.
    pub(super) parameters: &'a Parameters,
    /// Id of the API key; None where nobody needs one.
    pub(super) key: Option<&'a str>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    /// Whether it was answered with success.
    pub(super) success: bool,
    /// How long that took.
    pub(super) seconds: f64,
    /// Rows predicted, by outcome.
    pub(super) outcomes: &'a [(String, u64)],
}

/// Where observations go, and which labels lost their value on the way.
struct Target<'a> {
    counted: &'a Counted,
    series: Arc<Series>,
    lost: Vec<&'a Label>,
}

impl Counted {
    /// As `metric` says; its parameters are in `names`.
    ///
    /// # Errors
    /// If names contradict those of Prometheus or of another metric.
    pub(super) fn new(
        metric: &BusinessMetric,
        names: &Names,
        room: &Arc<Room>,
        losses: &Losses,
        registry: &Registry,
    ) -> Result<Self, Error> {
        let family = Arc::new(Family::new(metric, room)?);
        registry.register(Box::new(Shared(Arc::clone(&family))))?;
        let label = |label: &contract::business::BusinessLabel| {
            let overflow = [metric.name.as_str(), &label.name];
            let overflow = losses.overflow.with_label_values(&overflow);
            Label::new(label, names, overflow)
        };
        let rejected = |reason: &ObservationRejection| {
            let labels = [metric.name.as_str(), reason.as_str()];
            losses.rejected.with_label_values(&labels)
        };
        Ok(Self {
            value: Number::of(&metric.value, names),
            kind: metric.kind,
            labels: metric.labels.iter().map(label).collect(),
            family,
            rejected: ObservationRejection::ALL.iter().map(rejected).collect(),
        })
    }

    /// Makes the series whose label values are all known, `outcomes` being those of the model.
    pub(super) fn expect(&self, outcomes: &[&str]) {
        let mut sets = vec![Vec::new()];
        for label in &self.labels {
            let values = known(label, outcomes);
            let longer = sets.iter().flat_map(|set| {
                let with = |value| [set.as_slice(), &[value]].concat();
                values.iter().copied().map(with)
            });
            sets = longer.take(MOST_SERIES).collect();
        }
        for set in sets {
            if self.place(&set).is_none() && self.is_rest(&set) {
                self.family.rest(&set);
            }
        }
    }

    /// Whether it observes numbers that the model answers.
    pub(super) const fn observes_outputs(&self) -> bool {
        matches!(self.value, Number::Output(_))
    }

    /// Observes the number of each row.
    pub(super) fn predicted(
        &self,
        seen: Seen<'_>,
        signature: &Signature,
        predictions: &Predictions,
    ) {
        let Number::Output(output) = self.value else {
            return;
        };
        let mut targets: Vec<Option<Target<'_>>> = Vec::new();
        targets.resize_with(signature.classes.len().max(1), || None);
        for row in 0..predictions.rows() {
            let number = number(output, predictions, row, signature.classes.len());
            let number = number.ok_or(ObservationRejection::Missing);
            let Some(number) = self.admit(number, 1) else {
                continue;
            };
            let (class, outcome) = outcome(signature, predictions, row);
            let target = &mut targets[class];
            let target = target.get_or_insert_with(|| self.target(seen, Some(outcome)));
            target.observe(number, 1);
        }
    }

    /// Observes a request, unless it has been for the numbers in its answer.
    pub(super) fn answered(&self, seen: Seen<'_>, answered: &Answered<'_>) {
        let also_failures = self.value == Number::Request(RequestValue::Success);
        if !answered.success && !also_failures {
            return;
        }
        let number = match self.value {
            Number::Output(_) => return,
            Number::One => Ok(1.0),
            Number::Parameter(place) => parse(seen.parameters.at(place)),
            Number::Request(value) => Ok(answered.number(value)),
        };
        let by_outcome = self.labels.iter().any(|it| it.source == Source::Outcome);
        match answered.outcomes {
            outcomes @ [_, ..] if by_outcome => outcomes.iter().for_each(|(outcome, rows)| {
                self.observe(seen, Some(outcome), number, *rows);
            }),
            _ => self.observe(seen, None, number, 1),
        }
    }

    fn observe(
        &self,
        seen: Seen<'_>,
        outcome: Option<&str>,
        number: Result<f64, ObservationRejection>,
        times: u64,
    ) {
        if let Some(number) = self.admit(number, times) {
            self.target(seen, outcome).observe(number, times);
        }
    }

    /// `number` if it can be observed; else it is counted as rejected, `times` over.
    fn admit(&self, number: Result<f64, ObservationRejection>, times: u64) -> Option<f64> {
        let rises = |number: f64| number >= 0.0 || self.kind != BusinessKind::Counter;
        let number = match number {
            // NaN is not.
            Ok(number) if number.abs() <= LARGEST_OBSERVATION && rises(number) => Ok(number),
            Ok(_) => Err(ObservationRejection::Range),
            Err(reason) => Err(reason),
        };
        let count = |reason| self.rejected[reason as usize].inc_by(times);
        number.map_err(count).ok()
    }

    fn target<'a>(&'a self, seen: Seen<'_>, outcome: Option<&str>) -> Target<'a> {
        let text = |label: &'a Label| match label.source {
            Source::Parameter(place) => seen.parameters.at(place),
            Source::Outcome => outcome,
            Source::ApiKey => seen.key,
            Source::Constant => label.listed.first().map(String::as_str),
        };
        // A new value needs a new set: where that has no place, nor has the value.
        let room = self.family.has_room();
        let values = self.labels.iter().map(|it| it.value(text(it), room));
        let values: Vec<Value<'_>> = values.collect();
        match self.place(&values) {
            Some(series) => self.toward(series, &values),
            None => {
                let rest: Vec<Value<'_>> = self.labels.iter().zip(values).map(fallen).collect();
                self.toward(self.family.rest(&rest), &rest)
            }
        }
    }

    /// The series of `values` alone; None if that is the one for the rest.
    fn place(&self, values: &[Value<'_>]) -> Option<Arc<Series>> {
        match self.is_rest(values) {
            true => None,
            false => self.family.series(values),
        }
    }

    /// Whether no value tells anything.
    fn is_rest(&self, values: &[Value<'_>]) -> bool {
        let mut labels = self.labels.iter().zip(values);
        labels.all(|(label, value)| label.source == Source::Constant || value.at == Value::LOST.at)
    }

    fn toward(&self, series: Arc<Series>, values: &[Value<'_>]) -> Target<'_> {
        let lost = self.labels.iter().zip(values);
        let lost = lost.filter(|(_, value)| value.lost);
        Target {
            counted: self,
            series,
            lost: lost.map(|(label, _)| label).collect(),
        }
    }
}

/// What stands for `value` where its set has no place of its own.
fn fallen<'a>((label, value): (&Label, Value<'a>)) -> Value<'a> {
    match label.source {
        Source::Constant => value,
        // Sent as such, it stands for nothing else.
        _ if value.at == Value::LOST.at => value,
        Source::Parameter(_) | Source::Outcome | Source::ApiKey => Value::LOST,
    }
}

/// Values of `label` that are known from the start, `outcomes` being those of the model.
fn known<'a>(label: &'a Label, outcomes: &[&'a str]) -> Vec<Value<'a>> {
    let listed = label.listed.iter().map(String::as_str);
    let texts: Vec<&str> = match label.source {
        Source::Outcome if label.listed.is_empty() => outcomes.to_vec(),
        _ => listed.collect(),
    };
    let values = texts.into_iter().map(|text| label.value(Some(text), true));
    values.filter(|value| !value.lost).collect()
}

impl Target<'_> {
    fn observe(&self, number: f64, times: u64) {
        let lost = self.lost.iter();
        lost.for_each(|label| label.overflow.inc_by(times));
        self.counted.family.observe(&self.series, number, times);
    }
}

impl Answered<'_> {
    fn number(&self, value: RequestValue) -> f64 {
        match value {
            RequestValue::Success => f64::from(u8::from(self.success)),
            RequestValue::Seconds => self.seconds,
            RequestValue::Rows => {
                let rows = self.outcomes.iter().map(|(_, rows)| *rows);
                rows.sum::<u64>() as f64
            }
        }
    }
}

impl Number {
    fn of(value: &BusinessValue, names: &Names) -> Self {
        match value {
            BusinessValue::One => Self::One,
            // The names are those of all parameters.
            BusinessValue::Parameter(name) => {
                Self::Parameter(names.place(name).unwrap_or(usize::MAX))
            }
            BusinessValue::Output(output) => Self::Output(*output),
            BusinessValue::Request(request) => Self::Request(*request),
        }
    }
}

fn parse(text: Option<&str>) -> Result<f64, ObservationRejection> {
    let text = text.filter(|text| !text.is_empty());
    let text = text.ok_or(ObservationRejection::Missing)?;
    text.parse().map_err(|_| ObservationRejection::Type)
}

/// Index and name of the outcome of `row`.
fn outcome<'a>(
    signature: &'a Signature,
    predictions: &Predictions,
    row: usize,
) -> (usize, &'a str) {
    match predictions {
        Predictions::Classes { labels, .. } => {
            let class = labels[row];
            (class, &signature.classes[class].name)
        }
        Predictions::Values(_) => (0, OUTCOME_VALUE),
    }
}

/// The number that `output` asks for of `row`, if the model has it.
fn number(
    output: OutputValue,
    predictions: &Predictions,
    row: usize,
    classes: usize,
) -> Option<f64> {
    match (output, predictions) {
        (OutputValue::Prediction, Predictions::Classes { labels, .. }) => Some(labels[row] as f64),
        (OutputValue::Prediction, Predictions::Values(values)) => Some(values[row]),
        (
            OutputValue::Probability,
            Predictions::Classes {
                labels,
                probabilities,
            },
        ) => {
            let all = probabilities.as_ref()?;
            all.get(row * classes + labels[row]).copied()
        }
        (OutputValue::Probability, Predictions::Values(_)) => None,
    }
}
