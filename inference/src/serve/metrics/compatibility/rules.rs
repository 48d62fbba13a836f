//! Which family of ours becomes which family of another system, a row each.

use super::{Model, label};
use contract::compatibility::{self as alias, Alias};
use contract::labels::{Endpoint, ErrorType, Method, TritonFailure};
use contract::metrics::{self as table, Metric};
use prometheus::proto::LabelPair;

/// How a family of another system is made.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) alias: &'static Alias,
    pub(super) source: &'static Metric,
    /// Which series of the source; those with the same new labels are added up.
    pub(super) only: fn(&[LabelPair]) -> bool,
    /// Values of the alias' labels, in its order.
    pub(super) labels: &'static [Text],
    pub(super) take: Take,
}

/// Where the value of a label comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    /// The source's label of this name.
    Label(&'static str),
    /// Name of the served model.
    Model,
    /// Version of the served model.
    Version,
    /// The type of the error, as Triton has it.
    Failure,
}

/// What is taken of a series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Take {
    /// All of it.
    Same,
    /// How many observations a histogram has.
    Count,
    /// The sum of a histogram of whole numbers.
    Total,
    /// The sum of a histogram of seconds, as whole microseconds.
    Microseconds,
}

impl Text {
    pub(super) fn of<'a>(self, labels: &'a [LabelPair], model: &Model<'a>) -> &'a str {
        match self {
            Self::Label(name) => label(labels, name),
            Self::Model => model.name,
            Self::Version => model.version,
            Self::Failure => {
                let kind = ErrorType::parse(label(labels, "error_type"));
                kind.map_or(TritonFailure::Other, TritonFailure::of)
                    .as_str()
            }
        }
    }
}

const ROUTE: &[Text] = &[Text::Label("method"), Text::Label("endpoint")];
const ROUTE_AND_STATUS: &[Text] = &[
    Text::Label("method"),
    Text::Label("endpoint"),
    Text::Label("status"),
];
const MODEL: &[Text] = &[Text::Model, Text::Version];
const MODEL_AND_REASON: &[Text] = &[Text::Model, Text::Version, Text::Failure];

/// In the order of [`alias::ALIASES`].
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    rule(&alias::APP_REQUESTS, &table::REQUESTS, any, ROUTE, Take::Same),
    rule(&alias::APP_RESPONSES, &table::REQUESTS, any, ROUTE_AND_STATUS, Take::Same),
    rule(&alias::APP_PROCESSING_TIME, &table::REQUEST_DURATION, any, ROUTE, Take::Same),
    rule(&alias::KSERVE_PREDICT, &table::INFERENCE_DURATION, any, &[Text::Model], Take::Same),
    rule(&alias::NV_REQUEST_SUCCESS, &table::REQUESTS, successes, MODEL, Take::Same),
    rule(&alias::NV_REQUEST_FAILURE, &table::ERRORS, predictions, MODEL_AND_REASON, Take::Same),
    rule(&alias::NV_INFERENCES, &table::BATCH_ROWS, any, MODEL, Take::Total),
    rule(&alias::NV_EXECUTIONS, &table::BATCH_ROWS, any, MODEL, Take::Count),
    rule(&alias::NV_REQUEST_DURATION, &table::REQUEST_DURATION, posted, MODEL, Take::Microseconds),
    rule(&alias::NV_COMPUTE_DURATION, &table::INFERENCE_DURATION, any, MODEL, Take::Microseconds),
    rule(&alias::NV_LOAD_DURATION, &table::MODEL_LOAD_DURATION, any, MODEL, Take::Same),
    rule(&alias::MLSERVER_SUCCESS, &table::REQUESTS, successes, MODEL, Take::Same),
    rule(&alias::MLSERVER_FAILURE, &table::ERRORS, predictions, MODEL, Take::Same),
    rule(&alias::MLSERVER_DURATION, &table::REQUEST_DURATION, posted, MODEL, Take::Same),
];

const fn rule(
    alias: &'static Alias,
    source: &'static Metric,
    only: fn(&[LabelPair]) -> bool,
    labels: &'static [Text],
    take: Take,
) -> Rule {
    Rule {
        alias,
        source,
        only,
        labels,
        take,
    }
}

const fn any(_: &[LabelPair]) -> bool {
    true
}

/// Requests for predictions.
fn predictions(labels: &[LabelPair]) -> bool {
    Endpoint::parse(label(labels, "endpoint")).is_some_and(Endpoint::is_predicting)
}

/// The same by the method that they have.
fn posted(labels: &[LabelPair]) -> bool {
    predictions(labels) && label(labels, "method") == Method::Post.as_str()
}

/// Those of them that were answered with success.
fn successes(labels: &[LabelPair]) -> bool {
    posted(labels) && label(labels, "status") == "200"
}
