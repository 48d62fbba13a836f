//! The operator, its process and all, against a real API server, through a proxy that lets things go
//! wrong: it dies at every write, events are never told, nothing passes for a while, … Once all that
//! ends, a namespace holds exactly what it holds where nothing went wrong. And several operators fight for
//! who of them works.
//!
//! `make test-faults` runs this under a control plane of its own. What goes wrong is listed in tables, so
//! that everything happens again in the same way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::await_holding_lock,
    reason = "a test fails by panicking, and one at a time has the control plane"
)]

mod audit;
#[path = "../support/audit_log.rs"]
mod audit_log;
mod crashes;
#[path = "../support/deployment.rs"]
mod deployment;
mod elections;
mod hidden;
#[path = "../support/installed.rs"]
mod installed;
#[path = "../support/kubectl.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod kubectl;
mod proxy;
mod rig;
mod transitions;
mod weather;

use rig::Rig;
use std::sync::{LazyLock, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// How many times as much is tried as in an everyday run: FAULTS_SCALE.
fn scale() -> usize {
    let scale = std::env::var("FAULTS_SCALE");
    scale.map_or(1, |text| text.parse().unwrap())
}

fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    &RUNTIME
}

/// What a test does with the rig, which it has for itself.
fn with_rig(test: impl AsyncFnOnce(&mut Rig)) {
    static RIG: LazyLock<Mutex<Option<Rig>>> = LazyLock::new(Mutex::default);
    let mut rig = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(async {
        if rig.is_none() {
            *rig = Some(Rig::start().await);
        }
        let rig = rig.as_mut().unwrap();
        rig.calm();
        test(rig).await;
    });
}
