//! Exactly what crosses the process boundary between the operator and the inference server.
//!
//! The operator writes rules and dashboards about metrics that the server exports, probes that the
//! server answers, limits on scrapes that the server stays within, and a configuration that the
//! server reads. Both sides take those names from here, so a rename that forgets one of them does
//! not compile. Beside those it has how both of them listen. It depends on serde alone, so neither binary
//! drags in the other's stack.
#![forbid(unsafe_code)]

pub mod business;
pub mod compatibility;
pub mod config;
pub mod endpoints;
pub mod labels;
pub mod limits;
pub mod listener;
pub mod metrics;
