//! Business metrics and names of other systems, as the server reads them.

use crate::api::{
    BusinessKind, BusinessLabelSpec, BusinessMetricSpec, BusinessValueSpec, Compatibility,
    LabelOutput, LabelRequest, OutputValue, RequestValue,
};
use crate::validate::Invalid;
use contract::{business, compatibility};

/// What the server is told to count.
///
/// # Errors
/// If a value or a label has no source, or several; if the server would refuse the metrics.
pub(super) fn metrics(
    specs: &[BusinessMetricSpec],
) -> Result<Vec<business::BusinessMetric>, Invalid> {
    let metrics: Vec<_> = specs.iter().map(metric).collect::<Result<_, _>>()?;
    business::check(&metrics)?;
    Ok(metrics)
}

/// The systems whose names the server also speaks, each once.
pub(super) fn compatibility(wanted: &[Compatibility]) -> Vec<compatibility::Compatibility> {
    use compatibility::Compatibility as Told;
    let mut wanted = wanted.to_vec();
    wanted.sort();
    wanted.dedup();
    let told = |system: &Compatibility| match system {
        Compatibility::Tutorial => Told::Tutorial,
        Compatibility::Kserve => Told::Kserve,
        Compatibility::Triton => Told::Triton,
        Compatibility::Mlserver => Told::Mlserver,
    };
    wanted.iter().map(told).collect()
}

fn metric(spec: &BusinessMetricSpec) -> Result<business::BusinessMetric, Invalid> {
    let observed = spec
        .value
        .as_ref()
        .map_or(Some(business::BusinessValue::One), value);
    Ok(business::BusinessMetric {
        name: spec.name.clone(),
        help: spec.help.clone(),
        kind: match spec.kind {
            BusinessKind::Counter => business::BusinessKind::Counter,
            BusinessKind::Histogram => business::BusinessKind::Histogram,
            BusinessKind::Average => business::BusinessKind::Average,
        },
        value: observed.ok_or_else(|| {
            unclear(
                spec,
                "its value: set exactly one of parameter, output, request",
            )
        })?,
        buckets: spec.buckets.clone(),
        labels: spec
            .labels
            .iter()
            .map(|one| label(spec, one))
            .collect::<Result<_, _>>()?,
    })
}

fn label(
    metric: &BusinessMetricSpec,
    spec: &BusinessLabelSpec,
) -> Result<business::BusinessLabel, Invalid> {
    let what = "a label: set exactly one of parameter, output, request, constant";
    Ok(business::BusinessLabel {
        name: spec.name.clone(),
        source: label_source(spec).ok_or_else(|| unclear(metric, what))?,
        values: spec.values.clone(),
        max_values: spec.max_values,
    })
}

fn unclear(metric: &BusinessMetricSpec, what: &'static str) -> Invalid {
    Invalid::BusinessSource {
        metric: metric.name.clone(),
        what,
    }
}

fn value(spec: &BusinessValueSpec) -> Option<business::BusinessValue> {
    use business::BusinessValue as Value;
    match (&spec.parameter, spec.output, spec.request) {
        (Some(name), None, None) => Some(Value::Parameter(name.clone())),
        (None, Some(output), None) => Some(Value::Output(match output {
            OutputValue::Prediction => business::OutputValue::Prediction,
            OutputValue::Probability => business::OutputValue::Probability,
        })),
        (None, None, Some(request)) => Some(Value::Request(match request {
            RequestValue::Success => business::RequestValue::Success,
            RequestValue::Seconds => business::RequestValue::Seconds,
            RequestValue::Rows => business::RequestValue::Rows,
        })),
        _ => None,
    }
}

fn label_source(spec: &BusinessLabelSpec) -> Option<business::LabelSource> {
    use business::LabelSource as Source;
    match (&spec.parameter, spec.output, spec.request, &spec.constant) {
        (Some(name), None, None, None) => Some(Source::Parameter(name.clone())),
        (None, Some(LabelOutput::Outcome), None, None) => Some(Source::Outcome),
        (None, None, Some(LabelRequest::ApiKey), None) => Some(Source::ApiKey),
        (None, None, None, Some(text)) => Some(Source::Constant(text.clone())),
        _ => None,
    }
}
