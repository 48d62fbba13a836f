//! What a ModelService becomes, as plain objects.

use operator::render::{Children, Rendered};
use serde_json::{Value, json};

/// Those children that are wanted, in the order of the fields.
pub(crate) fn objects(children: Children<Rendered>) -> Vec<Value> {
    let Children {
        config_map,
        service,
        deployment,
        disruption_budget,
        autoscaler,
        network_policy,
        service_monitor,
        prometheus_rule,
        dashboard,
    } = children;
    let all = [
        json!(config_map),
        json!(service),
        json!(deployment),
        json!(disruption_budget),
        json!(autoscaler),
        json!(network_policy),
        json!(service_monitor),
        json!(prometheus_rule),
        json!(dashboard),
    ];
    all.into_iter().filter(|child| !child.is_null()).collect()
}
