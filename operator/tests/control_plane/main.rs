//! The operator against a real API server, with exactly the rights that the chart gives it.
//!
//! There are no nodes: a test plays the kubelet where it matters. `make test-control-plane` starts
//! etcd, kube-apiserver and kube-controller-manager and runs this under their KUBECONFIG.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/audit_log.rs"]
mod audit_log;
mod cluster;
mod conditions;
#[path = "../support/configuration.rs"]
mod configuration;
#[path = "../support/deployment.rs"]
mod deployment;
mod election;
#[path = "../support/installed.rs"]
mod installed;
#[path = "../support/kubectl.rs"]
mod kubectl;
mod lifecycle;
mod monitoring_kinds;
mod rights;
mod scaling;
mod schema;
#[path = "../support/settings.rs"]
mod settings;
mod tenants;
mod webhooks;
