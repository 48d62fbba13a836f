//! The load generator against a real server.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;
mod support;

use common::data;
use rstest::rstest;
use serde_json::Value;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use support::process::Process;
use tempfile::NamedTempFile;

const SERIES: &str = "model_feature_bin_total";

fn load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inference"));
    command.arg("load").args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server that answers every protocol.
fn serve() -> Process {
    Process::start(&["--grpc", "127.0.0.1:0"])
}

/// Where `server` answers the protocol that `arguments` name.
fn url(server: &Process, arguments: &[&str]) -> String {
    match arguments.contains(&"grpc") {
        true => format!("http://{}", server.grpc.unwrap()),
        false => format!("http://{}", server.address),
    }
}

/// Starts asking `server` with the rows of the built-in model, for a summary in JSON.
fn start(server: &Process, arguments: &[&str]) -> Child {
    let url = url(server, arguments);
    let data = data("diabetes.csv").display().to_string();
    let all = [
        "--json", "--target", "Outcome", "--url", &url, "--data", &data,
    ];
    load(&[&all, arguments].concat()).spawn().unwrap()
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The summary of a run that must succeed, and say nothing else.
fn run(server: &Process, arguments: &[&str]) -> Value {
    let output = start(server, arguments).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    summary(&output)
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn metrics(server: &Process) -> String {
    server.talk(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

/// Lines of the metrics that hold all of `parts`.
fn series(server: &Process, parts: &[&str]) -> Vec<String> {
    let metrics = metrics(server);
    let wanted = |line: &&str| parts.iter().all(|part| line.contains(part));
    metrics.lines().filter(wanted).map(str::to_owned).collect()
}

/// Sum of the series whose lines hold all of `parts`.
fn sum(server: &Process, parts: &[&str]) -> f64 {
    let series = series(server, parts);
    assert!(!series.is_empty(), "no series of {parts:?}");
    let values = series.iter().map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

fn wait_until_asked(server: &Process) {
    while sum(server, &["predictions_total{"]) == 0.0 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

const OUT_OF_RANGE: [&str; 2] = ["model_feature_invalid_total{", "reason=\"range\""];

#[test]
fn a_closed_loop_makes_as_many_requests_as_it_is_told() {
    let server = Process::start(&[]);
    let summary = run(&server, &["--requests", "300", "--connections", "4"]);
    for count in ["requests", "answered", "rows", "accepted"] {
        assert_eq!(summary[count], 300, "{summary}");
    }
    assert_eq!(summary["answers"], serde_json::json!({"200": 300}));
    assert_eq!(summary["errors"], serde_json::json!({}));
    let latency = &summary["latency_seconds"];
    let of = |name: &str| latency[name].as_f64().unwrap();
    assert!(
        0.0 < of("min") && of("min") <= of("p50") && of("p50") <= of("p99.9"),
        "{latency}"
    );
    assert_eq!(sum(&server, &["predictions_total{"]), 300.0);
}

#[test]
fn a_closed_loop_stops_when_its_time_is_over() {
    let server = Process::start(&[]);
    let summary = run(&server, &["--duration", "500ms"]);
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!((0.5..5.0).contains(&seconds), "{summary}");
    assert!(summary["accepted"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn a_rate_is_kept() {
    let server = Process::start(&[]);
    let summary = run(&server, &["--rate", "200/s", "--requests", "200"]);
    assert_eq!(summary["accepted"], 200, "{summary}");
    assert_eq!(summary["unsent"], 0, "{summary}");
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!((0.99..5.0).contains(&seconds), "{summary}");
}

#[rstest]
#[case("predict")]
#[case("v2")]
#[case("grpc")]
fn whatever_the_protocol_the_model_sees_the_same_rows(#[case] protocol: &str) {
    // Every row of the data once: 768 = 96 × 8.
    let shuffled = columns_backwards();
    let path = shuffled.path().display().to_string();
    let server = serve();
    let options = ["--requests", "96", "--rows", "8", "--protocol", protocol];
    let url = url(&server, &options);
    let all = [&["--json", "--url", &url, "--data", &path], &options[..]].concat();
    let output = load(&all).output().unwrap();
    assert_eq!(stderr(&output), "ignored columns: Outcome\n");
    assert_eq!(summary(&output)["rows"], 768);

    let reference = Process::start(&[]);
    run(&reference, &["--requests", "768"]);
    assert_eq!(series(&server, &[SERIES]), series(&reference, &[SERIES]));
}

fn columns_backwards() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for line in std::fs::read_to_string(data("diabetes.csv"))
        .unwrap()
        .lines()
    {
        let cells: Vec<&str> = line.split(',').rev().collect();
        writeln!(file, "{}", cells.join(",")).unwrap();
    }
    file
}

#[test]
fn drifted_rows_are_seen_by_the_monitoring() {
    let server = Process::start(&[]);
    let sound = run(&server, &["--requests", "768"]);
    assert_eq!(sound["drifted_rows"], 0);
    let before = sum(&server, &OUT_OF_RANGE);
    let options = ["--requests", "768", "--drift", "50%", "--drift-by", "5"];
    let drifted = run(&server, &options)["drifted_rows"].as_u64().unwrap();
    assert!((300..470).contains(&drifted), "{drifted}");
    let moved = sum(&server, &OUT_OF_RANGE) - before;
    assert!(moved > 300.0, "{before} and {moved} more");
}

#[rstest]
#[case("predict", "/predict", "200", "400")]
#[case("v2", "/v2/models/{model}/infer", "200", "400")]
#[case("grpc", "ModelInfer", "Ok", "InvalidArgument")]
fn broken_requests_are_refused_as_expected(
    #[case] protocol: &str,
    #[case] endpoint: &str,
    #[case] accepted: &str,
    #[case] refused: &str,
) {
    let server = serve();
    let options = [
        "--requests",
        "200",
        "--broken",
        "25%",
        "--protocol",
        protocol,
    ];
    let summary = run(&server, &options);
    assert_eq!(summary["refused_as_expected"], 50, "{summary}");
    assert_eq!(
        summary["answers"],
        serde_json::json!({accepted: 150, refused: 50})
    );
    assert_eq!(summary["unexpected"], serde_json::json!({}));
    let counted = sum(&server, &["api_errors_total{", endpoint, "\"validation\""]);
    assert_eq!(counted, 50.0);
}

#[rstest]
#[case("predict")]
#[case("grpc")]
fn a_server_that_dies_midway_is_counted_and_does_not_end_the_run(#[case] protocol: &str) {
    let server = serve();
    let options = [
        "--duration",
        "2s",
        "--connections",
        "2",
        "--protocol",
        protocol,
    ];
    let asking = start(&server, &options);
    wait_until_asked(&server);
    drop(server);
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let summary = summary(&output);
    assert!(summary["accepted"].as_u64().unwrap() > 0, "{summary}");
    let refused = summary["errors"]["refused"].as_u64().unwrap();
    assert!((2..=40).contains(&refused), "{summary}");
}

#[test]
fn an_interrupted_run_is_summed_up() {
    let server = Process::start(&[]);
    let asking = start(&server, &["--rate", "50/s", "--duration", "1h"]);
    wait_until_asked(&server);
    let pid = asking.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let summary = summary(&output);
    assert_eq!(summary["interrupted"], true);
    assert!(summary["accepted"].as_u64().unwrap() > 0, "{summary}");
    assert_eq!(summary["unsent"], 0, "{summary}");
}

#[test]
fn without_a_single_success_the_run_fails_and_quotes_the_server() {
    let server = Process::start(&["--max-body-bytes", "10"]);
    let output = start(&server, &["--requests", "20"])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let summary = summary(&output);
    assert_eq!(summary["answers"], serde_json::json!({"413": 20}));
    assert_eq!(
        summary["unexpected"]["413"],
        "the body has more than 10 bytes"
    );
}

#[rstest]
#[case("predict", "GET {url}/health: connection refused")]
#[case("grpc", "gRPC at {url}: connection refused")]
fn an_unreachable_server_is_named(#[case] protocol: &str, #[case] said: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let data = data("diabetes.csv").display().to_string();
    let options = ["--url", &url, "--data", &data, "--protocol", protocol];
    let output = load(&options).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = said.replace("{url}", &url);
    let expected = format!("error: cannot ask the server for its model: {said}\n");
    assert_eq!(stderr(&output), expected);
}

#[rstest]
#[case("predict", "/health: no answer within 100ms\n")]
#[case("grpc", ": no answer within 100ms\n")]
fn a_server_that_never_answers_is_given_up(#[case] protocol: &str, #[case] said: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let data = data("diabetes.csv").display().to_string();
    let options = ["--url", &url, "--data", &data, "--timeout", "100ms"];
    let output = load(&options)
        .args(["--protocol", protocol])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).ends_with(said), "{output:?}");
}

#[test]
fn another_server_is_told_apart() {
    let server = Process::start(&[]);
    let url = format!("http://{}/elsewhere", server.address);
    let data = data("diabetes.csv").display().to_string();
    let output = load(&["--url", &url, "--data", &data]).output().unwrap();
    let expected = "/elsewhere/health: 404 Not Found no such route: \"/elsewhere/health\"\n";
    assert!(stderr(&output).ends_with(expected), "{output:?}");
}

#[rstest]
#[case(&[], "--data is missing: the server does not give rows away")]
#[case(&["--data", "x.csv", "--rate", "5/s", "--connections", "2"], "cannot be used with")]
#[case(&["--data", "x.csv", "--url", "https://localhost"], "https is not supported; expected http://HOST[:PORT]")]
#[case(&["--data", "x.csv", "--drift", "120%"], "expected a percentage from 0% to 100%")]
#[case(&["--data", "x.csv", "--broken", "0.2"], "expected a percentage from 0% to 100%")]
#[case(&["--data", "x.csv", "--rate", "0/s"], "expected requests per second from 0.001/s")]
#[case(&["--data", "x.csv", "--duration", "10"], "expected a number and one of ms, s, m, h")]
#[case(&["--data", "x.csv", "--requests", "0"], "0 is not in 1..")]
#[case(&["--data", "x.csv", "--drift-by", "2"], "--drift <SHARE>")]
#[case(&["--data", "/absent/x.csv"], "cannot use /absent/x.csv: failed to open /absent/x.csv")]
fn a_bad_option_is_refused(#[case] arguments: &[&str], #[case] message: &str) {
    let output = load(arguments).output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
}

const HEADER: &str =
    "Pregnancies,Glucose,BloodPressure,SkinThickness,Insulin,BMI,DiabetesPedigreeFunction,Age";

#[rstest]
#[case("", &[], "the file has no rows: a header line and at least one row are expected")]
#[case("Age,BMI\n1,2\n", &[], "the data lacks Pregnancies, Glucose")]
#[case(&format!("{HEADER}\n1,2,3,4,5,6,7,old\n"), &[], "line 2, column \"Age\": \"old\" is not a number")]
#[case(&format!("{HEADER}\n1,2,3,4,5,6,7,8\n"), &["--target", "Outcome"], "there is no column \"Outcome\"; the columns are: Pregnancies,")]
#[case(&format!("{HEADER}\n1,2,3,4,5,6,7,8\n"), &["--drift", "5%"], "every column has one value only")]
fn data_that_cannot_be_sent_is_refused(
    #[case] text: &str,
    #[case] arguments: &[&str],
    #[case] message: &str,
) {
    let server = Process::start(&[]);
    let url = format!("http://{}", server.address);
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().display().to_string();
    let all = [&["--url", &url, "--data", &path], arguments].concat();
    let output = load(&all).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.starts_with(&format!("error: cannot use {path}: ")),
        "{said}"
    );
    assert!(said.contains(message), "{said}");
}
