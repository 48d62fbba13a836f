//! Traces: what a receiver is sent, and that none does any harm.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::{ServerConfig, Tracing};
use http::Method;
use inference::load::LoadedModel;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rstest::rstest;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use support::process::{Process, post};
use support::receiver::{Receiver, texts};
use support::rpc::Rpc;
use support::{Answer, Behaviour, ROW, Server, diabetes, made, request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A `traceparent` that says whether the trace is recorded.
fn traceparent(recorded: bool) -> String {
    format!("00-{TRACE}-{PARENT}-0{}", u8::from(recorded))
}

/// A server that sends traces as `tracing` says.
fn traced(model: LoadedModel, tracing: Tracing) -> Server {
    let config = ServerConfig {
        tracing: Some(tracing),
        ..ServerConfig::default()
    };
    Server::guarded(model, &config)
}

/// All that `receiver` got of `server`, whose last spans these are.
fn all(server: &Server, receiver: &Receiver) -> Vec<Span> {
    server.0.traces.as_ref().unwrap().stop();
    receiver.spans()
}

async fn follow(server: &Server, path: &str, body: &'static str, recorded: bool) -> Answer {
    let mut request = request(Method::POST, path, body);
    let headers = request.headers_mut();
    headers.insert("traceparent", traceparent(recorded).parse().unwrap());
    headers.insert("tracestate", "vendor=1".parse().unwrap());
    server.send(request).await
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn blames_the_server(span: &Span) -> bool {
    span.status.as_ref().unwrap().code() == StatusCode::Error
}

#[tokio::test]
async fn a_prediction_is_two_spans_of_its_clients_trace() {
    let receiver = Receiver::start();
    let mut tracing = receiver.tracing();
    tracing.headers = expected(&[("x-key", "secret")]);
    tracing.namespace = Some("shop".to_owned());
    let server = traced(diabetes(), tracing);
    follow(&server, "/predict", ROW, true).await;
    server.0.traces.as_ref().unwrap().stop();
    let batches = receiver.batches();
    for batch in &batches {
        assert_eq!(batch.headers["x-key"], "secret");
        assert_eq!(batch.headers["content-type"], "application/x-protobuf");
        let version = env!("CARGO_PKG_VERSION");
        let resource = [
            ("service.name", "diabetes"),
            ("service.version", version),
            ("service.namespace", "shop"),
            ("k8s.namespace.name", "shop"),
        ];
        for (name, value) in resource {
            assert_eq!(batch.resource[name], value, "{name}");
        }
    }
    let spans: Vec<_> = batches.into_iter().flat_map(|batch| batch.spans).collect();
    let [predict, whole] = &spans[..] else {
        panic!("two spans are expected, not {spans:?}");
    };
    assert_eq!(
        (hex(&whole.trace_id), hex(&whole.parent_span_id)),
        (TRACE.to_owned(), PARENT.to_owned())
    );
    assert_eq!(
        (whole.name.as_str(), whole.kind()),
        ("POST /predict", SpanKind::Server)
    );
    assert_eq!(whole.trace_state, "vendor=1");
    let attributes = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/predict"),
        ("url.path", "/predict"),
        ("url.scheme", "http"),
    ];
    assert_eq!(texts(&whole.attributes), expected(&attributes));
    assert!(!blames_the_server(whole));
    assert_eq!(
        (&predict.trace_id, &predict.parent_span_id),
        (&whole.trace_id, &whole.span_id)
    );
    assert_eq!(
        (predict.name.as_str(), predict.kind()),
        ("predict", SpanKind::Internal)
    );
    let attributes = [
        ("model.name", "diabetes"),
        ("model.rows", "1"),
        ("model.version", "1"),
    ];
    assert_eq!(texts(&predict.attributes), expected(&attributes));
    assert!(whole.start_time_unix_nano <= predict.start_time_unix_nano);
    assert!(predict.end_time_unix_nano <= whole.end_time_unix_nano);
}

#[rstest]
#[case("/predict", r#"{"a":1}"#, ("POST /predict", "200", None))]
#[case("/predict", "nonsense", ("POST /predict", "400", Some("validation")))]
#[case("/predict", r#"{"a":666}"#, ("POST /predict", "500", Some("internal")))]
#[case("/v1/models/made:predict", "{}", ("POST /v1/models/{model}:predict", "400", Some("validation")))]
#[tokio::test]
async fn a_span_says_what_became_of_its_request(
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] (name, status, failure): (&str, &str, Option<&str>),
) {
    let receiver = Receiver::start();
    let server = traced(made(Behaviour::Panic, &[]), receiver.tracing());
    server.post(path, body).await;
    let spans = all(&server, &receiver);
    let whole = spans.last().unwrap();
    assert_eq!(whole.name, name);
    assert!(whole.parent_span_id.is_empty(), "the trace begins here");
    let attributes = texts(&whole.attributes);
    let get = |name: &str| attributes.get(name).map(String::as_str);
    assert_eq!(get("url.path"), Some(path));
    assert_eq!(get("http.response.status_code"), Some(status));
    assert_eq!(get("error.type"), failure);
    assert_eq!(blames_the_server(whole), status.starts_with('5'));
}

#[tokio::test]
async fn a_call_over_grpc_is_a_span_too() {
    let receiver = Receiver::start();
    let server = traced(diabetes(), receiver.tracing());
    let rpc = Rpc::start(&server);
    let headers = [("traceparent", &*traceparent(true))];
    rpc.call_with("ModelInfer", &headers, b"nonsense").await;
    rpc.call_with("ServerLive", &headers, b"").await;
    let spans = all(&server, &receiver);
    let [span] = &spans[..] else {
        panic!("one span is expected, not {spans:?}");
    };
    assert_eq!(span.name, "inference.GRPCInferenceService/ModelInfer");
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.to_owned(), PARENT.to_owned())
    );
    let attributes = [
        ("error.type", "validation"),
        ("rpc.method", "inference.GRPCInferenceService/ModelInfer"),
        ("rpc.response.status_code", "INVALID_ARGUMENT"),
        ("rpc.system.name", "grpc"),
    ];
    assert_eq!(texts(&span.attributes), expected(&attributes));
    assert!(!blames_the_server(span));
}

#[tokio::test]
async fn what_is_not_recorded_is_not_sent() {
    let receiver = Receiver::start();
    let tracing = Tracing {
        sample_ratio: 0.0,
        ..receiver.tracing()
    };
    let server = traced(diabetes(), tracing);
    server.post("/predict", ROW).await;
    follow(&server, "/predict", ROW, false).await;
    let recorded = follow(&server, "/predict", ROW, true).await;
    assert_eq!(recorded.status, 200);
    for probe in [
        "/health",
        "/metrics",
        "/v2/health/ready",
        "/ping",
        "/no/such/path",
    ] {
        follow(&server, probe, "", true).await;
    }
    let spans = all(&server, &receiver);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["predict", "POST /predict"]);
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_is_followed_as_such_whatever_the_ratio() {
    let receiver = Receiver::start();
    let server = traced(diabetes(), receiver.tracing());
    follow(&server, "/predict", ROW, false).await;
    assert_eq!(all(&server, &receiver), []);
}

#[rstest]
#[case("vendor=1", "vendor=1")]
#[case(&format!("vendor={}", "x".repeat(249)), &format!("vendor={}", "x".repeat(249)))]
#[case(&format!("a={0},b={0},c={0}", "x".repeat(200)), "")]
#[case("nonsense", "")]
#[tokio::test]
async fn no_more_is_kept_of_a_state_than_must_be(#[case] sent: &str, #[case] kept: &str) {
    let receiver = Receiver::start();
    let server = traced(diabetes(), receiver.tracing());
    let mut request = request(Method::POST, "/predict", ROW);
    let headers = request.headers_mut();
    headers.insert("traceparent", traceparent(true).parse().unwrap());
    headers.insert("tracestate", sent.parse().unwrap());
    server.send(request).await;
    assert_eq!(all(&server, &receiver)[1].trace_state, kept);
}

#[tokio::test]
async fn a_request_that_is_given_up_is_a_span_without_an_answer() {
    let receiver = Receiver::start();
    let server = traced(made(Behaviour::Slow, &[]), receiver.tracing());
    let (sender, body) = http_body_util::channel::Channel::<bytes::Bytes>::new(1);
    let request = request(Method::POST, "/predict", axum::body::Body::new(body));
    let given_up = tokio::time::timeout(Duration::from_millis(50), server.send(request)).await;
    assert!(given_up.is_err());
    drop(sender);
    let spans = all(&server, &receiver);
    let attributes = texts(&spans[0].attributes);
    assert_eq!(attributes["error.type"], "cancelled");
    assert!(!attributes.contains_key("http.response.status_code"));
}

/// Longest time until a server has ended, on a machine that does much else.
const SOON: Duration = Duration::from_secs(15);

/// The median time of a few predictions: who waits for a receiver waits for seconds.
fn median(server: &Process) -> Duration {
    let mut times: Vec<_> = (0..21)
        .map(|_| {
            let begin = Instant::now();
            let answer = server.talk(&post("/predict", ROW));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn counted(server: &Process, name: &str) -> u64 {
    let metrics = server.talk(&support::process::get("/metrics"));
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().unwrap().trim().parse().unwrap()
}

#[test]
fn a_receiver_that_is_down_is_counted_and_complained_about_once() {
    // Nobody listens here, and nobody else can.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    taken.bind(&any.into()).unwrap();
    let address = taken.local_addr().unwrap().as_socket().unwrap();
    let endpoint = format!("http://{address}");
    let mut server = Process::start(&["--otlp-endpoint", &endpoint]);
    assert!(median(&server) < Duration::from_secs(1));
    server.await_log("traces cannot be sent");
    std::thread::sleep(Duration::from_secs(3));
    assert!(median(&server) < Duration::from_secs(1));
    assert!(counted(&server, "trace_export_failures_total") > 1);
    let begin = Instant::now();
    while counted(&server, "trace_spans_lost_total") < 2 * 42 {
        assert!(begin.elapsed() < SOON, "a batch that nobody takes is lost");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.terminate();
    assert!(server.wait(SOON).success());
    let log = server.log();
    let complaints = log.iter().filter(|line| line.contains("traces cannot"));
    assert_eq!(complaints.count(), 1, "{log:?}");
}

#[test]
fn spans_that_find_no_place_are_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let server = Process::start(&["--otlp-endpoint", &endpoint]);
    for _ in 0..2_000 {
        server.talk(&post("/predict", ROW));
    }
    // Of two spans each, 2,048 wait and 512 are being sent, and the last request may not have ended yet.
    let lost = counted(&server, "trace_spans_lost_total");
    assert!((4_000 - 2_048 - 512 - 2..4_000).contains(&lost), "{lost}");
}

#[test]
fn a_receiver_that_never_answers_delays_neither_requests_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut server = Process::start(&["--otlp-endpoint", &endpoint]);
    median(&server);
    // By now it waits for the receiver.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(median(&server) < Duration::from_secs(1));
    server.terminate();
    assert!(server.wait(SOON).success());
}

/// Whether anybody connects to `listener` while a server sends it, or what it stands for, its spans.
fn is_met(listener: &TcpListener, endpoint: &str) -> bool {
    let mut server = Process::start(&["--otlp-endpoint", endpoint]);
    server.talk(&post("/predict", ROW));
    server.await_log("traces cannot be sent");
    server.terminate();
    assert!(server.wait(SOON).success());
    listener.set_nonblocking(true).unwrap();
    listener.accept().is_ok()
}

#[test]
fn spans_go_nowhere_else() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/v1/traces", elsewhere.local_addr().unwrap());
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", receiver.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in receiver.incoming() {
            let mut stream = stream.unwrap();
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n"
            );
            // Whoever has gone meanwhile is not met again.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    assert!(!is_met(&elsewhere, &endpoint));
    // Where clouds keep secrets.
    assert!(!is_met(&elsewhere, "http://169.254.169.254:4318"));
}

#[test]
fn the_last_spans_are_sent_before_the_end() {
    let receiver = Receiver::start();
    let mut server = Process::start(&["--otlp-endpoint", &receiver.endpoint()]);
    server.talk(&post("/predict", ROW));
    server.terminate();
    assert!(server.wait(SOON).success());
    assert_eq!(receiver.spans().len(), 2);
}

/// `path` asked to be done without a body, in the trace of a client.
fn within(path: &str, recorded: bool) -> Vec<u8> {
    let request = String::from_utf8(post(path, "")).unwrap();
    let header = format!("\r\ntraceparent: {}\r\n\r\n", traceparent(recorded));
    request.replace("\r\n\r\n", &header).into_bytes()
}

/// The log line of `server` with `message`.
fn line(server: &Process, message: &str) -> Value {
    server.await_log(message);
    let log = server.log();
    let line = log.iter().find(|line| line.contains(message));
    serde_json::from_str(line.unwrap()).unwrap()
}

#[test]
fn log_lines_of_a_request_say_which_span_of_which_trace_it_is() {
    let receiver = Receiver::start();
    let mut server = Process::start(&["--otlp-endpoint", &receiver.endpoint(), "--model-control"]);
    server.talk(&within("/v2/repository/models/diabetes/unload", true));
    server.talk(&within("/v2/repository/models/diabetes/load", false));
    let unloaded = line(&server, "the model was unloaded");
    // It is written by another task, and the span is that of the client.
    let loaded = line(&server, "the model was loaded");
    assert_eq!(
        (&loaded["trace_id"], &loaded["span_id"]),
        (&TRACE.into(), &PARENT.into())
    );
    server.terminate();
    assert!(server.wait(SOON).success());
    let stopped = line(&server, "stopped");
    assert_eq!(stopped["trace_id"], Value::Null);
    let spans = receiver.spans();
    assert_eq!(unloaded["trace_id"], TRACE);
    assert_eq!(unloaded["span_id"], hex(&spans[0].span_id));
    assert_eq!(unloaded["level"], "INFO");
}

#[test]
fn without_a_receiver_nothing_is_traced() {
    let server = Process::start(&["--model-control"]);
    server.talk(&within("/v2/repository/models/diabetes/unload", true));
    let unloaded = line(&server, "the model was unloaded");
    assert_eq!(unloaded["trace_id"], Value::Null);
    let metrics = server.talk(&support::process::get("/metrics"));
    assert!(!metrics.contains("trace_export_failures_total"));
}

#[rstest]
#[case(&["--otlp-endpoint", "collector:4318"], "tracing.endpoint must be the base URL of")]
#[case(&["--otlp-endpoint", "http://localhost:4318", "--trace-sample-ratio", "1.5"], "tracing.sampleRatio must be from 0 to 1, not 1.5")]
#[case(&["--otlp-endpoint", "http://localhost:4318", "--otlp-headers", "secret"], "header 1 for traces is not key=value")]
fn options_that_cannot_work_are_refused(#[case] args: &[&str], #[case] expected: &str) {
    let refusal = support::process::refusal(args);
    assert!(refusal.contains(expected), "{refusal}");
    assert!(!refusal.contains("secret"), "{refusal}");
}

#[test]
fn the_standard_variables_are_options_too() {
    let receiver = Receiver::start();
    let mut serve = support::process::command(&["--listen", "127.0.0.1:0"]);
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint());
    serve.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b");
    serve.env("OTEL_SERVICE_NAME", "churn");
    serve.env("OTEL_RESOURCE_ATTRIBUTES", "k8s.namespace.name=shop");
    let mut server = Process::spawn(serve);
    server.talk(&post("/predict", ROW));
    server.terminate();
    assert!(server.wait(SOON).success());
    let batches = receiver.batches();
    assert_eq!(batches[0].headers["x-key"], "a b");
    assert_eq!(batches[0].resource["service.name"], "churn");
    assert_eq!(batches[0].resource["k8s.namespace.name"], "shop");
}
