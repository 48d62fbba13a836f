//! (ModelService, World) → Plan: every default resolved, every contradiction found. Pure.

mod business;
mod destination;
mod invalid;
mod model;
mod monitoring;
mod resources;

pub use destination::NoDestination;
pub use invalid::Invalid;

use crate::api::{
    AutoscalingSpec, Duration, ModelService, ModelServiceSpec, Quantity, ResourcesSpec, SecretRef,
};
use crate::plan::{Autoscaling, Identity, Image, NetworkAccess, Plan, SecretKey, Settings};
use crate::world::World;
use contract::config::{Limits, Listen, ModelConfig, SecretFile, ServerConfig, Tracing};
use contract::endpoints;
use kube::{Resource, ResourceExt};
use std::net::Ipv6Addr;

/// Resolves a ModelService into a plan, or says why it cannot work.
pub fn validate(ms: &ModelService, world: &World, settings: &Settings) -> Result<Plan, Invalid> {
    let spec = &ms.spec;
    let id = identity(ms);
    let model = model::model(&spec.model, &id.name, &id.namespace, world)?;
    let traces = monitoring::traces(&spec.monitoring, &id.namespace)?;
    let (tracing, receiver) = traces.map(|to| (to.config, to.destination)).unzip();
    let api_keys = spec.server.api_keys.as_ref();
    let api_keys = api_keys.map(|keys| secret_key(&keys.secret_ref));
    let autoscaling = spec.autoscaling.as_ref();
    let autoscaling = autoscaling.map(|wanted| autoscaling_of(wanted, &spec.resources));
    let autoscaling = autoscaling.transpose()?;
    let (replicas, replicas_seen_at) = replicas(spec.replicas, world, autoscaling.as_ref());
    Ok(Plan {
        config: server_config(model.config, tracing, spec, api_keys.as_ref())?.into(),
        resources: resources::resources(&spec.resources)?,
        monitoring: monitoring::monitoring(&spec.monitoring, &id, settings)?,
        image: Image {
            reference: settings.inference_image.clone(),
            pull_policy: settings.inference_image_pull_policy.clone(),
        },
        replicas,
        replicas_seen_at,
        autoscaling,
        network: settings.network_policies.then(|| NetworkAccess {
            monitoring_namespaces: monitoring_namespaces(settings, world),
            destinations: model.destination.into_iter().chain(receiver).collect(),
        }),
        model_volume: model.volume,
        source_secret: model.secret,
        api_keys,
        id,
    })
}

/// Those that the administrator names, else those in which there is a Prometheus.
fn monitoring_namespaces(settings: &Settings, world: &World) -> Vec<String> {
    let named = &settings.monitoring_namespaces;
    match named.is_empty() {
        true => world.prometheuses.namespaces(),
        false => named.clone(),
    }
}

/// What the spec says. Once there are pods, an autoscaler decides: its number is kept, so that
/// neither its beginning nor a write of ours changes how many there are. With it comes the version
/// of the Deployment that has it.
fn replicas(
    wanted: i32,
    world: &World,
    autoscaling: Option<&Autoscaling>,
) -> (i32, Option<String>) {
    let Some(Autoscaling { fewest, most, .. }) = autoscaling else {
        return (wanted, None);
    };
    let deployment = world.live.deployment.as_ref();
    match (wanted, deployment.map(|seen| (seen.details.desired, seen))) {
        (0, _) => (0, None),
        (_, Some((there @ 1.., seen))) => {
            (there.clamp(*fewest, *most), Some(seen.version.to_string()))
        }
        _ => (wanted.clamp(*fewest, *most), None),
    }
}

fn autoscaling_of(
    wanted: &AutoscalingSpec,
    resources: &ResourcesSpec,
) -> Result<Autoscaling, Invalid> {
    // Kubernetes takes the limit for what is asked for where nothing is.
    let asked_for = resources.requests.cpu.as_ref();
    let cpu = asked_for.or(resources.limits.cpu.as_ref());
    // What is no amount is refused as such elsewhere.
    let is_some = |cpu: &Quantity| cpu.thousandths().map_or(true, |cpu| cpu > 0);
    match cpu.is_some_and(is_some) {
        true => Ok(Autoscaling {
            fewest: wanted.min_replicas,
            most: wanted.max_replicas,
            cpu_utilization: wanted.cpu_utilization,
        }),
        false => Err(Invalid::NothingToUtilize),
    }
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
    tracing: Option<Tracing>,
    spec: &ModelServiceSpec,
    api_keys: Option<&SecretKey>,
) -> Result<ServerConfig, Invalid> {
    let (server, monitoring) = (&spec.server, &spec.monitoring);
    let any = |port: endpoints::Port| (Ipv6Addr::UNSPECIFIED, port.number).into();
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
        business_metrics: business::metrics(&monitoring.business_metrics)?,
        compatibility: business::compatibility(&monitoring.compatibility),
        tracing,
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
    use crate::plan::{Destination, Host, ModelVolume};
    use crate::prometheus_operator::Prometheus;
    use crate::selection::SeenPrometheus;
    use crate::world::ModelData;
    use clap::Parser;
    use contract::config::{MlflowVersion, ModelSource};
    use contract::labels::LoadFailure;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubeQuantity;
    use rstest::rstest;
    use std::collections::BTreeMap;
    use std::sync::Arc;

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
        assert_eq!(plan.config.server.limits, Limits::default());
        assert_eq!(plan.config.server.model.name.as_deref(), Some("churn"));
        assert_eq!(plan.config.server.model.version.as_deref(), Some("1"));
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
        "spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim, http, s3, mlflow, image"
    )]
    #[case(
        "{builtin: {name: diabetes}, configMap: {name: a, key: b}}",
        "spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim, http, s3, mlflow, image"
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
        assert_eq!(plan.config.server.model.sha256, Some("ab".repeat(32)));
        assert_eq!(
            plan.config.server.model.version.as_deref(),
            Some("abababab")
        );
        assert_eq!(
            plan.config.server.model.source,
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
    fn what_is_fetched_comes_with_its_secret_and_whom_to_ask() {
        let source = "{s3: {bucket: models, key: a/b.json, endpoint: 'http://minio.storage.svc:9000', secretRef: {name: keys}}}";
        let spec = format!(
            "{{model: {{source: {source}, sha256: {}}}}}",
            "d".repeat(64)
        );
        let plan = plan(&spec, &World::default()).unwrap();
        let secret = plan.source_secret.unwrap();
        assert_eq!(secret.name, "keys");
        let ModelSource::S3(found) = plan.config.server.model.source else {
            panic!("{:?}", plan.config.server.model.source);
        };
        assert_eq!(found.secrets, Some(secret.folder()));
        assert_eq!(
            plan.config.server.model.version.as_deref(),
            Some("dddddddd")
        );
        let destinations = plan.network.unwrap().destinations;
        let host = Host::Inside("storage".to_owned());
        assert_eq!(destinations, [Destination { host, port: 9000 }]);
    }

    #[test]
    fn traces_are_sent_whether_or_not_there_is_monitoring_and_pods_may_send_them() {
        let tracing = "{endpoint: 'http://collector.observability.svc:4318'}";
        for monitoring in ["", "enabled: false, "] {
            let spec = format!(
                "{{model: {{source: {{builtin: {{name: diabetes}}}}}}, monitoring: {{{monitoring}tracing: {tracing}}}}}"
            );
            let plan = plan(&spec, &World::default()).unwrap();
            let tracing = plan.config.server.tracing.unwrap();
            assert_eq!(tracing.endpoint, "http://collector.observability.svc:4318");
            assert_eq!(tracing.sample_ratio, 0.1);
            let host = Host::Inside("observability".to_owned());
            let expected = Destination { host, port: 4318 };
            assert_eq!(plan.network.unwrap().destinations, [expected]);
        }
    }

    #[test]
    fn metrics_are_asked_for_from_where_a_prometheus_is_unless_the_administrator_says_otherwise() {
        let server = |namespace: &str| {
            let text = format!("metadata: {{name: k8s, namespace: {namespace}}}\nspec: {{}}");
            let server: Prometheus = crate::yaml::parse(&text).unwrap();
            Arc::new(SeenPrometheus::new(&server))
        };
        let mut world = World::default();
        let namespaces = |world: &World, arguments: &[&str]| {
            let settings = settings(arguments);
            monitoring_namespaces(&settings, world).join(" ")
        };
        assert_eq!(namespaces(&world, &[]), "", "no Prometheus: all may");
        world.prometheuses.servers = ["a", "a", "b"].map(server).into();
        assert_eq!(namespaces(&world, &[]), "a b");
        assert_eq!(namespaces(&world, &["--monitoring-namespace=c"]), "c");
    }

    #[test]
    fn traces_need_a_url_that_can_be_read() {
        let spec = "{model: {source: {builtin: {name: diabetes}}}, monitoring: {tracing: {endpoint: 'http://[1'}}}";
        let problem = plan(spec, &World::default()).unwrap_err();
        assert_eq!(problem.reason(), Reason::InvalidSpec);
        let message =
            "spec.monitoring.tracing.endpoint: 'http://[1' is no URL: invalid IPv6 address";
        assert_eq!(problem.to_string(), message);
    }

    #[rstest]
    #[case("version: 3", MlflowVersion::Number(3), Some("3"))]
    #[case("alias: champion", MlflowVersion::Alias("champion".to_owned()), None)]
    fn a_registered_model_has_the_version_of_its_registry(
        #[case] which: &str,
        #[case] expected: MlflowVersion,
        #[case] version: Option<&str>,
    ) {
        let spec = format!(
            "{{model: {{source: {{mlflow: {{trackingUri: 'https://mlflow.example.com', model: churn, {which}}}}}}}}}"
        );
        let plan = plan(&spec, &World::default()).unwrap();
        let ModelSource::Mlflow(found) = plan.config.server.model.source else {
            panic!("{:?}", plan.config.server.model.source);
        };
        assert_eq!(found.version, expected);
        assert_eq!(plan.config.server.model.version.as_deref(), version);
    }

    #[test]
    fn a_volume_leaves_the_version_to_the_pod_unless_the_spec_knows_it() {
        let source = "{persistentVolumeClaim: {claimName: models, path: a/b.json}}";
        let unknown = plan(
            &format!("{{model: {{source: {source}}}}}"),
            &World::default(),
        )
        .unwrap();
        assert_eq!(unknown.config.server.model.version, None);
        let spec = format!(
            "{{model: {{source: {source}, sha256: {}}}}}",
            "d".repeat(64)
        );
        let known = plan(&spec, &World::default()).unwrap();
        assert_eq!(
            known.config.server.model.version.as_deref(),
            Some("dddddddd")
        );
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
            assert_eq!(plan.config.server.api_keys.unwrap().file, file);
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

    #[rstest]
    #[case(
        "{name: up, type: counter}",
        "spec.monitoring.businessMetrics, metric \"up\": the name \"up\" is that of a standard metric"
    )]
    #[case(
        "{name: a, type: counter, value: {}}",
        "spec.monitoring.businessMetrics: metric 'a', its value: set exactly one of parameter, output, request"
    )]
    #[case(
        "{name: a, type: counter, labels: [{name: le, constant: x}]}",
        "spec.monitoring.businessMetrics, metric \"a\", label \"le\""
    )]
    fn business_metrics_that_cannot_be_counted_are_named(
        #[case] metric: &str,
        #[case] message: &str,
    ) {
        let monitoring = format!("monitoring: {{businessMetrics: [{metric}]}}");
        let spec = format!("{{model: {{source: {BUILTIN}}}, {monitoring}}}");
        let invalid = plan(&spec, &World::default()).unwrap_err();
        let said = invalid.to_string();
        assert!(said.starts_with(message), "{said}");
        assert_eq!(invalid.reason(), Reason::InvalidSpec);
    }

    #[rstest]
    #[case::by_default("{}", true)]
    #[case::asked_for("{requests: {cpu: 1m}}", true)]
    #[case::limited("{requests: {memory: 64Mi}, limits: {cpu: 1}}", true)]
    #[case::neither("{requests: {memory: 64Mi}}", false)]
    #[case::none("{requests: {cpu: 0}}", false)]
    fn pods_follow_their_load_only_if_there_is_cpu_to_use_a_share_of(
        #[case] resources: &str,
        #[case] works: bool,
    ) {
        let spec = format!(
            "{{model: {{source: {BUILTIN}}}, autoscaling: {{maxReplicas: 3}}, resources: {resources}}}"
        );
        let planned = plan(&spec, &World::default());
        assert_eq!(planned.is_ok(), works, "{planned:?}");
    }

    #[test]
    fn objectives_leave_a_budget_without_the_digits_of_binary_fractions() {
        let spec = format!("{{model: {{source: {BUILTIN}}}}}");
        let plan = plan(&spec, &World::default()).unwrap();
        let objectives = plan.monitoring.unwrap().objectives.unwrap();
        assert_eq!((objectives.unavailable, objectives.slow), (0.001, 0.01));
        assert_eq!(objectives.unit.seconds, 300);
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
