//! (ModelService, World) → Plan: every default resolved, every contradiction found. Pure.

use crate::api::{
    BuiltinName, Duration, DurationError, ModelService, ModelSource, ModelSpec, MonitoringSpec,
    Quantity, QuantityError, Reason, ResourceList, ResourcesSpec, ServerSpec, ThresholdsSpec,
};
use crate::meta;
use crate::plan::{
    Alerts, Dashboard, Identity, Image, ModelVolume, Monitoring, Plan, Scrape, Settings,
    Thresholds, Window,
};
use crate::world::{ModelData, World};
use contract::config::{Builtin, Limits, Listen, ModelConfig, ServerConfig};
use contract::endpoints;
use contract::labels::LoadFailure;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubeQuantity;
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Why a spec that the API server admitted cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A duration that cannot be read.
    #[error("spec.{field}: {source}")]
    Duration {
        /// Path of the field below `spec`.
        field: &'static str,
        /// What is wrong with it.
        source: DurationError,
    },
    /// An amount that cannot be read.
    #[error("spec.{field}: {source}")]
    Quantity {
        /// Path of the field below `spec`.
        field: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A limit below what is requested.
    #[error("spec.resources: the {what} limit {limit} is below the request {request}")]
    LimitBelowRequest {
        /// `cpu` or `memory`.
        what: &'static str,
        /// The limit as written.
        limit: String,
        /// The request as written.
        request: String,
    },
    /// No source, or more than one.
    #[error("spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim")]
    Source,
    /// The model's ConfigMap does not exist.
    #[error("spec.model.source.configMap: there is no ConfigMap '{0}' in this namespace")]
    NoConfigMap(String),
    /// The model's ConfigMap lacks the key.
    #[error("spec.model.source.configMap: ConfigMap '{name}' has no key '{key}'; it has: {keys}")]
    NoKey {
        /// Name of the ConfigMap.
        name: String,
        /// The key asked for.
        key: String,
        /// The keys that are there.
        keys: String,
    },
    /// The model's ConfigMap holds another file than the spec says.
    #[error("spec.model.sha256 is {expected}, but the file in ConfigMap '{name}' has {found}")]
    Checksum {
        /// Name of the ConfigMap.
        name: String,
        /// The sha256 in the spec.
        expected: String,
        /// The sha256 of the file.
        found: String,
    },
}

impl Invalid {
    /// The reason that conditions and events give.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Duration { .. }
            | Self::Quantity { .. }
            | Self::LimitBelowRequest { .. }
            | Self::Source => Reason::InvalidSpec,
            Self::NoConfigMap(_) | Self::NoKey { .. } => Reason::Load(LoadFailure::NotFound),
            Self::Checksum { .. } => Reason::Load(LoadFailure::ChecksumMismatch),
        }
    }
}

/// Resolves a ModelService into a plan, or says why it cannot work.
pub fn validate(ms: &ModelService, world: &World, settings: &Settings) -> Result<Plan, Invalid> {
    let spec = &ms.spec;
    let id = identity(ms);
    let (source, model_volume) = source(&spec.model.source)?;
    let sha256 = sha256(&spec.model, world)?;
    let model = ModelConfig {
        name: Some(id.name.clone()),
        version: version(&spec.model, source, sha256.as_deref()),
        source: server_source(source),
        sha256,
    };
    Ok(Plan {
        config: server_config(model, &spec.server)?,
        resources: resources(&spec.resources)?,
        monitoring: monitoring(&spec.monitoring, &id, settings)?,
        image: Image {
            reference: settings.inference_image.clone(),
            pull_policy: settings.inference_image_pull_policy.clone(),
        },
        replicas: spec.replicas,
        model_volume,
        id,
    })
}

fn identity(ms: &ModelService) -> Identity {
    Identity {
        name: ms.name_any(),
        namespace: ms.namespace().unwrap_or_else(|| "default".to_owned()),
        owner: ms.controller_owner_ref(&()),
    }
}

/// The one source that is set, borrowed from the spec.
#[derive(Clone, Copy)]
enum Source<'a> {
    Builtin(Builtin),
    ConfigMap { key: &'a str },
    Claim { path: &'a str },
}

fn source(spec: &ModelSource) -> Result<(Source<'_>, Option<ModelVolume>), Invalid> {
    match (
        &spec.builtin,
        &spec.config_map,
        &spec.persistent_volume_claim,
    ) {
        (Some(builtin), None, None) => match builtin.name {
            BuiltinName::Diabetes => Ok((Source::Builtin(Builtin::Diabetes), None)),
        },
        (None, Some(map), None) => Ok((
            Source::ConfigMap { key: &map.key },
            Some(ModelVolume::ConfigMap {
                name: map.name.clone(),
                key: map.key.clone(),
            }),
        )),
        (None, None, Some(claim)) => Ok((
            Source::Claim { path: &claim.path },
            Some(ModelVolume::Claim {
                name: claim.claim_name.clone(),
            }),
        )),
        _ => Err(Invalid::Source),
    }
}

fn server_source(source: Source<'_>) -> contract::config::ModelSource {
    use contract::config::ModelSource::{Builtin, File};
    match source {
        Source::Builtin(name) => Builtin(name),
        Source::ConfigMap { key: path } | Source::Claim { path } => {
            File(format!("{}/{path}", endpoints::MODEL_DIR))
        }
    }
}

/// The checksum that pods must find: the spec's, or that of the ConfigMap's present content, so
/// that a changed ConfigMap rolls the pods.
fn sha256(model: &ModelSpec, world: &World) -> Result<Option<String>, Invalid> {
    let Some(map) = &model.source.config_map else {
        return Ok(model.sha256.clone());
    };
    let name = map.name.clone();
    match (&world.model, &model.sha256) {
        (ModelData::NoConfigMap, _) => Err(Invalid::NoConfigMap(name)),
        (ModelData::NoKey(keys), _) => Err(Invalid::NoKey {
            name,
            key: map.key.clone(),
            keys: keys.join(", "),
        }),
        (ModelData::Sha256(found), Some(expected)) if found != expected => Err(Invalid::Checksum {
            name,
            expected: expected.clone(),
            found: found.clone(),
        }),
        (ModelData::Sha256(found), _) => Ok(Some(found.clone())),
        (ModelData::NotRead, expected) => Ok(expected.clone()),
    }
}

/// The version on metrics; None leaves it to the pod, which reads the file.
fn version(model: &ModelSpec, source: Source<'_>, sha256: Option<&str>) -> Option<String> {
    let by_source = || match source {
        Source::Builtin(builtin) => Some(builtin.version().to_owned()),
        Source::ConfigMap { .. } | Source::Claim { .. } => {
            sha256.map(|hash| hash.chars().take(8).collect())
        }
    };
    model.version.clone().or_else(by_source)
}

fn server_config(model: ModelConfig, server: &ServerSpec) -> Result<ServerConfig, Invalid> {
    let any = |port: endpoints::Port| (Ipv4Addr::UNSPECIFIED, port.number).into();
    Ok(ServerConfig {
        model,
        limits: Limits {
            max_concurrent_requests: server.max_concurrent_requests,
            max_batch_rows: server.max_batch_rows,
            max_body_bytes: amount("server.maxBodyBytes", &server.max_body_bytes)?,
            request_timeout_ms: millis("server.requestTimeout", &server.request_timeout)?,
        },
        listen: Listen {
            http: any(endpoints::HTTP),
            admin: Some(any(endpoints::ADMIN)),
        },
        termination_log: Some(endpoints::TERMINATION_LOG.to_owned()),
    })
}

fn resources(spec: &ResourcesSpec) -> Result<ResourceRequirements, Invalid> {
    check_limit("cpu", spec.requests.cpu.as_ref(), spec.limits.cpu.as_ref())?;
    check_limit(
        "memory",
        spec.requests.memory.as_ref(),
        spec.limits.memory.as_ref(),
    )?;
    let limits = ResourceList {
        cpu: spec.limits.cpu.clone(),
        memory: spec
            .limits
            .memory
            .clone()
            .or_else(|| spec.requests.memory.clone()),
    };
    Ok(ResourceRequirements {
        requests: amounts(&spec.requests),
        limits: amounts(&limits),
        ..ResourceRequirements::default()
    })
}

fn check_limit(
    what: &'static str,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Result<(), Invalid> {
    let read = |quantity: &Quantity| {
        let field = if what == "cpu" {
            "resources: cpu"
        } else {
            "resources: memory"
        };
        quantity
            .thousandths()
            .map_err(|source| Invalid::Quantity { field, source })
    };
    let (request_amount, limit_amount) =
        (request.map(read).transpose()?, limit.map(read).transpose()?);
    match (request, limit) {
        (Some(request), Some(limit)) if limit_amount < request_amount => {
            Err(Invalid::LimitBelowRequest {
                what,
                limit: limit.0.clone(),
                request: request.0.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn amounts(list: &ResourceList) -> Option<BTreeMap<String, KubeQuantity>> {
    let entries = [("cpu", &list.cpu), ("memory", &list.memory)];
    let map: BTreeMap<_, _> = entries
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), amount.as_ref()?.into())))
        .collect();
    (!map.is_empty()).then_some(map)
}

fn monitoring(
    spec: &MonitoringSpec,
    id: &Identity,
    settings: &Settings,
) -> Result<Option<Monitoring>, Invalid> {
    if !spec.enabled {
        return Ok(None);
    }
    let thresholds = thresholds(&spec.alerts.thresholds)?;
    Ok(Some(Monitoring {
        scrape: scrape(spec, settings)?,
        window: Window {
            seconds: millis("monitoring.alerts.window", &spec.alerts.window)? / 1000,
        },
        alerts: spec
            .alerts
            .enabled
            .then(|| alerts(spec, thresholds, id, settings)),
        dashboard: spec.dashboard.enabled.then(|| Dashboard {
            labels: spec.dashboard.labels.clone(),
            folder: spec.dashboard.folder.clone(),
            thresholds,
        }),
    }))
}

fn scrape(spec: &MonitoringSpec, settings: &Settings) -> Result<Scrape, Invalid> {
    millis("monitoring.scrape.interval", &spec.scrape.interval)?;
    millis("monitoring.scrape.timeout", &spec.scrape.timeout)?;
    let defaults = settings.monitor_labels.iter().cloned();
    Ok(Scrape {
        interval: spec.scrape.interval.0.clone(),
        timeout: spec.scrape.timeout.0.clone(),
        labels: defaults.chain(spec.scrape.labels.clone()).collect(),
    })
}

fn alerts(
    spec: &MonitoringSpec,
    thresholds: Thresholds,
    id: &Identity,
    settings: &Settings,
) -> Alerts {
    let dashboard_url = settings
        .grafana_url
        .as_ref()
        .filter(|_| spec.dashboard.enabled);
    Alerts {
        labels: spec.alerts.labels.clone(),
        thresholds,
        runbook_base_url: settings.runbook_base_url.trim_end_matches('/').to_owned(),
        dashboard_url: dashboard_url.map(|base| {
            format!(
                "{}/d/{}",
                base.trim_end_matches('/'),
                meta::dashboard_uid(id)
            )
        }),
    }
}

fn thresholds(spec: &ThresholdsSpec) -> Result<Thresholds, Invalid> {
    Ok(Thresholds {
        errors_per_second: spec.errors_per_second,
        latency_p95_seconds: seconds("monitoring.alerts.thresholds.latencyP95", &spec.latency_p95)?,
        inference_p95_seconds: seconds(
            "monitoring.alerts.thresholds.inferenceP95",
            &spec.inference_p95,
        )?,
        active_requests: spec.active_requests,
    })
}

fn millis(field: &'static str, duration: &Duration) -> Result<u64, Invalid> {
    duration
        .millis()
        .map_err(|source| Invalid::Duration { field, source })
}

fn seconds(field: &'static str, duration: &Duration) -> Result<f64, Invalid> {
    // Below 2^53 milliseconds, so exact.
    Ok(millis(field, duration)? as f64 / 1000.0)
}

fn amount(field: &'static str, quantity: &Quantity) -> Result<u64, Invalid> {
    quantity
        .units()
        .map_err(|source| Invalid::Quantity { field, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use rstest::rstest;

    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(arguments: &[&str]) -> Settings {
        Defaults::parse_from([&["operator"], arguments].concat()).settings
    }

    fn service(spec: &str) -> ModelService {
        crate::yaml::parse(&format!(
            "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\n\
             metadata: {{name: churn, namespace: shop, uid: u1}}\nspec: {spec}\n"
        ))
        .unwrap()
    }

    const BUILTIN: &str = "{builtin: {name: diabetes}}";
    const CONFIG_MAP: &str = "{configMap: {name: models, key: churn.json}}";

    fn plan(spec: &str, world: &World) -> Result<Plan, Invalid> {
        validate(&service(spec), world, &settings(&[]))
    }

    #[test]
    fn a_minimal_spec_gets_every_default() {
        let plan = plan(
            &format!("{{model: {{source: {BUILTIN}}}}}"),
            &World::default(),
        )
        .unwrap();
        assert_eq!(plan.replicas, 1);
        assert_eq!(plan.config.limits, Limits::default());
        assert_eq!(plan.config.model.name.as_deref(), Some("churn"));
        assert_eq!(plan.config.model.version.as_deref(), Some("1"));
        let memory = |list: &Option<BTreeMap<String, KubeQuantity>>| {
            list.as_ref().unwrap()["memory"].0.clone()
        };
        assert_eq!(
            memory(&plan.resources.limits),
            memory(&plan.resources.requests)
        );
        let monitoring = plan.monitoring.unwrap();
        assert_eq!(monitoring.window.seconds, 300);
        let thresholds = monitoring.alerts.unwrap().thresholds;
        assert_eq!(thresholds.errors_per_second, 0.1);
        assert_eq!(
            (
                thresholds.latency_p95_seconds,
                thresholds.inference_p95_seconds
            ),
            (1.0, 0.5)
        );
        assert_eq!(thresholds.active_requests, 10);
    }

    #[rstest]
    #[case(
        "{}",
        "spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim"
    )]
    #[case(
        "{builtin: {name: diabetes}, configMap: {name: a, key: b}}",
        "spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim"
    )]
    fn a_source_that_is_not_exactly_one_is_refused(#[case] source: &str, #[case] message: &str) {
        let invalid = plan(
            &format!("{{model: {{source: {source}}}}}"),
            &World::default(),
        )
        .unwrap_err();
        assert_eq!(
            (invalid.to_string().as_str(), invalid.reason()),
            (message, Reason::InvalidSpec)
        );
    }

    #[rstest]
    #[case(
        "server: {requestTimeout: soon}",
        "spec.server.requestTimeout: 'soon' is not a duration: write a whole number and one of ms, s, m, h, such as 15s"
    )]
    #[case(
        "server: {maxBodyBytes: lots}",
        "spec.server.maxBodyBytes: 'lots' is not an amount such as 250m, 1, 64Mi or 1.5Gi"
    )]
    #[case(
        "monitoring: {alerts: {window: 5x}}",
        "spec.monitoring.alerts.window: '5x' is not a duration: write a whole number and one of ms, s, m, h, such as 15s"
    )]
    #[case(
        "resources: {requests: {memory: 1Gi}, limits: {memory: 64Mi}}",
        "spec.resources: the memory limit 64Mi is below the request 1Gi"
    )]
    #[case(
        "resources: {requests: {cpu: 2}, limits: {cpu: 500m}}",
        "spec.resources: the cpu limit 500m is below the request 2"
    )]
    fn what_the_schema_lets_through_and_cannot_work_is_named(
        #[case] field: &str,
        #[case] message: &str,
    ) {
        let spec = format!("{{model: {{source: {BUILTIN}}}, {field}}}");
        assert_eq!(
            plan(&spec, &World::default()).unwrap_err().to_string(),
            message
        );
    }

    fn with(model: ModelData) -> World {
        World {
            model,
            ..World::default()
        }
    }

    #[test]
    fn a_config_map_gives_the_checksum_and_the_version_of_its_present_content() {
        let found = with(ModelData::Sha256("ab".repeat(32)));
        let plan = plan(&format!("{{model: {{source: {CONFIG_MAP}}}}}"), &found).unwrap();
        assert_eq!(plan.config.model.sha256, Some("ab".repeat(32)));
        assert_eq!(plan.config.model.version.as_deref(), Some("abababab"));
        assert_eq!(
            plan.config.model.source,
            contract::config::ModelSource::File("/models/churn.json".into())
        );
    }

    #[test]
    fn a_config_map_that_is_missing_or_holds_something_else_is_named() {
        let spec = format!(
            "{{model: {{source: {CONFIG_MAP}, sha256: {}}}}}",
            "c".repeat(64)
        );
        let check = |model, reason, part: &str| {
            let invalid = plan(&spec, &with(model)).unwrap_err();
            assert!(invalid.to_string().contains(part), "{invalid}");
            assert_eq!(invalid.reason(), Reason::Load(reason));
        };
        check(
            ModelData::NoConfigMap,
            LoadFailure::NotFound,
            "no ConfigMap 'models'",
        );
        check(
            ModelData::NoKey(vec!["a".into(), "b".into()]),
            LoadFailure::NotFound,
            "no key 'churn.json'; it has: a, b",
        );
        check(
            ModelData::Sha256("ab".repeat(32)),
            LoadFailure::ChecksumMismatch,
            "has abab",
        );
    }

    #[test]
    fn a_volume_leaves_the_version_to_the_pod_unless_the_spec_knows_it() {
        let source = "{persistentVolumeClaim: {claimName: models, path: a/b.json}}";
        let unknown = plan(
            &format!("{{model: {{source: {source}}}}}"),
            &World::default(),
        )
        .unwrap();
        assert_eq!(unknown.config.model.version, None);
        let spec = format!(
            "{{model: {{source: {source}, sha256: {}}}}}",
            "d".repeat(64)
        );
        let known = plan(&spec, &World::default()).unwrap();
        assert_eq!(known.config.model.version.as_deref(), Some("dddddddd"));
        assert_eq!(
            known.model_volume,
            Some(ModelVolume::Claim {
                name: "models".into()
            })
        );
    }

    #[test]
    fn the_users_scrape_labels_win_over_the_administrators() {
        let spec = format!(
            "{{model: {{source: {BUILTIN}}}, monitoring: {{scrape: {{labels: {{release: mine}}}}}}}}"
        );
        let settings = settings(&[
            "--monitor-label",
            "release=kps",
            "--monitor-label",
            "team=a",
        ]);
        let plan = validate(&service(&spec), &World::default(), &settings).unwrap();
        let labels = plan.monitoring.unwrap().scrape.labels;
        assert_eq!(
            (labels["release"].as_str(), labels["team"].as_str()),
            ("mine", "a")
        );
    }

    #[test]
    fn alerts_link_to_the_dashboard_when_grafana_is_known() {
        let spec = format!("{{model: {{source: {BUILTIN}}}}}");
        let settings = settings(&["--grafana-url", "https://grafana.example.com/"]);
        let plan = validate(&service(&spec), &World::default(), &settings).unwrap();
        let url = plan
            .monitoring
            .unwrap()
            .alerts
            .unwrap()
            .dashboard_url
            .unwrap();
        assert_eq!(
            url,
            format!(
                "https://grafana.example.com/d/{}",
                meta::dashboard_uid(&plan.id)
            )
        );
    }
}
