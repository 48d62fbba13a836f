//! Somebody who may make ModelServices in one namespace, and nothing else, gets nothing else by them.

use crate::cluster::{Cluster, model_service};
use crate::configuration::config_map_of;
use crate::kubectl::kubectl;
use serde_json::{Value, json};

/// Who has a token and the rights to a namespace's ModelServices.
struct Tenant<'a> {
    cluster: &'a Cluster,
    token: String,
}

const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tenant}
rules: [{apiGroups: [modelservice.dev], resources: [modelservices], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}
subjects: [{kind: ServiceAccount, name: tenant}]
";

impl<'a> Tenant<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        cluster
            .kubectl(&["create", "serviceaccount", "tenant"])
            .unwrap();
        cluster.apply(RIGHTS).unwrap();
        let token = cluster.kubectl(&["create", "token", "tenant"]).unwrap();
        let token = token.trim().to_owned();
        Self { cluster, token }
    }

    /// kubectl with the tenant's token; Err is what it printed on failure.
    fn kubectl(&self, arguments: &[&str], stdin: Option<&str>) -> Result<String, String> {
        let (config, _keep) = self.config();
        kubectl(&[&["--kubeconfig", &config], arguments].concat(), stdin)
    }

    fn config(&self) -> (String, tempfile::TempPath) {
        let text = ["config", "view", "--raw", "--minify", "-o", "json"];
        let mut config: Value = serde_json::from_str(&kubectl(&text, None).unwrap()).unwrap();
        config["users"][0]["user"] = json!({"token": self.token});
        config["contexts"][0]["context"]["namespace"] = json!(self.cluster.namespace);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config.to_string()).unwrap();
        let path = file.into_temp_path();
        (path.to_str().unwrap().to_owned(), path)
    }
}

/// Kinds and verbs that are none of a tenant's.
const KINDS: [&str; 14] = [
    "secrets",
    "configmaps",
    "pods",
    "deployments.apps",
    "services",
    "networkpolicies.networking.k8s.io",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "serviceaccounts",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "leases.coordination.k8s.io",
    "servicemonitors.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
];

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_tenant_gets_at_nothing_directly() {
    let (cluster, other) = (
        Cluster::shared("tenant-direct"),
        Cluster::shared("tenant-other"),
    );
    other
        .serve("{model: {source: {builtin: {name: diabetes}}}}")
        .unwrap();
    let tenant = Tenant::of(&cluster);
    let refused = |arguments: &[&str], stdin: Option<&str>| {
        let answer = tenant.kubectl(arguments, stdin);
        let error = answer.expect_err(&format!("{arguments:?} was let through"));
        assert!(error.contains("orbidden"), "{arguments:?}: {error}");
    };
    for kind in KINDS {
        refused(&["get", kind], None);
        refused(&["get", kind, "--namespace", &other.namespace], None);
        refused(&["delete", kind, "churn"], None);
    }
    let theirs = ["--namespace", &other.namespace];
    refused(&[&["get", "modelservices"], &theirs[..]].concat(), None);
    refused(
        &[&["delete", "modelservice", "churn"], &theirs[..]].concat(),
        None,
    );
    let yaml = model_service("evil", "{model: {source: {builtin: {name: diabetes}}}}");
    refused(&[&["create", "-f", "-"], &theirs[..]].concat(), Some(&yaml));
    let status = r#"{"status": {"url": "http://evil"}}"#;
    tenant.kubectl(&["apply", "-f", "-"], Some(&yaml)).unwrap();
    refused(
        &[
            "patch",
            "modelservice",
            "evil",
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ],
        None,
    );
}

/// What a spec must not be able to say; each beside a model that can be served.
const SPECS: [&str; 20] = [
    "namespace: kube-system",
    "serviceAccountName: default",
    "nodeName: a",
    "nodeSelector: {a: b}",
    "tolerations: [{operator: Exists}]",
    "hostNetwork: true",
    "hostPID: true",
    "image: evil",
    "podTemplate: {spec: {hostNetwork: true}}",
    "template: {spec: {containers: []}}",
    "volumes: [{name: a, hostPath: {path: /}}]",
    "initContainers: [{name: a, image: evil}]",
    "sidecars: [{name: a, image: evil}]",
    "env: [{name: A, valueFrom: {secretKeyRef: {name: a, key: b}}}]",
    "envFrom: [{secretRef: {name: a}}]",
    "securityContext: {privileged: true}",
    "annotations: {sidecar.istio.io/inject: 'true'}",
    "labels: {app.kubernetes.io/instance: another}",
    "server: {command: [sh]}",
    "monitoring: {namespace: kube-system}",
];

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn a_spec_says_nothing_but_what_it_may() {
    let cluster = Cluster::shared("tenant-specs");
    let tenant = Tenant::of(&cluster);
    let plain = |name: &str| model_service(name, "{model: {source: {builtin: {name: diabetes}}}}");
    tenant
        .kubectl(&["apply", "-f", "-"], Some(&plain("plain")))
        .unwrap();
    let template = |name: &str| {
        let deployment = cluster.wait("deployment", name, |_| true);
        deployment["spec"]["template"]
            .to_string()
            .replace(name, "NAME")
    };
    let expected = template("plain");
    for (at, rest) in SPECS.iter().enumerate() {
        let name = format!("spec{at}");
        let yaml = model_service(
            &name,
            &format!("{{model: {{source: {{builtin: {{name: diabetes}}}}}}, {rest}}}"),
        );
        let strict = tenant.kubectl(&["apply", "--validate=strict", "-f", "-"], Some(&yaml));
        assert!(strict.unwrap_err().contains("unknown field"), "{rest}");
        // Whoever does not ask for strictness has it left out.
        tenant
            .kubectl(&["apply", "--validate=false", "-f", "-"], Some(&yaml))
            .unwrap();
        let found = template(&name);
        let config = |text: &str| {
            let hash = text.split("config-hash\":\"").nth(1).unwrap();
            text.replace(&hash[..hash.find('"').unwrap()], "HASH")
        };
        assert_eq!(config(&found), config(&expected), "{rest}");
    }
}

/// Labels and annotations that mean something to others.
const METADATA: &str = "
apiVersion: modelservice.dev/v1alpha1
kind: ModelService
metadata:
  name: marked
  labels: {app.kubernetes.io/managed-by: evil, sidecar.istio.io/inject: 'true', grafana_dashboard: '1'}
  annotations: {grafana_folder: /etc, vault.hashicorp.com/agent-inject: 'true', modelservice.dev/rendered: '0'}
spec: {model: {source: {builtin: {name: diabetes}}}}
";

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn what_a_tenant_marks_a_modelservice_with_marks_nothing_else() {
    let cluster = Cluster::shared("tenant-marks");
    let tenant = Tenant::of(&cluster);
    tenant
        .kubectl(&["apply", "-f", "-"], Some(METADATA))
        .unwrap();
    let deployment = cluster.wait("deployment", "marked", |_| true);
    let service = cluster.wait("service", "marked", |_| true);
    for text in [deployment.to_string(), service.to_string()] {
        for mark in ["istio", "vault", "grafana", "evil", "/etc\""] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
}

#[test]
#[ignore = "needs a control plane: make test-control-plane"]
fn an_object_of_somebody_else_is_neither_taken_nor_changed() {
    let cluster = Cluster::shared("tenant-names");
    let tenant = Tenant::of(&cluster);
    let theirs = [
        (
            "deployment",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}",
        ),
        (
            "service",
            "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {ports: [{port: 80}]}",
        ),
        (
            "configmap",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {a: b}",
        ),
        (
            "networkpolicy",
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: NAME}\nspec: {podSelector: {}}",
        ),
    ];
    for (kind, yaml) in theirs {
        let name = format!("taken-{kind}");
        let service = model_service(
            &name,
            "{model: {source: {builtin: {name: diabetes}}}, replicas: 2}",
        );
        let object = match kind {
            "configmap" | "networkpolicy" => config_map_of(&service),
            _ => name.clone(),
        };
        cluster.apply(&yaml.replace("NAME", &object)).unwrap();
        let before = cluster.get(kind, &object).unwrap()["spec"].clone();
        tenant
            .kubectl(&["apply", "-f", "-"], Some(&service))
            .unwrap();
        cluster.wait("modelservice", &name, |ms| {
            ms.to_string().contains("belongs to somebody else")
        });
        tenant
            .kubectl(&["delete", "modelservice", &name], None)
            .unwrap();
        let after = cluster.get(kind, &object).expect("it is gone");
        assert_eq!(after["spec"], before);
        assert!(after["metadata"]["ownerReferences"].is_null());
    }
}
