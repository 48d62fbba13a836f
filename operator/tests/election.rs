//! Candidates for the lease against an API server in memory, whose answers are late, lost or wrong,
//! in virtual time: at no moment do two of them lead, and soon one does.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what it calls as well"
)]

use fastrand::Rng;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::client::Body;
use kube::{Api, Client};
use operator::election::{Election, LEASE, PAUSE};
use operator::leadership::{Leadership, leadership};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::{BoxError, service_fn};

/// Time between two looks at who leads.
const LOOK: Duration = Duration::from_millis(50);

/// The API server: one lease, and a version that grows with each write.
#[derive(Debug, Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
}

impl Server {
    fn answer(&mut self, method: &Method, body: Option<Value>) -> (StatusCode, Value) {
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match (method, body, &self.lease) {
            (&Method::GET, _, Some(lease)) => (StatusCode::OK, lease.clone()),
            (_, None, None) => failure(StatusCode::NOT_FOUND),
            (&Method::POST, Some(lease), None) => (StatusCode::CREATED, self.write(lease)),
            (&Method::PUT, Some(lease), Some(known)) if version(&lease) == version(known) => {
                (StatusCode::OK, self.write(lease))
            }
            (&Method::PUT, Some(_), None) => failure(StatusCode::NOT_FOUND),
            _ => failure(StatusCode::CONFLICT),
        }
    }

    fn write(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease.insert(lease).clone()
    }
}

fn failure(code: StatusCode) -> (StatusCode, Value) {
    let reason = match code {
        StatusCode::NOT_FOUND => "NotFound",
        _ => "Conflict",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "", "reason": reason, "code": code.as_u16(),
    });
    (code, status)
}

/// What goes wrong on the way to the server and back.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Longest time that a call takes.
    delay: Duration,
    /// Share of the calls that never arrive, and of the answers that do not.
    loss: f64,
}

const FAIR: Weather = Weather {
    delay: Duration::from_millis(20),
    loss: 0.0,
};
const STORMY: Weather = Weather {
    delay: Duration::from_secs(2),
    loss: 0.1,
};

/// A client of `server`, unless it is cut off; calls are given up after four seconds, as the
/// operator's are.
fn client(
    server: &Arc<Mutex<Server>>,
    cut: &Arc<AtomicBool>,
    weather: Weather,
    seed: u64,
) -> Client {
    let (server, cut) = (Arc::clone(server), Arc::clone(cut));
    let random = Arc::new(Mutex::new(Rng::with_seed(seed)));
    let service = service_fn(move |request: Request<Body>| {
        let (server, random) = (Arc::clone(&server), Arc::clone(&random));
        let cut = Arc::clone(&cut);
        async move {
            let call = async {
                if cut.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                exchange(&server, &random, weather, request).await
            };
            let answer = tokio::time::timeout(Duration::from_secs(4), call).await;
            answer.unwrap_or_else(|_| Err("no answer in time".into()))
        }
    });
    Client::new(service, "default")
}

async fn exchange(
    server: &Mutex<Server>,
    random: &Mutex<Rng>,
    weather: Weather,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    let chance = || random.lock().unwrap().f64();
    let (method, body) = (request.method().clone(), request.into_body());
    let body = body.collect().await?.to_bytes();
    sleep(weather.delay.mul_f64(chance())).await;
    if chance() < weather.loss {
        return Err("the call was lost".into());
    }
    let (code, answer) = {
        let body = serde_json::from_slice(&body).ok();
        server.lock().unwrap().answer(&method, body)
    };
    sleep(weather.delay.mul_f64(chance())).await;
    if chance() < weather.loss {
        return Err("the answer was lost".into());
    }
    let answer = Response::builder()
        .status(code)
        .body(Body::from(serde_json::to_vec(&answer)?))?;
    Ok(answer)
}

/// An operator that runs for the lease, and for it again whenever it has lost it.
struct Candidate {
    leadership: Leadership,
    /// Whether nothing reaches the API server.
    cut: Arc<AtomicBool>,
    /// Whether it does not run.
    frozen: watch::Sender<bool>,
    running: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Candidate {
    fn start(server: &Arc<Mutex<Server>>, weather: Weather, seed: u64) -> Self {
        let (term, leadership) = leadership();
        let cut = Arc::default();
        let leases: Api<Lease> = Api::namespaced(client(server, &cut, weather, seed), "default");
        let mut election = Election::new(leases, "operator", format!("candidate-{seed}"), term);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let frozen = watch::Sender::new(false);
        let running = tokio::spawn(unless(frozen.subscribe(), async move {
            tokio::select! {
                () = async { loop { election.win().await; election.keep().await; } } => {}
                _ = stopped => {}
            }
            election.release().await;
        }));
        Self {
            leadership,
            cut,
            frozen,
            running,
            stop,
        }
    }

    /// As SIGKILL does: what is under way is cut off.
    fn kill(self) {
        self.running.abort();
    }
}

/// Runs `work` unless it is frozen, as SIGSTOP and SIGCONT do.
async fn unless(mut frozen: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    let mut work = std::pin::pin!(work);
    loop {
        // An error says that nobody can freeze it any more.
        let _ = frozen.wait_for(|is_frozen| !is_frozen).await;
        tokio::select! {
            biased;
            Ok(()) = frozen.changed() => {}
            () = &mut work => return,
        }
    }
}

/// Index of the one that leads. Panics if there are several.
fn leader(candidates: &[Candidate]) -> Option<usize> {
    let mut leaders = (0..candidates.len()).filter(|at| candidates[*at].leadership.holds());
    let leader = leaders.next();
    assert_eq!(leaders.next(), None, "two lead");
    leader
}

/// Time until one of them leads, which never are two.
async fn takeover(candidates: &[Candidate]) -> Duration {
    let begin = Instant::now();
    while leader(candidates).is_none() {
        assert!(begin.elapsed() < Duration::from_secs(600), "nobody leads");
        sleep(LOOK).await;
    }
    begin.elapsed()
}

/// How a leader ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
    /// It goes on after so long.
    Frozen(Duration),
}

#[rstest]
#[case::killed(End::Killed, 100, LEASE + PAUSE)]
#[case::stopped(End::Stopped, 100, 2 * PAUSE)]
#[case::frozen(End::Frozen(Duration::from_secs(30)), 100, LEASE + PAUSE)]
#[tokio::test(start_paused = true)]
async fn another_takes_over_in_time(
    #[case] end: End,
    #[case] times: u64,
    #[case] longest: Duration,
) {
    let mut slowest = Duration::ZERO;
    let server = Arc::default();
    let mut candidates: Vec<_> = (0..3)
        .map(|seed| Candidate::start(&server, FAIR, seed))
        .collect();
    takeover(&candidates).await;
    for seed in 0..times {
        let mut random = Rng::with_seed(seed);
        sleep(Duration::from_secs_f64(5.0 * random.f64())).await;
        let at = leader(&candidates).unwrap();
        if let End::Frozen(_) = end {
            candidates[at].frozen.send_replace(true);
        } else {
            let old = candidates.swap_remove(at);
            candidates.push(Candidate::start(&server, FAIR, 100 + seed));
            match end {
                End::Killed => old.kill(),
                _ => old.stop.send(()).unwrap(),
            }
        }
        let begin = Instant::now();
        // Until its term ends, the frozen one would lead if it ran.
        while let End::Frozen(_) = end
            && leader(&candidates) == Some(at)
        {
            sleep(LOOK).await;
        }
        takeover(&candidates).await;
        let took = begin.elapsed();
        slowest = slowest.max(took);
        assert!(
            took <= longest + Duration::from_millis(200),
            "{seed}: {took:?}"
        );
        if let End::Frozen(pause) = end {
            sleep(pause).await;
            candidates[at].frozen.send_replace(false);
            for _ in 0..20 {
                assert_ne!(leader(&candidates), Some(at), "{seed}: it goes on leading");
                sleep(LOOK).await;
            }
        }
    }
    println!("{times} times {end:?}: another leads within {slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn of_three_that_take_an_expired_lease_one_gets_it() {
    for seed in 0..500 {
        let server = Arc::default();
        let dead = Candidate::start(&server, FAIR, 1_000 + seed);
        sleep(PAUSE).await;
        dead.kill();
        let candidates: Vec<_> = (0..3)
            .map(|at| Candidate::start(&server, FAIR, 3 * seed + at))
            .collect();
        takeover(&candidates).await;
        for _ in 0..20 {
            sleep(LOOK).await;
            assert!(leader(&candidates).is_some());
        }
        candidates.into_iter().for_each(Candidate::kill);
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn whatever_the_weather_no_two_lead(#[values(1, 2, 3, 4)] storm: u64) {
    for seed in 25 * storm..25 * (storm + 1) {
        let server = Arc::default();
        let mut random = Rng::with_seed(seed);
        let mut candidates: Vec<_> = (0..3)
            .map(|at| Candidate::start(&server, STORMY, 1_000 * seed + at))
            .collect();
        let mut led = 0;
        for round in 0..200 {
            for _ in 0..20 {
                sleep(LOOK).await;
                led += u32::from(leader(&candidates).is_some());
            }
            let at = random.usize(..candidates.len());
            if random.f64() < 0.1 {
                candidates[at].cut.fetch_not(Ordering::Relaxed);
            }
            if random.f64() < 0.02 {
                candidates.swap_remove(at).kill();
                let seed = 1_000 * seed + 10 + round;
                candidates.push(Candidate::start(&server, STORMY, seed));
            }
        }
        assert!(
            led > 100,
            "seed {seed}: somebody led at {led} of 4000 looks"
        );
        candidates.into_iter().for_each(Candidate::kill);
    }
}
