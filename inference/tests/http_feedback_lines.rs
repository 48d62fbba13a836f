//! `/feedback` as a stream of lines: each is judged alone, over real connections.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use inference::serve::prediction_id::{EXPIRY, PredictionIds};
use rstest::rstest;
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::SystemTime;
use support::process::{Process, post, read_all};
use support::{Behaviour, ROW, Server, request};

const NDJSON: &str = "application/x-ndjson";

/// Status line and body of the answer to `body`.
fn send(server: &Process, kind: &str, body: &[u8]) -> (String, Value) {
    let head = format!(
        "POST /feedback HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    split(&server.talk(&[head.as_bytes(), body].concat()))
}

fn split(answer: &str) -> (String, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().replace("HTTP/1.1 ", "");
    (status, serde_json::from_str(body).unwrap())
}

fn predict(server: &Process) -> String {
    let (_, answer) = split(&server.talk(&post("/predict", ROW)));
    answer["prediction_id"].as_str().unwrap().to_owned()
}

fn issue(version: &str, time: SystemTime) -> String {
    let id = PredictionIds::new("diabetes", version).issue(1, time);
    String::from_utf8(id.to_vec()).unwrap()
}

fn line(id: &str, actual: &Value) -> String {
    json!({"prediction_id": id, "actual": actual}).to_string()
}

fn confusion(server: &Process, actual: u8, expected: f64) -> f64 {
    let correct = actual == 1;
    let labels =
        format!(r#"actual="{actual}",correct="{correct}",model_version="1",predicted="1""#);
    server.metric(&format!("model_feedback_total{{{labels}}}"), expected)
}

#[test]
fn bad_lines_are_named_and_keep_no_other_from_being_counted() {
    let server = Process::start(&[]);
    let id = predict(&server);
    let now = SystemTime::now();
    let lines = [
        line(&id, &json!(true)),
        String::new(),
        "nonsense".to_owned(),
        line(&id, &json!("0")),
        "  ".to_owned(),
        line(&issue("2", now), &json!(1)),
        line(&issue("1", now - EXPIRY), &json!(1)),
        line(&id.replace(&id[20..24], "zzzz"), &json!(1)),
        line(&id, &json!("maybe")),
        line("short", &json!(1)),
        format!("[{}]", line(&id, &json!(1))),
        line(&id, &json!(1)),
    ];
    let (status, verdict) = send(&server, NDJSON, lines.join("\r\n").as_bytes());
    assert_eq!(status, "200 OK");
    let refused = verdict["rejected_lines"].as_array().unwrap();
    let refused = refused
        .iter()
        .map(|one| (one["line"].clone(), one["reason"].clone()));
    let expected = [
        (3, "malformed"),
        (6, "unknown_version"),
        (7, "expired"),
        (8, "checksum"),
        (9, "actual"),
        (10, "malformed"),
        (11, "malformed"),
    ];
    let expected = expected.map(|(line, reason)| (json!(line), json!(reason)));
    assert_eq!(refused.collect::<Vec<_>>(), expected);
    assert_eq!(
        (&verdict["accepted"], &verdict["rejected"]),
        (&json!(3), &json!(7))
    );
    assert_eq!(
        (confusion(&server, 1, 2.0), confusion(&server, 0, 1.0)),
        (2.0, 1.0)
    );
    let malformed = r#"model_feedback_rejected_total{reason="malformed"}"#;
    assert_eq!(server.metric(malformed, 3.0), 3.0);
    let batches = r#"validation_rmse_count{model_version="1"}"#;
    assert_eq!(server.metric(batches, 1.0), 1.0);
}

#[test]
fn a_stream_may_have_more_lines_than_a_list_has_rows_and_come_in_pieces() {
    let server = Process::start(&["--max-batch-rows", "10"]);
    let id = predict(&server);
    let text = format!("{}\n", line(&id, &json!(1))).repeat(3_000);
    let mut stream = server.connect();
    let head = "POST /feedback HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/jsonl; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for piece in text.as_bytes().chunks(10_007) {
        write!(stream, "{:x}\r\n", piece.len()).unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let (status, verdict) = split(&read_all(stream));
    let expected = json!({"accepted": 3_000, "rejected": 0, "rejected_lines": []});
    assert_eq!((status.as_str(), verdict), ("200 OK", expected));
    let list = vec![json!({"prediction_id": id, "actual": 1}); 11];
    let (status, _) = send(
        &server,
        "application/json",
        json!(list).to_string().as_bytes(),
    );
    assert_eq!(status, "413 Payload Too Large");
}

#[test]
fn no_more_than_twenty_lines_are_shown_and_the_body_has_its_limit() {
    let server = Process::start(&["--max-body-bytes", "5000"]);
    let id = predict(&server);
    let text = format!("{}{}", "{}\n".repeat(100), line(&id, &json!(1)));
    let (status, verdict) = send(&server, NDJSON, text.as_bytes());
    assert_eq!(status, "200 OK");
    assert_eq!(verdict["rejected_lines"].as_array().unwrap().len(), 20);
    assert_eq!(verdict["rejected"], 100);
    let (status, verdict) = send(&server, NDJSON, &[b'\n'; 5001]);
    assert_eq!(status, "413 Payload Too Large");
    assert_eq!(verdict["error"], "the body has more than 5000 bytes");
}

#[test]
fn one_row_or_a_list_of_them_is_answered_as_ever() {
    let server = Process::start(&[]);
    let id = predict(&server);
    let good = line(&id, &json!(1));
    let (status, verdict) = send(&server, "application/json", good.as_bytes());
    let accepted = json!({"accepted": 1, "rejected": []});
    assert_eq!((status.as_str(), verdict), ("200 OK", accepted));
    let list = format!("[{good}, {{}}, {good}]");
    let (status, verdict) = send(&server, "application/json", list.as_bytes());
    assert_eq!(
        (status.as_str(), &verdict["accepted"]),
        ("200 OK", &json!(2))
    );
    assert_eq!(verdict["rejected"][0]["row"], 1);
    assert_eq!(confusion(&server, 1, 3.0), 3.0);
}

const SHAPE: &str = "expected {\"prediction_id\": …, \"actual\": …}";

#[rstest]
#[case("", "no lines".to_owned())]
#[case(" \n\r\n\n", "no lines".to_owned())]
#[case("\nnonsense\n", format!("no line was accepted; line 2: {SHAPE}"))]
#[case("[\n{}\n]", format!("no line was accepted; line 1: {SHAPE}"))]
#[case("\u{0}", format!("no line was accepted; line 1: {SHAPE}"))]
#[tokio::test]
async fn a_stream_without_a_good_line_is_refused(
    #[case] body: &'static str,
    #[case] error: String,
) {
    for kind in [
        NDJSON,
        "application/ndjson",
        "Application/JSONL;charset=utf-8",
    ] {
        let server = Server::made(Behaviour::Add);
        let mut request = request(http::Method::POST, "/feedback", body);
        let kind = http::HeaderValue::from_static(kind);
        request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, kind);
        let answer = server.send(request).await;
        assert_eq!(answer.status, http::StatusCode::BAD_REQUEST);
        assert_eq!(answer.error(), error);
        let errors = r#"api_errors_total{endpoint="/feedback",error_type="validation"}"#;
        assert_eq!(server.metric(errors), 1.0);
    }
}
