//! Rules, scrapes and dashboards as plain files, for a Prometheus and a Grafana that no operator
//! configures.

use crate::plan::{Monitoring, Plan};
use crate::prometheus_operator::PrometheusRuleSpec;
use crate::render::render;
use crate::yaml;
use anyhow::Result;
use contract::endpoints::METRICS;
use serde::Serialize;
use std::collections::BTreeMap;

/// Whose files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum System {
    /// `NAMESPACE.NAME.rules.yml` for `rule_files` and `NAMESPACE.NAME.scrape.yml` for
    /// `scrape_config_files`.
    Prometheus,
    /// `NAMESPACE.NAME.json` for a folder of provisioned dashboards.
    Grafana,
}

/// A file and what is in it.
#[derive(Debug)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// What `prometheus.yml` includes by `scrape_config_files`.
#[derive(Debug, Serialize)]
struct ScrapeFile {
    scrape_configs: [ScrapeConfig; 1],
}

#[derive(Debug, Serialize)]
struct ScrapeConfig {
    job_name: String,
    metrics_path: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
    static_configs: [StaticConfig; 1],
    relabel_configs: [Relabel; 1],
}

#[derive(Debug, Serialize)]
struct StaticConfig {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Relabel {
    source_labels: [&'static str; 1],
    target_label: &'static str,
}

/// The files of a ModelService that is served at `targets`, each `HOST:PORT`; none without
/// monitoring.
///
/// # Errors
/// If something cannot be written as YAML: a fault of this program.
pub fn files(plan: &Plan, system: System, targets: &[String]) -> Result<Vec<File>> {
    let children = render(plan);
    let file = |ending: &str, text| File {
        name: format!("{}.{}.{ending}", plan.id.namespace, plan.id.name),
        text,
    };
    let Some(monitoring) = &plan.monitoring else {
        return Ok(Vec::new());
    };
    Ok(match system {
        System::Prometheus => {
            let rules = children.prometheus_rule.map(|rule| rule.spec);
            let rules: PrometheusRuleSpec = rules.unwrap_or_default();
            let scrape = scrape(plan, monitoring, targets);
            vec![
                file("rules.yml", yaml::print(&rules)?),
                file("scrape.yml", yaml::print(&scrape)?),
            ]
        }
        System::Grafana => {
            let data = children.dashboard.and_then(|dashboard| dashboard.data);
            let texts = data.unwrap_or_default().into_values();
            texts.map(|text| file("json", text)).collect()
        }
    })
}

/// The labels are those that the Prometheus operator's targets have.
fn scrape(plan: &Plan, monitoring: &Monitoring, targets: &[String]) -> ScrapeFile {
    let id = &plan.id;
    let labels = [
        ("namespace", id.namespace.clone()),
        ("modelservice", id.name.clone()),
    ];
    ScrapeFile {
        scrape_configs: [ScrapeConfig {
            job_name: format!("modelservice.{}.{}", id.namespace, id.name),
            metrics_path: METRICS,
            scrape_interval: monitoring.scrape.interval.clone(),
            scrape_timeout: monitoring.scrape.timeout.clone(),
            static_configs: [StaticConfig {
                targets: targets.to_vec(),
                labels: labels.into(),
            }],
            relabel_configs: [Relabel {
                source_labels: ["__address__"],
                target_label: "pod",
            }],
        }],
    }
}
