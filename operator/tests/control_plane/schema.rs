//! What the API server admits and refuses, by the definition alone.

use crate::cluster::{Cluster, model_service};
use crate::kubectl::kubectl;
use crate::settings::settings_of;
use operator::cli::rendered;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MODEL: &str = "model: {source: {builtin: {name: diabetes}}}";

/// Spec, and a part of the message that refuses it.
const REFUSED: [(&str, &str); 69] = [
    ("{}", "spec.model: Required value"),
    ("{model: {}}", "spec.model.source: Required value"),
    (
        "{model: {source: {}}}",
        "set exactly one of builtin, configMap, persistentVolumeClaim, http, s3, mlflow, image",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}, configMap: {name: a, key: b}}}}",
        "set exactly one of",
    ),
    (
        "{model: {source: {builtin: {name: iris}}}}",
        "supported values: \"diabetes\"",
    ),
    (
        "{model: {source: {git: {url: 'http://x'}}}}",
        "unknown field \"spec.model.source.git\"",
    ),
    (
        "{model: {source: {http: {url: 'http://x'}}}}",
        "sha256 is required for http and s3",
    ),
    (
        "{model: {source: {s3: {bucket: models, key: a}}}}",
        "sha256 is required for http and s3",
    ),
    (
        "{model: {source: {http: {url: 'file:///etc/passwd'}}}}",
        "http.url",
    ),
    (
        "{model: {source: {http: {url: 'http://me:pw@x/a'}}}}",
        "http.url",
    ),
    (
        "{model: {source: {http: {url: 'http://x/a b'}}}}",
        "http.url",
    ),
    (
        "{model: {source: {http: {url: 'http://x', secretRef: {name: a, namespace: b}}}}}",
        "unknown field \"spec.model.source.http.secretRef.namespace\"",
    ),
    (
        "{model: {source: {s3: {bucket: 'a/../b', key: a}}}}",
        "s3.bucket",
    ),
    (
        "{model: {source: {s3: {bucket: models, key: ''}}}}",
        "s3.key",
    ),
    (
        "{model: {source: {mlflow: {trackingUri: 'http://x', model: a}}}}",
        "set exactly one of version, alias",
    ),
    (
        "{model: {source: {mlflow: {trackingUri: 'http://x', model: a, version: 1, alias: b}}}}",
        "set exactly one of version, alias",
    ),
    (
        "{model: {source: {mlflow: {trackingUri: 'http://x', model: a, version: 0}}}}",
        "mlflow.version",
    ),
    (
        "{model: {source: {mlflow: {trackingUri: 'http://x', model: a, version: 4294967296}}}}",
        "mlflow.version",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {labels: {'bad key!': x}}}}",
        "keys are those of labels",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {labels: {a/b/c: x}}}}",
        "keys are those of labels",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {dashboard: {labels: {k: sp ace}}}}",
        "dashboard.labels",
    ),
    (
        "{model: {source: {image: {reference: a, path: ../b}}}}",
        "path must be relative",
    ),
    (
        "{model: {source: {configMap: {name: a}}}}",
        "configMap.key: Required value",
    ),
    (
        "{model: {source: {configMap: {name: 'a b', key: c}}}}",
        "configMap.name",
    ),
    (
        "{model: {source: {configMap: {name: a, key: '../x'}}}}",
        "configMap.key",
    ),
    (
        "{model: {source: {persistentVolumeClaim: {claimName: a, path: /etc/passwd}}}}",
        "path must be relative",
    ),
    (
        "{model: {source: {persistentVolumeClaim: {claimName: a, path: b/../../c}}}}",
        "path must be relative",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}, sha256: ABC}}",
        "spec.model.sha256",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}, version: 'a b'}}",
        "spec.model.version",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, replicas: -1}",
        "spec.replicas",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, replicas: 1001}",
        "spec.replicas",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, replica: 2}",
        "unknown field \"spec.replica\"",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, image: evil}",
        "unknown field \"spec.image\"",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, resources: {requests: {memory: lots}}}",
        "spec.resources.requests.memory",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, server: {maxBatchRows: 0}}",
        "spec.server.maxBatchRows",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, server: {requestTimeout: 5}}",
        "spec.server.requestTimeout",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, server: {apiKeys: {}}}",
        "spec.server.apiKeys.secretRef: Required value",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, server: {apiKeys: {secretRef: {name: 'a b'}}}}",
        "spec.server.apiKeys.secretRef.name",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, server: {apiKeys: {secretRef: {name: a, key: ../x}}}}",
        "spec.server.apiKeys.secretRef.key",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {interval: 5s}}}",
        "timeout must not be longer than interval",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {window: 10s}}}",
        "window must be between 1m and 1h",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {labels: {'a-b': c}}}}",
        "label names hold letters",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {thresholds: {errorsPerSecond: -1}}}}",
        "errorsPerSecond",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {dashboard: {folder: ../etc}}}",
        "spec.monitoring.dashboard.folder",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {labels: {a: a123456789012345678901234567890123456789012345678901234567890123}}}}",
        "labels.a: Too long",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {labels: {__name__: x}}}}",
        "do not start with __",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {interval: 5m}}}",
        "a quarter of alerts.window",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {interval: 1ms, timeout: 1ms}}}",
        "between 1s and",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {thresholds: {latencyP95: 10s}}}}",
        "the histograms reach no further",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {thresholds: {inferenceP95: 1s}}}}",
        "the histograms reach no further",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {interval: 10m}, alerts: {window: 1h}}}",
        "between 1s and 2m",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {alerts: {labels: {pod: a}}}}",
        "none that tell alerts apart",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {objectives: {period: 1h}}}",
        "period must be between 12h and 2160h",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {objectives: {period: 24h}}}",
        "its shortest window needs several scrapes",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {objectives: {availability: 100}}}",
        "objectives.availability",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {objectives: {latency: {threshold: 300ms}}}}",
        "threshold must be one of 1ms, 5ms",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {drift: {window: 30s}}}",
        "window must be between 1m and 168h, and threshold at least 0.01",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {scrape: {interval: 30s}, quality: {window: 1m}}}",
        "at most a quarter of drift.window, quality.window and performance.window",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {drift: {threshold: 0}}}",
        "threshold at least 0.01",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {performance: {minimumSamples: 0}}}",
        "performance.minimumSamples",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {tracing: {endpoint: 'collector:4318'}}}",
        "spec.monitoring.tracing.endpoint",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {tracing: {endpoint: 'http://user:password@collector'}}}",
        "spec.monitoring.tracing.endpoint",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {tracing: {endpoint: 'http://collector', sampleRatio: 1.5}}}",
        "spec.monitoring.tracing.sampleRatio",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {businessMetrics: [{name: a-b, type: counter}]}}",
        "businessMetrics[0].name",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {businessMetrics: [{name: a, type: gauge}]}}",
        "supported values: \"counter\", \"histogram\", \"average\"",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {businessMetrics: [{name: a, type: counter, buckets: [1]}]}}",
        "buckets are for histograms only",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {businessMetrics: [{name: a, type: counter, value: {parameter: b, output: prediction}}]}}",
        "set exactly one of parameter, output, request",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {businessMetrics: [{name: a, type: counter, labels: [{name: b}]}]}}",
        "set exactly one of parameter, output, request, constant",
    ),
    (
        "{model: {source: {builtin: {name: diabetes}}}, monitoring: {compatibility: [seldon]}}",
        "supported values",
    ),
];

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn what_cannot_work_is_refused_at_the_door_with_the_field_and_the_reason() {
    let cluster = Cluster::shared("schema-refused");
    for (spec, message) in REFUSED {
        let error = cluster.serve(spec).expect_err(spec);
        assert!(error.contains(message), "{spec}\n{error}");
        let rendered = rendered(&model_service("churn", spec), &settings_of(&[]));
        assert!(rendered.is_err(), "taken without an API server: {spec}");
    }
    assert_eq!(cluster.get("modelservice", "churn"), None);
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn names_that_a_service_or_a_label_cannot_carry_are_refused() {
    let cluster = Cluster::shared("schema-names");
    for name in ["9lives", "with.dot", &"a".repeat(47), &"a".repeat(253)] {
        let error = cluster
            .apply(&model_service(name, &format!("{{{MODEL}}}")))
            .expect_err(name);
        assert!(
            error.contains("metadata.name must start with a letter"),
            "{error}"
        );
    }
    cluster
        .apply(&model_service(&"a".repeat(46), &format!("{{{MODEL}}}")))
        .unwrap();
    cluster.wait("deployment", &"a".repeat(46), |_| true);
}

/// Amounts that Kubernetes writes otherwise than people do.
const AMOUNTS: [&str; 16] = [
    "0.5",
    "1000m",
    "1.0",
    "1500m",
    "1000",
    "1024",
    "1024Mi",
    "1.5Gi",
    "0.5Ki",
    "1.001Ki",
    "1000Ki",
    "2048Ti",
    "128974848",
    "123M",
    "0.5m",
    "1.5m",
];

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn amounts_are_asked_for_as_the_api_server_keeps_them() {
    let cluster = Cluster::shared("schema-amounts");
    for amount in AMOUNTS {
        let resources = format!("{{requests: {{cpu: '{amount}', memory: '{amount}'}}}}");
        let spec = format!("{{{MODEL}, resources: {resources}}}");
        let objects = rendered(&model_service("churn", &spec), &settings_of(&[])).unwrap();
        let mut documents = objects.split("---\n");
        let wanted = documents.find(|document| document.contains("\nkind: Deployment\n"));
        let wanted = wanted.unwrap().replace("namespace: default", "");
        let dry_run = [
            "--namespace",
            &cluster.namespace,
            "create",
            "--dry-run=server",
            "-o",
            "json",
            "-f",
            "-",
        ];
        let kept: Value = serde_json::from_str(&kubectl(&dry_run, Some(&wanted)).unwrap()).unwrap();
        let wanted: Value = operator::yaml::parse(&wanted).unwrap();
        let of = |deployment: &Value| {
            deployment["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
        };
        assert_eq!(of(&wanted), of(&kept), "{amount}");
    }
}

/// Nearly as large as an object may be in etcd, 1.5 MiB, with what is noted of who wrote each label.
#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_modelservice_as_large_as_can_be_is_served_and_followed() {
    let cluster = Cluster::shared("schema-large");
    let label = |at: usize| (format!("example.com/label-{at}"), "v".repeat(40));
    let labels: BTreeMap<_, _> = (0..10_000).map(label).collect();
    let object = json!({
        "apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService",
        "metadata": {"name": "churn", "labels": labels, "annotations": {"notes": "n".repeat(200 * 1024)}},
        "spec": {"model": {"source": {"builtin": {"name": "diabetes"}}}},
    });
    let create = ["--namespace", &cluster.namespace, "create", "-f", "-"];
    kubectl(&create, Some(&object.to_string())).unwrap();
    let stored = cluster.wait("modelservice", "churn", |ms| ms["status"].is_object());
    let size = stored.to_string().len();
    assert!(size > 800 * 1024, "{size}");
    let deployment = cluster.wait("deployment", "churn", |_| true);
    let labels = deployment["metadata"]["labels"].as_object().unwrap();
    assert!(labels.len() < 10, "{labels:?}");
    let scale = ["scale", "modelservice", "churn", "--replicas", "3"];
    cluster.kubectl(&scale).unwrap();
    cluster.wait("deployment", "churn", |deployment| {
        deployment["spec"]["replicas"] == 3
    });
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn every_example_is_admitted() {
    let cluster = Cluster::shared("schema-examples");
    let mut found = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            cluster
                .apply(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found += 1;
        }
    }
    assert!(found >= 10, "{found} examples");
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn every_default_is_visible_in_the_stored_object() {
    let cluster = Cluster::shared("schema-defaults");
    cluster
        .serve(&format!(
            "{{{MODEL}, monitoring: {{alerts: {{window: 10m}}}}}}"
        ))
        .unwrap();
    let ms = cluster.wait("modelservice", "churn", |_| true);
    assert_eq!(ms["spec"]["replicas"], 1);
    assert_eq!(ms["spec"]["server"]["maxConcurrentRequests"], 64);
    assert_eq!(ms["spec"]["monitoring"]["scrape"]["interval"], "15s");
    assert_eq!(ms["spec"]["monitoring"]["alerts"]["window"], "10m");
    assert_eq!(
        ms["spec"]["monitoring"]["alerts"]["thresholds"]["latencyP95"],
        "1s"
    );
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn kubectl_explains_every_field() {
    let cluster = Cluster::shared("schema-explain");
    let text = cluster
        .kubectl(&["explain", "modelservice.spec", "--recursive"])
        .unwrap();
    for field in [
        "sha256",
        "claimName",
        "maxBatchRows",
        "errorsPerSecond",
        "folder",
        "minimumSamples",
        "businessMetrics",
        "availability",
    ] {
        assert!(text.contains(field), "{field} is not explained");
    }
    let text = cluster
        .kubectl(&[
            "explain",
            "modelservice.spec.model.source.persistentVolumeClaim.path",
        ])
        .unwrap();
    assert!(text.contains("relative to its root"), "{text}");
}
