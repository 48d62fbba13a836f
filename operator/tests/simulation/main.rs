//! The whole operator against an API server in memory, in virtual time, while everything goes wrong
//! that can: calls and answers are lost, late or refused, watches skip, break or fall silent, the
//! operator is killed at any write or told to stop, and people change, wreck and delete things
//! meanwhile. Once all that ends, the cluster reaches the state that the specs describe, and then
//! nothing is written.
//!
//! `make test-simulation` plays 1,000 seeds, `make torture` 100,000; SIMULATION_SEED=7 repeats one, and
//! RUST_LOG=debug then tells what happens.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what it calls as well"
)]

mod api_server;
mod clock;
mod cluster;
#[path = "../support/deployment.rs"]
mod deployment;
mod objects;
mod oracle;
mod people;
#[path = "../support/objects.rs"]
mod rendered;
#[path = "../support/settings.rs"]
mod settings;
mod weather;

use api_server::ApiServer;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing_subscriber::EnvFilter;
use weather::Weather;

/// Takes a fifth less CPU than the C library.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// After that long in fair weather all must be well: as long as the longest pause after failures
/// and a resync, with all their jitter.
const PATIENCE: Duration = Duration::from_secs(31 * 60);
/// Time until the operator has heard of all that it missed, as everything is listed again.
const HEARSAY: Duration = Duration::from_secs(13 * 60);
/// For that long nothing may be written then.
const STEADY: Duration = Duration::from_secs(25 * 60);

/// It is said each time that so many seeds have begun.
const PROGRESS: u64 = 10_000;
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(3);

/// What became of a seed.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    faults: Vec<String>,
    /// Virtual time from the end of the storm until all was well.
    took: Duration,
    /// Changes of objects, by anybody.
    changes: usize,
}

/// Plays one seed.
async fn play(seed: u64) -> Outcome {
    fastrand::seed(seed);
    clock::begin();
    let mut random = Rng::with_seed(seed);
    let server = Arc::<ApiServer>::default();
    let weather = Arc::new(Weather::new(seed));
    let operators = (0..random.u32(1..=2)).map(|at| {
        let (server, weather) = (Arc::clone(&server), Arc::clone(&weather));
        let name = format!("operator-{at}");
        tokio::spawn(cluster::keep_running(server, weather, name))
    });
    let mut tasks: Vec<_> = operators.collect();
    let controllers = cluster::control(Arc::clone(&server), random.fork());
    tasks.push(tokio::spawn(controllers));

    weather.stormy.store(random.u8(..10) > 0, Ordering::Relaxed);
    let deeds = random.u32(1..30);
    people::act(&server, &mut random, deeds).await;
    weather.stormy.store(false, Ordering::Relaxed);
    people::clear_the_way(&server);

    let took = calm(&server).await;
    let mut faults = oracle::faults(&server);
    let changes = server.objects().history.len();
    if faults.is_empty() {
        faults = restlessness(&server).await;
    }
    if tasks.iter().any(JoinHandle::is_finished) {
        faults.push("a part of the simulation panicked".to_owned());
    }
    Outcome {
        faults,
        took,
        changes,
    }
}

/// Waits until all is well, as long as it may take.
async fn calm(server: &ApiServer) -> Duration {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE && !oracle::faults(server).is_empty() {
        sleep(LOOK).await;
    }
    begin.elapsed()
}

/// What is written though nothing changes.
async fn restlessness(server: &ApiServer) -> Vec<String> {
    sleep(HEARSAY).await;
    let before = server.objects().history.len();
    sleep(STEADY).await;
    let objects = server.objects();
    let writes = objects.history[before..].iter();
    let writes = writes.map(|change| format!("written without need: {change:?}"));
    writes.take(3).collect()
}

/// Plays one seed in a runtime of its own.
fn outcome(seed: u64) -> Outcome {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(play(seed))
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    match number("SIMULATION_SEED") {
        Some(seed) => {
            let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
            log.init();
            seed..seed + 1
        }
        None => 0..number("SIMULATION_SEEDS").unwrap_or(20),
    }
}

#[test]
fn whatever_goes_wrong_all_is_well_in_the_end() {
    let (seeds, next) = (seeds(), AtomicU64::new(0));
    next.store(seeds.start, Ordering::Relaxed);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let play_some = || {
        let mut played = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return played;
            }
            if seed % PROGRESS == 0 && seed > seeds.start {
                println!("{seed} seeds");
            }
            played.push((seed, outcome(seed)));
        }
    };
    let played: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(play_some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut took: Vec<_> = played.iter().map(|(_, outcome)| outcome.took).collect();
    took.sort_unstable();
    let changes: usize = played.iter().map(|(_, outcome)| outcome.changes).sum();
    println!(
        "{} seeds, {changes} changes; until all was well: half of them {:?}, all {:?}",
        played.len(),
        took[took.len() / 2],
        took[took.len() - 1],
    );
    let failed = played
        .iter()
        .filter(|(_, outcome)| !outcome.faults.is_empty());
    let failed: Vec<_> = failed.take(5).collect();
    assert!(
        failed.is_empty(),
        "repeat with SIMULATION_SEED: {failed:#?}"
    );
}

#[test]
fn a_seed_goes_the_same_way_each_time() {
    for seed in 0..5 {
        assert_eq!(outcome(seed), outcome(seed), "seed {seed}");
    }
}
