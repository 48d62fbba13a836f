//! The fault corpus of model loading: whatever a file holds, it is refused for a reason of the
//! closed set and in time, or it is a model that keeps all that models promise.
// Clippy does not take helpers outside of #[test] for tests.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bits;
mod estimators;
mod files;
mod judge;
mod models;
mod process;
mod text;
mod truncations;
mod values;

use std::time::Duration;

/// How long a refusal may take. It is no measure of speed: unoptimised builds are given more.
const AT_ONCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });
