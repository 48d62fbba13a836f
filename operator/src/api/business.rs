//! Metrics of the user's own: as users write what [`contract::business`] says to the server.

use super::cel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A metric of your own, fed from parameters of requests and from what the model answers.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "self.type == 'histogram' || !has(self.buckets) || size(self.buckets) == 0",
    "buckets are for histograms only"
)))]
pub struct BusinessMetricSpec {
    /// Name as Prometheus sees it, such as `detection_total`.
    #[schemars(length(max = 128), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// What it means, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub help: String,
    /// How what is observed is summed up.
    #[serde(rename = "type")]
    pub kind: BusinessKind,
    /// What is observed; 1 if absent, so that a counter counts requests or rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<BusinessValueSpec>,
    /// Upper bounds of a histogram's buckets, rising; those of the request duration if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    pub buckets: Vec<f64>,
    /// What observations are told apart by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub labels: Vec<BusinessLabelSpec>,
}

/// How what is observed is summed up.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum BusinessKind {
    /// The sum.
    Counter,
    /// How many were how large.
    Histogram,
    /// The average over all pods and the window of the alerts, by a recording rule.
    Average,
}

/// What is observed: exactly one of these.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "[has(self.parameter), has(self.output), has(self.request)].filter(is, is).size() == 1",
    "set exactly one of parameter, output, request"
)))]
pub struct BusinessValueSpec {
    /// The number that requests carry as this parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub parameter: Option<String>,
    /// A number that the model answers, for each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputValue>,
    /// A number about the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestValue>,
}

/// A number that the model answers for a row.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum OutputValue {
    /// The predicted value, or the index of the predicted class.
    Prediction,
    /// Probability of the predicted class.
    Probability,
}

/// A number about a request.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum RequestValue {
    /// 1 if it was answered with success, else 0.
    Success,
    /// Seconds until its answer was ready.
    Seconds,
    /// Rows in it.
    Rows,
}

/// What observations are told apart by: a name, and exactly one of parameter, output, request,
/// constant.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "[has(self.parameter), has(self.output), has(self.request), has(self.constant)].filter(is, is).size() == 1",
    "set exactly one of parameter, output, request, constant"
)))]
pub struct BusinessLabelSpec {
    /// Name of the label.
    #[schemars(length(max = 63), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,
    /// What requests carry as this parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub parameter: Option<String>,
    /// What the model answers, for each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<LabelOutput>,
    /// Something about the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<LabelRequest>,
    /// Always this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub constant: Option<String>,
    /// The values that it may take; all others become `other`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 128)))]
    pub values: Vec<String>,
    /// Distinct values if none are listed; further ones become `other`. 50 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "maxValues")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_values: Option<u32>,
}

/// What the model answers for a row, as a label.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum LabelOutput {
    /// The predicted class; `value` for regression.
    Outcome,
}

/// Something about a request, as a label.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum LabelRequest {
    /// Id of the API key that it carries.
    ApiKey,
}

/// A system whose dashboards and queries shall work word for word.
#[derive(
    JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord,
)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// The FastAPI tutorials: `app_requests_total`, `app_responses_total`,
    /// `app_requests_processing_time_seconds`.
    Tutorial,
    /// KServe's Python servers: `request_predict_seconds`.
    Kserve,
    /// Triton: `nv_inference_*`.
    Triton,
    /// MLServer: `model_infer_request_*`.
    Mlserver,
}
