//! The rest of the cluster: operators that are started anew whenever they end, the controllers of
//! Kubernetes, and people.

use crate::api_server::ApiServer;
use crate::clock;
use crate::objects::Key;
use crate::settings::settings_of;
use crate::weather::{Process, Weather};
use fastrand::Rng;
use futures::FutureExt as _;
use futures::future::OptionFuture;
use operator::clients::{Clients, TIMEOUTS};
use operator::controller::Work;
use operator::leadership::leadership;
use operator::metrics::Metrics;
use operator::operate::{Office, operate};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Silence of a watch after which the kubelet starts the operator anew.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

/// Time that a process has to end once it is told to stop; killed after that by the kubelet.
const GRACE: Duration = Duration::from_secs(30);

/// Runs an operator for ever, as the kubelet does. As long as it is stormy it is also told to stop now
/// and then, a moment or some minutes after its start, and ends in time.
pub(crate) async fn keep_running(server: Arc<ApiServer>, weather: Arc<Weather>, name: String) {
    for start in 0.. {
        let process = Process::new(&server, &weather);
        let metrics = Metrics::new().unwrap();
        let (term, leadership) = leadership();
        let transports = TIMEOUTS.map(|longest| process.client(longest));
        let clients = Clients::over(transports, leadership, metrics.calls());
        let watched = metrics.calls().watched();
        let office = Office {
            namespace: "system".to_owned(),
            identity: format!("{name}-{start}"),
            term,
            work: Work {
                relist: Duration::from_secs(600),
                settings: settings_of(&[]),
                metrics,
                now: clock::now,
                ready: watch::channel(false).0,
            },
        };
        let wedged = async {
            while watched
                .longest_silence()
                .is_none_or(|(_, silence)| silence < LONGEST_SILENCE)
            {
                sleep(Duration::from_secs(20)).await;
            }
        };
        let stop = stop(Arc::clone(&weather)).boxed().shared();
        let overdue = async {
            stop.clone().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            _ = operate(clients, office, stop.clone()) => {}
            () = process.killed.notified() => {}
            () = wedged => {}
            () = overdue => panic!("{name} does not end, after {start} starts"),
        }
        process.dead.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(2)).await;
    }
}

/// Done when somebody tells the process to stop, if ever.
async fn stop(weather: Arc<Weather>) {
    let seconds = 10_f64.powf(5.0 * fastrand::f64() - 2.5);
    sleep(Duration::from_secs_f64(seconds)).await;
    if !weather.stormy.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Plays the controllers of Kubernetes: soon after a change, pods come and go as Deployments say, and
/// what belongs to nobody any more is taken away.
pub(crate) async fn control(server: Arc<ApiServer>, mut random: Rng) {
    let mut rollouts = BTreeMap::new();
    loop {
        let ends = rollouts.values().map(|rollout: &Rollout| rollout.end);
        let next = ends.filter(|end| *end > Instant::now()).min();
        let next = OptionFuture::from(next.map(sleep_until));
        tokio::select! {
            biased;
            () = server.changed.notified() => {}
            Some(()) = next => {}
        }
        sleep(Duration::from_secs(1)).await;
        for key in of(&server, "deployments") {
            roll_out(&server, &key, &mut rollouts, &mut random);
        }
        collect_garbage(&server);
    }
}

/// New pods that are not ready yet.
struct Rollout {
    template: Value,
    end: Instant,
}

fn of(server: &ApiServer, resource: &str) -> Vec<Key> {
    let keys = server.objects().keys().into_iter();
    keys.filter(|key| key.0 == resource).collect()
}

/// Pods of another template take a while, and until then those of the one before are there as well.
fn roll_out(
    server: &ApiServer,
    key: &Key,
    rollouts: &mut BTreeMap<Key, Rollout>,
    random: &mut Rng,
) {
    let Some(deployment) = server.objects().get(key).cloned() else {
        return;
    };
    let template = &deployment["spec"]["template"];
    let rollout = rollouts.get(key);
    if rollout.is_none_or(|rollout| rollout.template != *template) {
        let seconds = [0, 5, 60, 600][random.usize(..4)];
        let end = Instant::now() + Duration::from_secs(seconds);
        let template = template.clone();
        rollouts.insert(key.clone(), Rollout { template, end });
    }
    let is_done = rollouts[key].end <= Instant::now();
    let replicas = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    let more = i64::from(!is_done && replicas > 0);
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": replicas + more,
        "updatedReplicas": if is_done { replicas } else { more },
        "readyReplicas": replicas, "availableReplicas": replicas,
    });
    if deployment["status"] != status {
        server.change(|objects| objects.edit(key, |object| object["status"] = status));
    }
}

fn collect_garbage(server: &ApiServer) {
    let (keys, living): (Vec<_>, BTreeSet<_>) = {
        let objects = server.objects();
        let services = objects.list("modelservices").into_iter();
        let living = services.map(|service| service["metadata"]["uid"].to_string());
        let owned = objects.keys().into_iter().filter_map(|key| {
            let owner = owner(objects.get(&key)?)?;
            Some((key, owner))
        });
        (owned.collect(), living.collect())
    };
    for (key, _) in keys
        .into_iter()
        .filter(|(_, owner)| !living.contains(owner))
    {
        // It was there a moment ago.
        let _ = server.change(|objects| objects.delete(&key, None));
    }
}

/// UID of the ModelService that an object belongs to.
pub(crate) fn owner(object: &Value) -> Option<String> {
    let owner = object["metadata"]["ownerReferences"].get(0)?;
    Some(owner["uid"].to_string())
}
