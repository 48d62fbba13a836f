//! Operators that run for a lease, in many lanes at once: whoever leads is killed, stopped or frozen,
//! again and again. Soon another leads, and by the audit log nobody else ever writes.

use crate::audit::Audit;
use crate::installed::{NAMESPACE, PATIENCE, RELEASE, directory, install, kubeconfig_of_account};
use crate::runtime;
use futures::future::join_all;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use operator::api::ModelService;
use operator::election::{Election, LEASE, PAUSE};
use operator::leadership::{Leadership, leadership};
use operator::operate::LeaseLost;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Leases that are fought for at the same time.
const LANES: usize = 10;
/// Candidates for each.
const CANDIDATES: usize = 3;
/// Time between two looks at a lease.
const LOOK: Duration = Duration::from_millis(20);
/// Time between two changes that whoever leads must follow.
const CHANGE: Duration = Duration::from_secs(2);
/// Time until another leads, in no case longer: who cannot give the lease back within 3 s is taken for
/// dead 15 s later, which is seen within a pause. Less than a reconcile may take, which must not hold
/// up an end.
const LONGEST: Duration = Duration::from_secs(22);
/// Of the end of a log that are shown.
const LINES: usize = 30;

/// How a leader ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Kill,
    Stop,
    Freeze,
}

/// How often each happens in a lane, and the median of the time until another leads at most. Whoever
/// stops gives the lease back: nobody waits for its end. How soon depends on the machine, so it is
/// printed: 2 s on a quiet one.
const ENDS: [(End, usize, Duration); 3] = [
    (End::Kill, 10, LONGEST),
    (End::Stop, 10, LEASE),
    (End::Freeze, 2, LONGEST),
];

/// A leader that ended, and how long it took until another led.
#[derive(Clone)]
struct Ended {
    name: String,
    end: End,
    took: Duration,
}

/// The process of an operator; its name begins the identity that it has in the lease.
struct Candidate {
    name: String,
    process: Child,
}

impl Candidate {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(log_of(&self.name)).unwrap()
    }

    /// Whether it knows that it leads: the answer to its claim comes after the claim has been accepted.
    fn leads(&self) -> bool {
        self.log().contains(r#""message":"leading""#)
    }

    /// Whether it said at its end that it had lost the lease.
    fn has_lost(&self) -> bool {
        self.log().contains(&LeaseLost.to_string())
    }

    /// Whether it succeeded in the end, which must come soon.
    async fn end(&mut self) -> bool {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            assert!(begin.elapsed() < PATIENCE, "does not end: {self}");
            sleep(LOOK).await;
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(LINES)..];
        writeln!(f, "{}, process {}:", self.name, self.process.id())?;
        end.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Operators that run for one lease.
struct Lane {
    namespace: String,
    kubeconfig: Value,
    leases: Api<Lease>,
    accounts: Api<ServiceAccount>,
    candidates: Vec<Candidate>,
    born: usize,
    /// Those that lost the lease though nobody did anything to them.
    lost: usize,
}

impl Lane {
    async fn open(client: &Client, kubeconfig: &Value, number: usize) -> Self {
        let namespace = format!("lane-{number}");
        may_lead(client, &namespace).await;
        let mut lane = Self {
            kubeconfig: kubeconfig.clone(),
            leases: Api::namespaced(client.clone(), &namespace),
            accounts: Api::namespaced(client.clone(), NAMESPACE),
            candidates: Vec::new(),
            born: 0,
            lost: 0,
            namespace,
        };
        for _ in 0..CANDIDATES {
            lane.enter().await;
        }
        lane
    }

    /// Another operator begins, with a token of its own.
    async fn enter(&mut self) {
        let name = format!("{}-{}", self.namespace, self.born);
        self.born += 1;
        let request = TokenRequest {
            spec: TokenRequestSpec::default(),
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let made = self
            .accounts
            .create_token_request(RELEASE, &params, &request);
        let token = made.await.unwrap().status.unwrap().token;
        let process = spawn(self.kubeconfig.clone(), &self.namespace, &name, &token);
        self.candidates.push(Candidate { name, process });
    }

    /// Waits until another than `before` leads: the name of that candidate.
    async fn leader(&mut self, before: Option<&str>) -> String {
        let begin = Instant::now();
        loop {
            self.replace_those_that_lost(before).await;
            let lease = self.leases.get_opt(RELEASE).await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            let name = holder.as_deref().and_then(|holder| holder.split_once('_'));
            let is = |candidate: &Candidate| name.is_some_and(|(name, _)| name == candidate.name);
            match self.candidates.iter().find(|candidate| is(candidate)) {
                Some(candidate) if Some(candidate.name.as_str()) != before && candidate.leads() => {
                    return candidate.name.clone();
                }
                _ => sleep(LOOK).await,
            }
            assert!(
                begin.elapsed() < 2 * PATIENCE,
                "{holder:?} holds {}, and of these none leads:\n{}",
                self.namespace,
                self.candidates
                    .iter()
                    .map(Candidate::to_string)
                    .collect::<String>()
            );
        }
    }

    /// Who did not renew the lease in time ends, and is started anew as the kubelet would.
    async fn replace_those_that_lost(&mut self, ending: Option<&str>) {
        let has_ended = |candidate: &mut Candidate| {
            Some(candidate.name.as_str()) != ending
                && candidate.process.try_wait().unwrap().is_some()
        };
        let ended: Vec<_> = self.candidates.extract_if(.., has_ended).collect();
        for candidate in ended {
            assert!(candidate.has_lost(), "{candidate}");
            println!("\nA23: ended by itself: {candidate}");
            self.lost += 1;
            self.enter().await;
        }
    }

    /// The leader ends so.
    async fn play(&mut self, end: End) -> Ended {
        let name = self.leader(None).await;
        let is = |candidate: &Candidate| candidate.name == name;
        let leader = self.candidates.iter().find(|candidate| is(candidate));
        leader.unwrap().signal(match end {
            End::Kill => Signal::KILL,
            End::Stop => Signal::TERM,
            End::Freeze => Signal::STOP,
        });
        let begin = Instant::now();
        self.leader(Some(&name)).await;
        let took = begin.elapsed();
        let at = self.candidates.iter().position(is);
        let mut former = self.candidates.remove(at.unwrap());
        if end == End::Freeze {
            // It wakes up and finds that its time is over.
            former.signal(Signal::CONT);
        }
        let succeeded = former.end().await;
        match end {
            // It may lose the lease while it stops.
            End::Stop => assert!(succeeded || former.has_lost(), "{former}"),
            End::Kill | End::Freeze => assert!(!succeeded, "{former}"),
        }
        self.enter().await;
        Ended { name, end, took }
    }

    async fn play_all(&mut self) -> Vec<Ended> {
        let mut taken = Vec::new();
        for (end, times, _) in ENDS {
            for _ in 0..times {
                taken.push(self.play(end).await);
            }
        }
        taken
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log_of(name: &str) -> PathBuf {
    directory().join(format!("{name}.log"))
}

fn spawn(mut config: Value, namespace: &str, name: &str, token: &str) -> Child {
    config["users"][0]["user"] = json!({"token": token});
    let kubeconfig = directory().join(format!("{name}.kubeconfig"));
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let log = std::fs::File::create(log_of(name)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_operator"))
        .args([
            "run",
            "--admin",
            "127.0.0.1:0",
            "--lease-namespace",
            namespace,
        ])
        .env("KUBECONFIG", kubeconfig)
        .env("HOSTNAME", name)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Applies a new object.
async fn make<K>(api: &Api<K>, name: &str, object: &K)
where
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let patch = Patch::Apply(object);
    api.patch(name, &PatchParams::apply("test"), &patch)
        .await
        .unwrap();
}

/// Gives operators the rights on the lease in `namespace` that the chart gives them in its own.
async fn may_lead(client: &Client, namespace: &str) {
    let object = json!({"metadata": {"name": namespace}});
    let object = serde_json::from_value::<Namespace>(object).unwrap();
    make(&Api::all(client.clone()), namespace, &object).await;
    copy::<Role>(client, namespace).await;
    copy::<RoleBinding>(client, namespace).await;
}

async fn copy<K>(client: &Client, namespace: &str)
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let from = Api::<K>::namespaced(client.clone(), NAMESPACE);
    let mut object = from.get(RELEASE).await.unwrap();
    let meta = object.meta_mut();
    meta.namespace = Some(namespace.to_owned());
    meta.resource_version = None;
    meta.uid = None;
    meta.managed_fields = None;
    make(
        &Api::namespaced(client.clone(), namespace),
        RELEASE,
        &object,
    )
    .await;
}

/// Gives whoever leads something to write, for ever.
async fn change(client: &Client) {
    let services = Api::<ModelService>::namespaced(client.clone(), "default");
    let params = PatchParams::apply("test").force();
    for replicas in (1..=2).cycle() {
        let object = json!({
            "apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService",
            "metadata": {"name": "churn"},
            "spec": {"model": {"source": {"builtin": {"name": "diabetes"}}}, "replicas": replicas},
        });
        let patch = Patch::Apply(&object);
        services.patch("churn", &params, &patch).await.unwrap();
        sleep(CHANGE).await;
    }
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn elections_of_processes_leave_one_that_writes() {
    install();
    let kubeconfig = kubeconfig_of_account();
    let (ended, lost) = runtime().block_on(async {
        let client = Client::try_default().await.unwrap();
        let lanes = (0..LANES).map(|number| Lane::open(&client, &kubeconfig, number));
        let mut lanes = join_all(lanes).await;
        let ended = tokio::select! {
            ended = join_all(lanes.iter_mut().map(Lane::play_all)) => ended.concat(),
            () = change(&client) => unreachable!("it never ends"),
        };
        let lost: usize = lanes.iter().map(|lane| lane.lost).sum();
        (ended, lost)
    });
    let audit = Audit::read();
    println!("\nA23: {audit}");
    assert!(audit.writes > LANES, "hardly anything was written");
    assert_eq!(foreign(&audit, &ended), [""; 0]);
    report(&ended);
    assert!(
        lost * 50 <= ended.len(),
        "{lost} lost the lease by themselves"
    );
}

/// Writes of those who did not lead. A process that is frozen between its last look at the lease and
/// the network finishes when it wakes up; Kubernetes cannot tell. It may do so once.
fn foreign<'a>(audit: &'a Audit, ended: &[Ended]) -> Vec<&'a str> {
    let frozen = ended.iter().filter(|ended| ended.end == End::Freeze);
    let mut frozen: BTreeSet<_> = frozen.map(|ended| ended.name.as_str()).collect();
    let all = audit.violations.iter();
    let (late, foreign): (Vec<_>, Vec<_>) = all.partition(|(name, _)| frozen.remove(name.as_str()));
    if !late.is_empty() {
        println!(
            "\nA23: {} writes under way when their process froze",
            late.len()
        );
    }
    foreign.iter().map(|(_, entry)| entry.as_str()).collect()
}

fn report(ended: &[Ended]) {
    for (end, _, most) in ENDS {
        let taken = ended.iter().filter(|ended| ended.end == end);
        let mut taken: Vec<_> = taken.map(|ended| ended.took).collect();
        taken.sort_unstable();
        let (median, longest) = (taken[taken.len() / 2], taken[taken.len() - 1]);
        let times = taken.len();
        println!(
            "\nA23: {times} times {end:?}: another leads after {median:.1?}, {longest:.1?} at most"
        );
        assert!(median < most && longest < LONGEST, "{end:?}");
    }
}

/// Leases that are raced for at the same time, and how often.
const RACES: usize = 50;
const ROUNDS: usize = 10;

/// A candidate in this process, which is gone when dropped.
struct Racer {
    leadership: Leadership,
    run: tokio::task::JoinHandle<()>,
}

impl Racer {
    fn start(leases: Api<Lease>, name: &str, number: usize) -> Self {
        let (term, leadership) = leadership();
        let identity = format!("racer-{number}_{:x}", fastrand::u64(..));
        let mut election = Election::new(leases, name, identity, term);
        let run = tokio::spawn(async move {
            election.win().await;
            election.keep().await;
        });
        Self { leadership, run }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// Time in which a race has a winner, also where hundreds of others keep the API server busy: how soon
/// another leads is judged where there are few.
const WON: Duration = Duration::from_secs(60);

/// Three that know nothing see a lease whose holder is gone; when the first of them led, and how many did
/// at most at a time.
async fn race(leases: &Api<Lease>, name: &str, round: usize) -> (Duration, usize) {
    let gone = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": format!("gone-{round}"), "leaseDurationSeconds": LEASE.as_secs()},
    });
    let params = PatchParams::apply("test").force();
    leases
        .patch(name, &params, &Patch::Apply(&gone))
        .await
        .unwrap();
    let racers = (0..CANDIDATES).map(|number| Racer::start(leases.clone(), name, number));
    let racers: Vec<_> = racers.collect();
    let leaders = || {
        let leaders = racers.iter().filter(|racer| racer.leadership.holds());
        leaders.count()
    };
    let begin = Instant::now();
    while leaders() == 0 && begin.elapsed() < WON {
        sleep(LOOK).await;
    }
    let (won, mut most) = (Instant::now(), leaders());
    while most > 0 && won.elapsed() < 3 * PAUSE {
        most = most.max(leaders());
        sleep(LOOK).await;
    }
    (won - begin, most)
}

#[test]
#[ignore = "needs a control plane: make test-faults"]
fn elections_for_an_expired_lease_have_one_winner() {
    runtime().block_on(async {
        let client = Client::try_default().await.unwrap();
        let leases = Api::<Lease>::namespaced(client, "default");
        let races = (0..RACES).map(async |number| {
            let name = format!("race-{number}");
            let mut leaders = Vec::new();
            for round in 0..ROUNDS {
                leaders.push(race(&leases, &name, round).await);
            }
            leaders
        });
        let races = join_all(races).await.concat();
        let (refused, longest) = (Audit::read().refused, races.iter().max());
        println!("\nA23: {} races of {CANDIDATES} for an expired lease, {refused} claims came too late: one winner each, after {:.1?} at most", races.len(), longest.unwrap().0);
        assert!(races.iter().all(|(_, leaders)| *leaders == 1), "{races:?}");
        assert!(refused > 0, "no two ever asked at the same time");
    });
}
