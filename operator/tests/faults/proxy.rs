//! A proxy in front of the API server that lets things go wrong, as rules say: which calls, from which
//! on, how many of them, and what happens to them.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::future::{pending, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tower::BoxError;

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) is_watch: bool,
}

impl Call {
    fn of<B>(request: &Request<B>) -> Self {
        let mut parts: Vec<_> = request.uri().path().split('/').skip(1).collect();
        parts.drain(..if parts[0] == "api" { 2 } else { 3 }.min(parts.len()));
        let namespace = match parts[..] {
            ["namespaces", namespace, _, ..] => {
                parts.drain(..2);
                namespace
            }
            _ => "",
        };
        let part = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
        let query = request.uri().query().unwrap_or_default();
        Self {
            method: request.method().clone(),
            resource: part(0),
            namespace: namespace.to_owned(),
            name: part(1),
            is_watch: query.contains("watch=true"),
        }
    }

    /// Whether it changes something other than the lease.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET && self.resource != "leases"
    }
}

/// What happens to a call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It does not arrive, and the connection breaks.
    Lost,
    /// Its answer does not.
    AnswerLost,
    /// Its answer breaks off in the middle.
    AnswerCut,
    /// It arrives and is never answered.
    Hangs,
    /// It arrives late.
    Late(Duration),
    /// It is refused with this status, and perhaps this Retry-After.
    Refused(u16, Option<&'static str>),
    /// It is answered with this text instead.
    Answered(String),
    /// The process dies before it arrives.
    KilledBefore,
    /// The process dies before the answer arrives.
    KilledAfter,
    /// Of a watch: this line comes before all others.
    LineBefore(String),
}

type Matches = dyn Fn(&Call) -> bool + Send + Sync;

/// Some calls, and what happens to them.
pub(crate) struct Rule {
    matches: Box<Matches>,
    /// So many of them go well before.
    spared: u32,
    /// So many of them do not.
    hit: u32,
    fault: Fault,
}

impl Rule {
    /// What happens to all calls that match.
    pub(crate) fn all(
        matches: impl Fn(&Call) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Self {
        Self {
            matches: Box::new(matches),
            spared: 0,
            hit: u32::MAX,
            fault,
        }
    }

    /// What happens to the nth call that matches, counted from 0.
    pub(crate) fn nth(
        n: u32,
        matches: impl Fn(&Call) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> Self {
        Self {
            spared: n,
            hit: 1,
            ..Self::all(matches, fault)
        }
    }

    /// What happens to `call`, if it is one of these.
    fn meets(&mut self, call: &Call) -> Option<Fault> {
        if !(self.matches)(call) {
            return None;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        self.hit = self.hit.checked_sub(1)?;
        Some(self.fault.clone())
    }
}

/// An event that is never told: type, plural, namespace.
pub(crate) type Hidden = (&'static str, String, String);

/// See the module.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: Client,
    rules: Mutex<Vec<Rule>>,
    hidden: Mutex<Vec<Hidden>>,
    /// Rules that hit something.
    hits: Mutex<u32>,
    calls: Mutex<Vec<Call>>,
    /// Whether nothing passes at all, in either direction.
    hole: watch::Sender<bool>,
    /// Kills the process behind the calls.
    kill: Mutex<Option<Box<dyn Fn() + Send>>>,
}

type Answer = Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, BoxError>>>>;

impl Proxy {
    /// In front of the API server that `upstream` talks to.
    pub(crate) async fn start(upstream: Client) -> Self {
        let state = Arc::new(State {
            upstream,
            rules: Mutex::default(),
            hidden: Mutex::default(),
            hits: Mutex::default(),
            calls: Mutex::default(),
            hole: watch::Sender::new(false),
            kill: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state }
    }

    /// Has these rules instead of those before, and counts from now on.
    pub(crate) fn rule(&self, rules: Vec<Rule>) {
        *self.state.hits.lock().unwrap() = 0;
        self.state.calls.lock().unwrap().clear();
        *self.state.rules.lock().unwrap() = rules;
    }

    /// Hides the next of each of these events.
    pub(crate) fn hide(&self, events: Vec<Hidden>) {
        *self.state.hidden.lock().unwrap() = events;
    }

    /// The events that have not come yet.
    pub(crate) fn still_to_hide(&self) -> Vec<Hidden> {
        self.state.hidden.lock().unwrap().clone()
    }

    /// How many calls met a rule.
    pub(crate) fn hits(&self) -> u32 {
        *self.state.hits.lock().unwrap()
    }

    /// The calls since the rules were given.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Lets nothing pass, or all again: what was under way goes on then.
    pub(crate) fn black_hole(&self, is_open: bool) {
        self.state.hole.send_replace(is_open);
    }

    /// What kills the process behind the calls.
    pub(crate) fn kills(&self, kill: impl Fn() + Send + 'static) {
        *self.state.kill.lock().unwrap() = Some(Box::new(kill));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| Arc::clone(&state).exchange(request));
        // A connection that breaks is what this is for.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl State {
    async fn exchange(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, BoxError> {
        let call = Call::of(&request);
        let fault = self.meet(&call);
        self.passable().await;
        match &fault {
            Some(Fault::Lost) => return Err("lost".into()),
            Some(Fault::Late(delay)) => sleep(*delay).await,
            Some(Fault::Refused(code, retry_after)) => return Ok(refusal(*code, *retry_after)),
            Some(Fault::Answered(text)) => return Ok(answer(StatusCode::OK, text.clone())),
            Some(Fault::KilledBefore) => return Err(self.kill()),
            _ => {}
        }
        let (mut head, body) = request.into_parts();
        head.headers.remove(header::HOST);
        // Lines are read here.
        head.headers.remove(header::ACCEPT_ENCODING);
        let body = body.collect().await?.to_bytes();
        let request = Request::from_parts(head, Body::from(body));
        let response = self.upstream.send(request).await?;
        self.passable().await;
        match fault {
            Some(Fault::AnswerLost) => Err("lost".into()),
            Some(Fault::KilledAfter) => Err(self.kill()),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::AnswerCut) => Ok(cut(response).await?),
            fault => Ok(self.stream(response, &call, fault)),
        }
    }

    fn meet(&self, call: &Call) -> Option<Fault> {
        self.calls.lock().unwrap().push(call.clone());
        let mut rules = self.rules.lock().unwrap();
        let fault = rules.iter_mut().find_map(|rule| rule.meets(call));
        *self.hits.lock().unwrap() += u32::from(fault.is_some());
        fault
    }

    fn is_hidden(&self, plural: &str, line: Option<&Bytes>) -> bool {
        let mut hidden = self.hidden.lock().unwrap();
        if hidden.is_empty() {
            return false;
        }
        let event: Value = line
            .and_then(|line| serde_json::from_slice(line).ok())
            .unwrap_or_default();
        let namespace = &event["object"]["metadata"]["namespace"];
        let at = hidden.iter().position(|(type_, of, within)| {
            event["type"] == *type_ && of == plural && namespace == within
        });
        at.map(|at| hidden.swap_remove(at)).is_some()
    }

    async fn passable(&self) {
        // The sender is in `self`.
        let _ = self.hole.subscribe().wait_for(|is_open| !is_open).await;
    }

    fn kill(&self) -> BoxError {
        if let Some(kill) = &*self.kill.lock().unwrap() {
            kill();
        }
        "killed".into()
    }

    fn stream(
        self: Arc<Self>,
        response: Response<Body>,
        call: &Call,
        fault: Option<Fault>,
    ) -> Answer {
        let (mut head, body) = response.into_parts();
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.remove(header::TRANSFER_ENCODING);
        let pieces = body.into_data_stream();
        let pieces = pieces.map(|piece| piece.map_err(BoxError::from));
        let pieces = match call.is_watch {
            false => pieces.boxed(),
            true => {
                let (state, plural) = (Arc::clone(&self), call.resource.clone());
                let told = lines(pieces.boxed())
                    .filter(move |line| ready(!state.is_hidden(&plural, line.as_ref().ok())));
                prefixed(told, fault).boxed()
            }
        };
        let held = pieces.then(move |piece| {
            let state = Arc::clone(&self);
            async move {
                state.passable().await;
                piece.map(Frame::data)
            }
        });
        Response::from_parts(head, StreamBody::new(held.boxed()))
    }
}

/// The pieces of a watch, cut anew at the end of each line.
fn lines(
    pieces: BoxStream<'static, Result<Bytes, BoxError>>,
) -> impl futures::Stream<Item = Result<Bytes, BoxError>> {
    stream::unfold((pieces, Vec::new()), |(mut pieces, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                return Some((Ok(line.into()), (pieces, rest)));
            }
            match pieces.next().await? {
                Ok(piece) => rest.extend_from_slice(&piece),
                Err(error) => return Some((Err(error), (pieces, rest))),
            }
        }
    })
}

/// A watch with a line before the others that should not be there, if so.
fn prefixed(
    lines: impl futures::Stream<Item = Result<Bytes, BoxError>>,
    fault: Option<Fault>,
) -> impl futures::Stream<Item = Result<Bytes, BoxError>> {
    let before = match fault {
        Some(Fault::LineBefore(line)) => Some(Ok(Bytes::from(line + "\n"))),
        _ => None,
    };
    stream::iter(before).chain(lines)
}

fn answer(status: StatusCode, text: String) -> Answer {
    let body = stream::iter([Ok(Frame::data(text.into()))]).boxed();
    let mut answer = Response::new(StreamBody::new(body));
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn refusal(code: u16, retry_after: Option<&'static str>) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the proxy refuses", "reason": "Refused", "code": code,
    });
    let mut answer = answer(StatusCode::from_u16(code).unwrap(), status.to_string());
    if let Some(retry_after) = retry_after {
        let value = header::HeaderValue::from_static(retry_after);
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

/// Half of an answer, and then no more.
async fn cut(response: Response<Body>) -> Result<Answer, BoxError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let half = body.slice(..body.len() / 2);
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    let pieces = stream::iter([Ok(Frame::data(half)), Err(broken.into())]);
    Ok(Response::from_parts(head, StreamBody::new(pieces.boxed())))
}
