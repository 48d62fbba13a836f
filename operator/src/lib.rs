//! Turns ModelServices into running, monitored models.
//!
//! ```text
//! ModelService ─observe→ World ─validate→ Plan ─render→ Children<Rendered>
//!                                                          │
//! ModelServiceStatus ←status─ Children<Applied> ←──apply───┘
//! ```
//!
//! Only `observe`, `apply` and the one patch in `status` speak with the API server, and only `observe`
//! with pods.
#![forbid(unsafe_code)]

pub mod admin;
pub mod api;
pub mod apply;
pub mod backoff;
pub mod caches;
pub mod cli;
pub mod clients;
pub mod controller;
pub mod definition;
pub mod election;
pub mod error;
pub mod export;
pub mod leadership;
pub mod meta;
pub mod metrics;
pub mod observe;
pub mod operate;
pub mod plan;
pub mod prometheus_operator;
pub mod promql;
pub mod queue;
pub mod readable;
mod reconcile;
pub mod rejection;
pub mod render;
pub mod seen;
pub mod selection;
pub mod served;
pub mod settled;
pub mod status;
pub mod validate;
pub mod world;
pub mod yaml;
