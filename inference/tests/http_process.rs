//! The real binary: starting, refusing to start, hostile clients, stopping.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::{Listen, ServerConfig};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::ROW;
use support::process::{Process, command, get, post, read_all};

const SOON: Duration = Duration::from_secs(3);

#[test]
fn without_arguments_the_builtin_model_is_served() {
    let server = Process::start(&[]);
    let answer = server.talk(&post("/predict", ROW));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("{\"outcome\":1,\"probabilities\":{\"0\":0."));
}

#[test]
fn termination_answers_what_was_asked_before_and_ends_with_success() {
    let mut server = Process::start(&[]);
    let idle = server.connect();
    let mut slow = server.connect();
    let request = post("/predict", ROW);
    let (begin, end) = request.split_at(request.len() - 10);
    slow.write_all(begin).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.terminate();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        std::net::TcpStream::connect(server.address).is_err(),
        "it still accepts"
    );
    slow.write_all(end).unwrap();
    let answer = read_all(slow);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(read_all(idle), "");
    assert!(server.wait(SOON).success());
}

#[test]
fn during_the_drain_delay_requests_are_answered_but_readiness_is_off() {
    let mut server = Process::start(&["--drain-delay", "1"]);
    server.terminate();
    std::thread::sleep(Duration::from_millis(200));
    let ready = server.talk(&get("/v2/health/ready"));
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    let mut kept = server.connect();
    let request = String::from_utf8(post("/predict", ROW)).unwrap();
    kept.write_all(request.replace("connection: close\r\n", "").as_bytes())
        .unwrap();
    let answer = read_all(kept);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(server.wait(SOON).success());
}

#[test]
fn a_second_signal_ends_the_drain_delay() {
    let mut server = Process::start(&["--drain-delay", "60"]);
    for _ in 0..2 {
        server.terminate();
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(server.wait(SOON).success());
}

#[test]
fn a_client_that_breaks_off_in_its_body_counts_as_cancelled() {
    let server = Process::start(&[]);
    let mut client = server.connect();
    let request = post("/predict", ROW);
    client.write_all(&request[..request.len() - 10]).unwrap();
    drop(client);
    let series = "api_errors_total{endpoint=\"/predict\",error_type=\"cancelled\"}";
    assert_eq!(server.metric(series, 1.0), 1.0);
    let refused = "api_errors_total{endpoint=\"/predict\",error_type=\"validation\"}";
    assert_eq!(server.metric(refused, 0.0), 0.0);
    assert_eq!(server.metric("api_active_requests", 1.0), 1.0);
}

#[test]
fn a_body_that_is_not_chunked_as_it_says_is_malformed() {
    let server = Process::start(&[]);
    let head = "POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = server.talk(format!("{head}zz\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("the body is malformed"), "{answer}");
}

#[test]
fn a_client_that_is_slow_with_its_head_is_cut() {
    let server = Process::start(&[]);
    let begin = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"POST /predict HTTP/1.1\r\nhost:").unwrap();
    read_all(slow);
    let waited = begin.elapsed().as_secs_f64();
    assert!((4.0..7.0).contains(&waited), "cut after {waited} s");
}

#[test]
fn a_connection_may_rest_between_requests() {
    let server = Process::start(&[]);
    let mut client = server.connect();
    for _ in 0..2 {
        client
            .write_all(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = [0; 512];
        let read = client.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
        std::thread::sleep(Duration::from_secs(7));
    }
}

#[test]
fn heads_that_are_malformed_or_too_large_are_refused() {
    let server = Process::start(&[]);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    for head in ["nonsense\r\n\r\n", &many, &long] {
        let mut stream = server.connect();
        // The server may hang up before it has all.
        let _ = stream.write_all(head.as_bytes());
        let mut status = [0; 12];
        let refused = match stream.read_exact(&mut status) {
            Ok(()) => status.starts_with(b"HTTP/1.1 4"),
            Err(_) => true,
        };
        assert!(refused, "{:?}", String::from_utf8_lossy(&status));
    }
    assert!(server.talk(&get("/health")).starts_with("HTTP/1.1 200"));
}

#[test]
fn metrics_and_health_have_a_listener_of_their_own() {
    let admin = free_address();
    let server = Process::start(&["--admin", &admin]);
    for path in ["/metrics", "/livez", "/readyz"] {
        let mut stream = std::net::TcpStream::connect(&admin).unwrap();
        stream.write_all(&get(path)).unwrap();
        let answer = read_all(stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path} {answer}");
    }
    assert!(server.talk(&get("/livez")).starts_with("HTTP/1.1 404"));
    assert!(server.talk(&get("/metrics")).contains("model_loaded 1\n"));
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Exit code, log and termination log of a start that fails.
fn failed_start(args: &[&str], config: impl FnOnce(&mut ServerConfig)) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut settings = ServerConfig {
        termination_log: Some(path("termination")),
        listen: Listen {
            http: "127.0.0.1:0".parse().unwrap(),
            ..Listen::default()
        },
        ..ServerConfig::default()
    };
    config(&mut settings);
    std::fs::write(path("config"), serde_json::to_string(&settings).unwrap()).unwrap();
    let output = command(&["--config", &path("config")])
        .args(args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    let said = std::fs::read_to_string(path("termination")).unwrap_or_default();
    (serde_json::from_str(&log).unwrap(), said)
}

#[test]
fn a_model_that_is_not_there_is_the_last_word() {
    let (log, said) = failed_start(&["--model", "/nowhere/model.json"], |_| {});
    assert!(said.starts_with("NotFound: "), "{said}");
    assert_eq!(log["message"], said);
}

#[test]
fn a_wrong_checksum_is_the_last_word() {
    let (_, said) = failed_start(&["--sha256", &"0".repeat(64)], |_| {});
    assert!(said.starts_with("ChecksumMismatch: "), "{said}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (_, said) = failed_start(&[], |config| config.listen.http = address);
    let expected = format!("BindFailed: cannot listen on {address}: ");
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn a_setting_that_cannot_work_is_named() {
    for (flag, value, message) in [
        ("--max-batch-rows", "0", "maxBatchRows must be at least 1"),
        ("--model", "", "the path of the model file is empty"),
        (
            "--sha256",
            "zz",
            "the model's sha256 must be 64 hex digits, not \"zz\"",
        ),
    ] {
        let (log, said) = failed_start(&[flag, value], |_| {});
        assert_eq!(said, format!("InvalidConfig: {message}"));
        assert_eq!(log["message"], said);
    }
}

#[test]
fn a_metric_that_cannot_be_is_named() {
    let metrics =
        r#"[{"name": "m", "type": "counter", "labels": [{"name": "le", "source": "outcome"}]}]"#;
    let (_, said) = failed_start(&[], |config| {
        config.business_metrics = serde_json::from_str(metrics).unwrap();
    });
    let expected = "InvalidConfig: businessMetrics, metric \"m\", label \"le\": the name is one that \
                    Prometheus gives itself, expected another";
    assert_eq!(said, expected);
}
