//! The parts of the Prometheus operator's kinds that are written here, or read.
//!
//! Source: the `monitoring.coreos.com/v1` API of prometheus-operator.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How Prometheus finds and scrapes the pods behind a Service.
#[derive(CustomResource, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Which Services, in the namespace of the monitor.
    pub selector: LabelSelector,
    /// What is scraped.
    pub endpoints: Vec<Endpoint>,
    /// A scrape with more samples is dropped.
    pub sample_limit: u64,
    /// A scrape with more labels on a sample is dropped.
    pub label_limit: u64,
    /// A scrape with longer label values is dropped, in characters.
    pub label_value_length_limit: u64,
}

/// Which monitors and rules a Prometheus server takes. A selector that is absent selects nothing, one
/// for namespaces only that of the server.
#[derive(CustomResource, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "Prometheus",
    plural = "prometheuses",
    namespaced,
    schema = "disabled"
)]
#[serde(rename_all = "camelCase", default)]
pub struct PrometheusSpec {
    /// By the labels of ServiceMonitors.
    pub service_monitor_selector: Option<LabelSelector>,
    /// By those of their namespace.
    pub service_monitor_namespace_selector: Option<LabelSelector>,
    /// By the labels of PrometheusRules.
    pub rule_selector: Option<LabelSelector>,
    /// By those of their namespace.
    pub rule_namespace_selector: Option<LabelSelector>,
}

/// One scraped port.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the Service's port.
    pub port: String,
    /// HTTP path.
    pub path: String,
    /// Time between scrapes.
    pub interval: String,
    /// Time after which a scrape has failed.
    pub scrape_timeout: String,
    /// Keep the target's labels from overriding Prometheus' own.
    pub honor_labels: bool,
    /// Labels set on and taken from the target, in this order.
    pub relabelings: Vec<Relabeling>,
}

/// Changes the labels of a target.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(
    tag = "action",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Relabeling {
    /// Sets a label.
    Replace {
        /// Label that is set.
        target_label: String,
        /// Its value.
        replacement: String,
    },
    /// Takes labels away.
    LabelDrop {
        /// Which, as a regular expression of the whole name.
        regex: String,
    },
}

/// Recording rules and alerts.
#[derive(CustomResource, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "PrometheusRule",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct PrometheusRuleSpec {
    /// Evaluated independently of one another; the rules of one group in order.
    pub groups: Vec<RuleGroup>,
}

/// Rules evaluated together, in order.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
pub struct RuleGroup {
    /// Unique in the object.
    pub name: String,
    /// Time between evaluations.
    pub interval: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(untagged)]
pub enum Rule {
    /// Stores the result of an expression under a name.
    Record(Record),
    /// Fires while an expression has a result.
    Alert(Alert),
}

/// Stores the result of an expression under a name.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Record {
    /// `level:metric:operation`
    pub record: String,
    /// PromQL.
    pub expr: String,
}

impl<Name: Into<String>> From<(Name, String)> for Record {
    /// A name and its expression.
    fn from((record, expr): (Name, String)) -> Self {
        Self {
            record: record.into(),
            expr,
        }
    }
}

/// Fires while an expression has a result.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Alert {
    /// Name.
    pub alert: String,
    /// PromQL.
    pub expr: String,
    /// How long it must hold.
    #[serde(rename = "for")]
    pub pending: String,
    /// What Alertmanager routes by.
    pub labels: BTreeMap<String, String>,
    /// What a person reads. Text only: the admission webhook turns anything else into text.
    pub annotations: BTreeMap<String, String>,
}
