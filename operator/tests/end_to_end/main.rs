//! The whole product on a real cluster: the chart, pods, a Prometheus that a Prometheus operator
//! configures, and models trained on real data.
//!
//! `make test-end-to-end` brings a kind cluster up, loads the images and runs this under its
//! KUBECONFIG.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod alerts;
mod autoscaling;
mod business;
mod chart;
mod cluster;
mod dashboards;
mod exemplars;
mod faults;
#[path = "../support/kubectl.rs"]
mod kubectl;
mod load;
mod misoperations;
mod policies;
mod prometheus;
mod rollouts;
mod served;
mod sources;
