use super::{alerts, recordings};
use crate::meta;
use crate::plan::{Monitoring, Plan};
use crate::prometheus_operator::{PrometheusRule, PrometheusRuleSpec, Rule, RuleGroup};

/// Recording rules and alerts, in one group so that the alerts see this round's recordings.
pub(super) fn render(plan: &Plan, monitoring: &Monitoring) -> PrometheusRule {
    let id = &plan.id;
    let recordings = recordings::render(id, monitoring.window)
        .into_iter()
        .map(Rule::Record);
    let alerts = monitoring.alerts.as_ref();
    let alerts = alerts.map(|a| alerts::render(id, a, monitoring.window, plan.replicas));
    let alerts = alerts.into_iter().flatten().map(Rule::Alert);
    PrometheusRule {
        metadata: meta::object(id, meta::name(id), &monitoring.scrape.labels),
        spec: PrometheusRuleSpec {
            groups: vec![RuleGroup {
                name: format!("modelservice.{}.{}", id.namespace, id.name),
                interval: monitoring.scrape.interval.clone(),
                rules: recordings.chain(alerts).collect(),
            }],
        },
    }
}
