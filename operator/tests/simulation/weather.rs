//! What goes wrong between the operator and the API server. Each call has its own luck, by the
//! seed, what it is, and how many of its like there were: so a seed goes the same way each time.

use crate::api_server::{ApiServer, Target, failure, gone};
use crate::clock;
use bytes::Bytes;
use fastrand::Rng;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::client::{Body, ClientBuilder};
use operator::clients::Transport;
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tower::util::BoxService;
use tower::{BoxError, service_fn};

/// Answers as they come: a list of pieces.
pub(crate) type Answer = StreamBody<BoxStream<'static, Result<Frame<Bytes>, io::Error>>>;

/// The luck of all calls.
#[derive(Debug)]
pub(crate) struct Weather {
    seed: u64,
    /// Whether anything goes wrong at all.
    pub(crate) stormy: AtomicBool,
    calls: Mutex<HashMap<(Method, String), u64>>,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Luck {
    /// Nothing.
    Fine,
    /// It does not arrive.
    Lost,
    /// Its answer does not.
    AnswerLost,
    /// It is never answered.
    BlackHole,
    /// It is answered after a while.
    Late(Duration),
    /// It is refused with this status, and perhaps this Retry-After.
    Refused(u16, Option<&'static str>),
    /// The operator is killed before it arrives.
    KilledBefore,
    /// The operator is killed before the answer arrives.
    KilledAfter,
}

const REFUSALS: [(u16, Option<&str>); 9] = [
    (429, Some("1")),
    (429, Some("86400")),
    (429, Some("soon")),
    (503, None),
    (504, None),
    (500, None),
    (403, None),
    (409, None),
    (422, None),
];

impl Weather {
    /// Fair until it is stormy.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            stormy: AtomicBool::new(false),
            calls: Mutex::default(),
        }
    }

    /// The luck of the next call like this.
    fn random(&self, method: &Method, path: &str) -> Rng {
        let path = without_time(path);
        let mut calls = self.calls.lock().unwrap();
        let count = calls.entry((method.clone(), path.to_owned())).or_default();
        *count += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, method.as_str(), path, *count).hash(&mut hasher);
        Rng::with_seed(hasher.finish())
    }

    fn luck(&self, random: &mut Rng, method: &Method) -> Luck {
        if !self.stormy.load(Ordering::Relaxed) {
            return Luck::Fine;
        }
        let is_write = method != Method::GET;
        match random.u8(..100) {
            0..5 => Luck::Lost,
            5..10 => Luck::AnswerLost,
            10..12 => Luck::BlackHole,
            12..20 => Luck::Late(Duration::from_secs_f64(20.0 * random.f64())),
            20..30 => {
                let (code, retry_after) = REFUSALS[random.usize(..REFUSALS.len())];
                Luck::Refused(code, retry_after)
            }
            30..32 if is_write => Luck::KilledBefore,
            32..34 if is_write => Luck::KilledAfter,
            _ => Luck::Fine,
        }
    }
}

/// Names of events end with the time of day, which is another in each run.
fn without_time(path: &str) -> &str {
    let event = path.contains("/events/").then(|| path.rsplit_once('.'));
    event.flatten().map_or(path, |(path, _)| path)
}

/// One process of an operator, as the network sees it.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    server: Arc<ApiServer>,
    weather: Arc<Weather>,
    /// Told when the process is to die of a call.
    pub(crate) killed: Arc<Notify>,
    /// The dead make no calls.
    pub(crate) dead: Arc<AtomicBool>,
}

impl Process {
    pub(crate) fn new(server: &Arc<ApiServer>, weather: &Arc<Weather>) -> Self {
        Self {
            server: Arc::clone(server),
            weather: Arc::clone(weather),
            killed: Arc::default(),
            dead: Arc::default(),
        }
    }

    /// A client whose calls are given up after `longest`.
    pub(crate) fn client(&self, longest: Duration) -> ClientBuilder<Transport<Answer>> {
        let process = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let process = process.clone();
            async move { timeout(longest, process.exchange(request)).await? }
        });
        ClientBuilder::new(BoxService::new(service), "default")
    }

    async fn exchange(self, request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let target = Target::of(&head.uri);
        let mut random = self.weather.random(&head.method, head.uri.path());
        let luck = self.weather.luck(&mut random, &head.method);
        tracing::debug!(now = %clock::now(), method = %head.method, uri = %head.uri, ?luck, "call");
        sleep(Duration::from_millis(random.u64(1..5))).await;
        match luck {
            _ if self.dead.load(Ordering::Relaxed) => return silence().await,
            Luck::KilledBefore => return self.die().await,
            Luck::BlackHole => return silence().await,
            Luck::Lost => return Err("the call was lost".into()),
            Luck::Refused(code, retry_after) => {
                let answer = answer(code, &failure((code, "Simulated"), Some("simulated")));
                return Ok(with_retry_after(answer, retry_after));
            }
            Luck::Late(delay) => sleep(delay).await,
            Luck::Fine | Luck::AnswerLost | Luck::KilledAfter => {}
        }
        if self.dead.load(Ordering::Relaxed) {
            return silence().await;
        }
        let answered = match target.is_watch() {
            true => self.watch(&target, random),
            false => {
                let (code, object) = self.server.answer(&head.method, &target, body);
                answer(code, &object)
            }
        };
        match luck {
            Luck::AnswerLost => Err("the answer was lost".into()),
            Luck::KilledAfter => self.die().await,
            _ => Ok(answered),
        }
    }

    /// The process is killed: whatever it waits for never comes.
    async fn die<T>(&self) -> T {
        self.dead.store(true, Ordering::Relaxed);
        self.killed.notify_one();
        silence().await
    }

    /// A watch, some of whose lines are lost, late or broken while it is stormy.
    fn watch(&self, target: &Target, mut random: Rng) -> Response<Answer> {
        let lines = match self.server.watch(target) {
            Ok(lines) => lines,
            Err(refusal) => return answer(refusal.0, &failure(refusal, None)),
        };
        let process = self.clone();
        let pieces = lines.filter_map(move |line| {
            let stormy = process.weather.stormy.load(Ordering::Relaxed);
            let luck = if stormy { random.u8(..100) } else { 100 };
            let dead = process.dead.load(Ordering::Relaxed);
            async move {
                match luck {
                    _ if dead => silence().await,
                    0..6 => None,
                    6..8 => Some(Err(io::Error::from(io::ErrorKind::ConnectionReset))),
                    8..10 => Some(Ok(Bytes::from_static(b"{\"type\":\"ADDED\",\"obj"))),
                    10..11 => Some(Ok(text(&gone()))),
                    11..12 => silence().await,
                    12..18 => {
                        sleep(Duration::from_secs(u64::from(luck))).await;
                        Some(Ok(text(&line)))
                    }
                    _ => Some(Ok(text(&line))),
                }
            }
        });
        let body = pieces.map(|piece| piece.map(Frame::data)).boxed();
        Response::new(StreamBody::new(body))
    }
}

async fn silence<T>() -> T {
    std::future::pending().await
}

fn text(line: &Value) -> Bytes {
    format!("{line}\n").into()
}

fn answer(code: u16, object: &Value) -> Response<Answer> {
    let piece = Ok::<_, Infallible>(Frame::data(text(object)));
    let pieces = stream::iter([piece]).map(|piece| piece.map_err(|never| match never {}));
    let answer = Response::builder().status(code);
    answer.body(StreamBody::new(pieces.boxed())).unwrap()
}

fn with_retry_after(mut answer: Response<Answer>, wish: Option<&'static str>) -> Response<Answer> {
    if let Some(wish) = wish {
        let wish = http::HeaderValue::from_static(wish);
        answer.headers_mut().insert(http::header::RETRY_AFTER, wish);
    }
    answer
}
