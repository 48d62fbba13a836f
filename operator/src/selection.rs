//! Whether any Prometheus takes the monitoring objects of a ModelService: one that is not selected is
//! ignored without a word.

use crate::prometheus_operator::{Prometheus, PrometheusSpec};
use crate::seen::{Details, Metadata, Seen};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::Resource as _;
use kube::core::labels::{Selector, SelectorExt as _};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;
/// A Prometheus server that was seen.
pub type SeenPrometheus = Seen<Prometheus, PrometheusSpec>;

impl Details<Prometheus> for PrometheusSpec {
    fn of(server: &Prometheus) -> Self {
        server.spec.clone()
    }
}

impl Details<Metadata<Namespace>> for Labels {
    fn of(namespace: &Metadata<Namespace>) -> Self {
        namespace.meta().labels.clone().unwrap_or_default()
    }
}

/// The Prometheus servers of the cluster that the operator may see.
#[derive(Debug, Clone, Default)]
pub struct Prometheuses {
    /// All of them, in the order of their names.
    pub servers: Vec<Arc<SeenPrometheus>>,
    /// Labels of the namespace of the ModelService, if they are known.
    pub namespace_labels: Option<Labels>,
}

/// A server's fingerprint changes with its spec.
impl Hash for Prometheuses {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.namespace_labels.hash(state);
        for server in &self.servers {
            (&server.uid, server.fingerprint).hash(state);
        }
    }
}

/// What a server selects by.
#[derive(Clone, Copy)]
struct Criteria<'a> {
    kind: &'static str,
    labels: Option<&'a LabelSelector>,
    namespaces: Option<&'a LabelSelector>,
}

/// Of each kind that a server selects.
const CRITERIA: [fn(&PrometheusSpec) -> Criteria<'_>; 2] = [
    |server| Criteria {
        kind: "ServiceMonitor",
        labels: server.service_monitor_selector.as_ref(),
        namespaces: server.service_monitor_namespace_selector.as_ref(),
    },
    |server| Criteria {
        kind: "PrometheusRule",
        labels: server.rule_selector.as_ref(),
        namespaces: server.rule_namespace_selector.as_ref(),
    },
];

impl Prometheuses {
    /// The namespaces in which there are servers.
    pub fn namespaces(&self) -> Vec<String> {
        let all = self.servers.iter();
        let mut all: Vec<_> = all
            .filter_map(|server| Some(server.namespace.as_deref()?.to_owned()))
            .collect();
        all.dedup();
        all
    }

    /// Why nobody takes the objects with `labels` in `namespace`; None if somebody does, or if there
    /// is no server to be seen: it may be none of the Prometheus operator.
    pub fn unselected(&self, namespace: &str, labels: &Labels) -> Option<String> {
        let first = self.servers.first()?;
        // Whom a server that selects by them takes is not known without.
        self.namespace_labels.as_ref()?;
        let is_ignored = |criteria: &&fn(&PrometheusSpec) -> Criteria<'_>| {
            let mut servers = self.servers.iter();
            !servers
                .any(|server| self.selects(server, criteria(&server.details), namespace, labels))
        };
        let criteria = CRITERIA.iter().find(is_ignored)?;
        let wishes = self.servers.iter().map(|server| {
            let wish = wish(criteria(&server.details));
            let of = server.namespace.as_deref().unwrap_or_default();
            format!("{of}/{} wants {wish}", server.name)
        });
        let wishes: Vec<_> = wishes.collect();
        Some(format!(
            "no Prometheus takes the {}: {}; set spec.monitoring.scrape.labels, or monitorLabels of the operator's chart",
            criteria(&first.details).kind,
            wishes.join(", ")
        ))
    }

    fn selects(
        &self,
        server: &SeenPrometheus,
        criteria: Criteria<'_>,
        namespace: &str,
        labels: &Labels,
    ) -> bool {
        let in_namespace = match criteria.namespaces {
            Some(selector) => {
                let labels = self.namespace_labels.as_ref();
                labels.is_some_and(|labels| matches(selector, labels))
            }
            None => server.namespace.as_deref() == Some(namespace),
        };
        in_namespace
            && criteria
                .labels
                .is_some_and(|selector| matches(selector, labels))
    }
}

/// A selector that cannot be read selects nothing.
fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let selector = Selector::try_from(selector.clone());
    selector.is_ok_and(|selector| selector.matches(labels))
}

fn wish(criteria: Criteria<'_>) -> String {
    let labels = match criteria
        .labels
        .map(|selector| Selector::try_from(selector.clone()))
    {
        None => "none at all".to_owned(),
        Some(Ok(selector)) if selector.selects_all() => "any label".to_owned(),
        Some(Ok(selector)) => selector.to_string(),
        Some(Err(_)) => "what cannot be read".to_owned(),
    };
    match criteria
        .namespaces
        .map(|selector| Selector::try_from(selector.clone()))
    {
        None => format!("{labels} in its own namespace"),
        Some(Ok(selector)) if selector.selects_all() => labels,
        Some(Ok(selector)) => format!("{labels} in namespaces with {selector}"),
        Some(Err(_)) => labels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn server(spec: &Value) -> Arc<SeenPrometheus> {
        let server = json!({
            "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
            "metadata": {"name": "k8s", "namespace": "monitoring"}, "spec": spec,
        });
        let server: Prometheus = serde_json::from_value(server).unwrap();
        Arc::new(SeenPrometheus::new(&server))
    }

    fn prometheuses(specs: &[Value]) -> Prometheuses {
        Prometheuses {
            servers: specs.iter().map(server).collect(),
            namespace_labels: Some(BTreeMap::from([("team".to_owned(), "risk".to_owned())])),
        }
    }

    fn unselected(specs: &[Value], namespace: &str) -> Option<String> {
        let labels = BTreeMap::from([("release".to_owned(), "kps".to_owned())]);
        prometheuses(specs).unselected(namespace, &labels)
    }

    fn same(labels: &Value, namespaces: &Value) -> Value {
        json!({
            "serviceMonitorSelector": labels, "ruleSelector": labels,
            "serviceMonitorNamespaceSelector": namespaces, "ruleNamespaceSelector": namespaces,
        })
    }

    #[rstest]
    #[case::all(json!({}), json!({}), true)]
    #[case::by_label(json!({"matchLabels": {"release": "kps"}}), json!({}), true)]
    #[case::by_another(json!({"matchLabels": {"release": "other"}}), json!({}), false)]
    #[case::one_of(json!({"matchExpressions": [{"key": "release", "operator": "In", "values": ["a", "kps"]}]}), json!({}), true)]
    #[case::none(Value::Null, json!({}), false)]
    #[case::elsewhere(json!({}), Value::Null, false)]
    #[case::by_namespace(json!({}), json!({"matchLabels": {"team": "risk"}}), true)]
    #[case::by_another_namespace(json!({}), json!({"matchLabels": {"team": "web"}}), false)]
    fn a_server_takes_what_it_selects(
        #[case] labels: Value,
        #[case] namespaces: Value,
        #[case] taken: bool,
    ) {
        let unselected = unselected(&[same(&labels, &namespaces)], "models");
        assert_eq!(unselected.is_none(), taken, "{unselected:?}");
    }

    #[test]
    fn without_a_selector_of_namespaces_it_is_the_own_one() {
        assert_eq!(
            unselected(&[same(&json!({}), &Value::Null)], "monitoring"),
            None
        );
    }

    #[test]
    fn where_no_server_is_to_be_seen_nothing_is_said() {
        assert_eq!(unselected(&[], "models"), None);
    }

    #[test]
    fn one_of_several_servers_is_enough_and_each_kind_counts() {
        let nothing = same(&Value::Null, &json!({}));
        let mut monitors_only = same(&json!({}), &json!({}));
        assert_eq!(
            unselected(&[nothing.clone(), monitors_only.clone()], "models"),
            None
        );
        monitors_only["ruleSelector"] = json!({"matchLabels": {"role": "alerts"}});
        assert_eq!(
            unselected(&[nothing, monitors_only], "models").unwrap(),
            "no Prometheus takes the PrometheusRule: monitoring/k8s wants none at all, \
             monitoring/k8s wants role=alerts; set spec.monitoring.scrape.labels, or \
             monitorLabels of the operator's chart"
        );
    }
}
