//! (ModelService, World) → Plan: every default resolved, every contradiction found. Pure.

mod invalid;
mod model;
mod monitoring;
mod resources;

pub use invalid::Invalid;

use crate::api::{Duration, ModelService, Quantity, SecretRef, ServerSpec};
use crate::plan::{Identity, Image, Plan, SecretKey, Settings};
use crate::world::World;
use contract::config::{Limits, Listen, ModelConfig, SecretFile, ServerConfig};
use contract::endpoints;
use kube::{Resource, ResourceExt};
use std::net::Ipv4Addr;

/// Resolves a ModelService into a plan, or says why it cannot work.
pub fn validate(ms: &ModelService, world: &World, settings: &Settings) -> Result<Plan, Invalid> {
    let spec = &ms.spec;
    let id = identity(ms);
    let (model, model_volume) = model::model(&spec.model, &id.name, world)?;
    let api_keys = spec.server.api_keys.as_ref();
    let api_keys = api_keys.map(|keys| secret_key(&keys.secret_ref));
    Ok(Plan {
        config: server_config(model, &spec.server, api_keys.as_ref())?,
        resources: resources::resources(&spec.resources)?,
        monitoring: monitoring::monitoring(&spec.monitoring, &id, settings)?,
        image: Image {
            reference: settings.inference_image.clone(),
            pull_policy: settings.inference_image_pull_policy.clone(),
        },
        replicas: spec.replicas,
        model_volume,
        api_keys,
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

fn secret_key(secret: &SecretRef) -> SecretKey {
    SecretKey {
        name: secret.name.clone(),
        key: secret.key.clone(),
    }
}

fn server_config(
    model: ModelConfig,
    server: &ServerSpec,
    api_keys: Option<&SecretKey>,
) -> Result<ServerConfig, Invalid> {
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
            grpc: Some(any(endpoints::GRPC)),
        },
        api_keys: api_keys.map(|secret| SecretFile {
            file: secret.file(),
        }),
        termination_log: Some(endpoints::TERMINATION_LOG.to_owned()),
        ..ServerConfig::default()
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
    use crate::api::Reason;
    use crate::meta;
    use crate::plan::ModelVolume;
    use crate::world::ModelData;
    use clap::Parser;
    use contract::labels::LoadFailure;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubeQuantity;
    use rstest::rstest;
    use std::collections::BTreeMap;

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
            ModelData::NoKey,
            LoadFailure::NotFound,
            "has no key 'churn.json'",
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
    fn api_keys_are_a_file_that_is_named_after_their_secret() {
        for (secret, file) in [
            (
                "{name: clients}",
                "/etc/modelservice-secrets/clients/api-keys",
            ),
            (
                "{name: clients, key: churn}",
                "/etc/modelservice-secrets/clients/churn",
            ),
        ] {
            let keys = format!("server: {{apiKeys: {{secretRef: {secret}}}}}");
            let spec = format!("{{model: {{source: {BUILTIN}}}, {keys}}}");
            let plan = plan(&spec, &World::default()).unwrap();
            assert_eq!(plan.config.api_keys.unwrap().file, file);
            assert_eq!(plan.api_keys.unwrap().file(), file);
        }
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
