//! MLflow's scoring protocol: answers as its client reads them, and what each wrong request is told.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use contract::config::Limits;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use proptest::collection::vec;
use proptest::{option, prop_assert_eq, proptest};
use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Behaviour, Server, diabetes, made, request};

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

async fn invoke(server: &Server, kind: &'static str, body: &str) -> Answer {
    let mut request = request(Method::POST, "/invocations", body.to_owned());
    let kind = HeaderValue::from_static(kind);
    request.headers_mut().insert(CONTENT_TYPE, kind);
    server.send(request).await
}

#[rstest]
#[case::split(
    JSON,
    r#"{"dataframe_split": {"index": [7, 8], "columns": ["b", "a"], "data": [[1, 2], [3, 4.5]]}}"#,
    json!([3.0, 7.5])
)]
#[case::split_with_data_first(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 2], [null, 4]], "columns": ["b", "a"]}}"#,
    json!([3.0, 8.0])
)]
#[case::split_without_names(JSON, r#"{"dataframe_split": {"data": [[1, 2]]}}"#, json!([3.0]))]
#[case::split_without_a_column(
    JSON,
    r#"{"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}"#,
    json!([5.0, 6.0])
)]
#[case::records(JSON, r#"{"dataframe_records": [{"b": 1, "a": 2}, {"a": 2}]}"#, json!([3.0, 6.0]))]
#[case::instances(JSON, r#"{"instances": [[1, 2], {"a": 1}]}"#, json!([3.0, 5.0]))]
#[case::inputs(JSON, r#"{"inputs": [[1, 2]]}"#, json!([3.0]))]
#[case::columns(JSON, r#"{"inputs": {"b": [1, 2], "a": [1, 2]}}"#, json!([2.0, 4.0]))]
#[case::params(JSON, r#"{"params": {"x": {"y": [1]}}, "inputs": [[1, 2]]}"#, json!([3.0]))]
#[case::no_params(JSON, r#"{"inputs": [[1, 2]], "params": null}"#, json!([3.0]))]
#[case::with_charset("application/json; charset=UTF-8", r#"{"inputs": [[1, 2]]}"#, json!([3.0]))]
#[case::nan_is_missing(
    JSON,
    r#"{"dataframe_split": {"columns": ["b", "a"], "data": [[NaN, 1]]}}"#,
    json!([5.0])
)]
#[case::csv(CSV, "b,a\n1,2\n3,4.5\n", json!([3.0, 7.5]))]
#[case::csv_with_quotes(CSV, "\u{feff}\"a\", b\r\n\"1e1\",\"-2\"\r\n", json!([8.0]))]
#[case::csv_with_an_empty_cell("text/csv;charset=utf-8", "a,b\n1,\n", json!([5.0]))]
#[case::csv_with_nan(CSV, "a,b\n1,NaN\n2,nan\n3,-NaN\n", json!([5.0, 6.0, 7.0]))]
#[case::csv_without_a_column(CSV, "a\n1\n2", json!([5.0, 6.0]))]
#[tokio::test]
async fn tables_of_every_form_are_answered(
    #[case] kind: &'static str,
    #[case] body: &str,
    #[case] expected: Value,
) {
    let server = Server::made(Behaviour::Add);
    let answer = invoke(&server, kind, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(answer["predictions"], expected);
    assert_eq!(answer["model_version"], "v7");
    let ids = answer["prediction_ids"].as_array().unwrap();
    assert_eq!(ids.len(), expected.as_array().unwrap().len());
}

#[tokio::test]
async fn outcomes_are_those_of_predict_whatever_the_form() {
    let server = Server::new(diabetes());
    let names = server.0.served().signature.features.clone();
    let names: Vec<_> = names.into_iter().map(|feature| feature.name).collect();
    let row = [6.0, 148.0, 72.0, 35.0, 0.0, 33.6, 0.627, 50.0];
    let own = server.post("/predict", json!([row]).to_string()).await;
    let expected = json!([own.json()["predictions"][0]["outcome"]]);
    let backwards = |list: Vec<String>| list.into_iter().rev().collect::<Vec<_>>().join(",");
    let values = backwards(row.iter().map(f64::to_string).collect());
    let csv = format!("{}\n{values}\n", backwards(names.clone()));
    let split = json!({ "dataframe_split": { "columns": names, "data": [row] } });
    for (kind, body) in [(CSV, csv), (JSON, split.to_string())] {
        let answer = invoke(&server, kind, &body).await;
        assert_eq!(answer.json()["predictions"], expected, "{body}");
    }
}

proptest! {
    #[test]
    fn every_form_of_a_table_has_the_same_outcomes(
        rows in vec((-1e6..1e6, option::of(-1e6..1e6)), 1..20),
        swapped: bool,
    ) {
        let order = if swapped { ["b", "a"] } else { ["a", "b"] };
        let cells = |(a, b): &(f64, Option<f64>)| match swapped {
            true => json!([b, a]),
            false => json!([a, b]),
        };
        let data: Vec<_> = rows.iter().map(cells).collect();
        let column = |at: usize| data.iter().map(|row| row[at].clone()).collect::<Vec<_>>();
        let records = data.iter().map(|row| json!({ order[0]: row[0], order[1]: row[1] }));
        let records = json!(records.collect::<Vec<_>>());
        let line = |row: &Value| format!("{},{}\n", row[0], row[1]).replace("null", "");
        let lines: String = data.iter().map(line).collect();
        let forms = [
            (JSON, json!({ "dataframe_split": { "columns": order, "data": data } }).to_string()),
            (JSON, format!(r#"{{"dataframe_split": {{"data": {}, "columns": {}}}}}"#, json!(data), json!(order))),
            (JSON, json!({ "dataframe_records": records }).to_string()),
            (JSON, json!({ "instances": records }).to_string()),
            (JSON, json!({ "inputs": { order[0]: column(0), order[1]: column(1) } }).to_string()),
            (CSV, format!("{}\n{lines}", order.join(","))),
        ];
        let expected: Vec<_> = rows.iter().map(|(a, b)| a + b.unwrap_or(4.0)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let server = Server::made(Behaviour::Add);
        for (kind, body) in forms {
            let answer = runtime.block_on(invoke(&server, kind, &body));
            prop_assert_eq!(&answer.json()["predictions"], &json!(expected), "{}", body);
        }
        let missing = rows.iter().filter(|(_, b)| b.is_none()).count() * 6;
        let series = r#"model_feature_invalid_total{feature="b",model_version="v7",reason="missing",refused="false"}"#;
        prop_assert_eq!(server.metric(series), missing as f64);
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_or_passed_over_without_recursion() {
    let server = Server::made(Behaviour::Add);
    let deep = |open: &str, close: &str| open.repeat(300_000) + &close.repeat(300_000);
    for nested in [
        deep("[", "]"),
        deep(r#"{"a":"#, "}"),
        deep(r#"{"a":["#, "]}"),
    ] {
        for body in [
            format!(r#"{{"params": {nested}, "inputs": [[1, 2]]}}"#),
            format!(r#"{{"inputs": {nested}}}"#),
            format!(r#"{{"inputs": {{"a": {nested}}}}}"#),
            format!(r#"{{"dataframe_split": {{"data": {nested}, "columns": ["a"]}}}}"#),
            format!(r#"{{"dataframe_split": {{"columns": {nested}}}}}"#),
        ] {
            let answer = invoke(&server, JSON, &body).await;
            let passed_over = body.starts_with(r#"{"params": {"a":["#);
            let expected = match passed_over {
                true => StatusCode::OK,
                false => StatusCode::BAD_REQUEST,
            };
            assert_eq!(answer.status, expected, "{}", &body[..60]);
        }
    }
}

const BODY: &str = "expected an object with exactly one of dataframe_split, dataframe_records, instances and inputs";
const SPLIT: &str = r#"dataframe_split: expected {"columns": [names], "data": [rows]}"#;

#[rstest]
#[case(JSON, "[[1, 2]]", BODY)]
#[case(JSON, "{}", BODY)]
#[case(JSON, r#"{"data": [[1, 2]]}"#, BODY)]
#[case(JSON, r#"{"instances": [[1, 2]], "inputs": [[1, 2]]}"#, BODY)]
#[case(
    JSON,
    "",
    "the body is not JSON: EOF while parsing a value at line 1 column 0"
)]
#[case(
    JSON,
    r#"{"instances": [[1, 2]], "signature_name": "x"}"#,
    "signature_name is not supported"
)]
#[case(
    JSON,
    r#"{"instances": [[1, 2]], "params": [1]}"#,
    "params: expected an object"
)]
#[case(JSON, r#"{"dataframe_split": [[1]]}"#, SPLIT)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}"#,
    SPLIT
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a", "b"]}}"#,
    "dataframe_split: data is missing"
)]
#[case(JSON, r#"{"dataframe_split": {}}"#, "dataframe_split: data is missing")]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 2]], "data": [[3, 4]]}}"#,
    "dataframe_split: data is given twice"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a"], "data": [[1]], "data": [[3]]}}"#,
    "dataframe_split: data is given twice"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1]], "columns": ["a"], "data": [[3]]}}"#,
    "dataframe_split: data is given twice"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a"], "data": [[1]], "columns": ["b"]}}"#,
    "dataframe_split: columns is given twice"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a"], "columns": ["b"]}}"#,
    "dataframe_split: columns is given twice"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 2]]}, "dataframe_split": {"data": [[3, 4]]}}"#,
    BODY
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a", "b"], "data": []}}"#,
    "no rows"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a", "c"], "data": []}}"#,
    r#"unknown feature "c""#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a", "a"], "data": []}}"#,
    r#"feature "a" is given twice"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["b"], "data": [[1]]}}"#,
    r#"row 0: feature "a" is missing"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["b", "a"], "data": [[1, 1], [1]]}}"#,
    "row 1: 1 values, expected 2"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 1], [1, 2, 3]], "columns": ["b", "a"]}}"#,
    "row 1: more than 2 values"
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["b", "a"], "data": [["x", 1]]}}"#,
    r#"row 0: feature "b" is a string, expected a number"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, "x"]], "columns": ["b", "a"]}}"#,
    r#"row 0: feature "a" is a string, expected a number"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 1e400]], "columns": ["b", "a"]}}"#,
    r#"row 0: feature "a" is not a finite 64-bit number"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": 3, "columns": ["b", "a"]}}"#,
    SPLIT
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [3], "columns": ["b", "a"]}}"#,
    "row 0: expected an object of features or a list of numbers"
)]
#[case(
    JSON,
    r#"{"dataframe_records": {"a": 1}}"#,
    "dataframe_records: expected a list of rows"
)]
#[case(
    JSON,
    r#"{"instances": [[NaN, 1]]}"#,
    r#"row 0: feature "a" is missing"#
)]
#[case(
    JSON,
    r#"{"instances": [[null, 1]]}"#,
    r#"row 0: feature "a" is null, expected a number"#
)]
#[case(
    JSON,
    r#"{"instances": [[Infinity, 1]]}"#,
    r#"row 0: feature "a" is not a finite 64-bit number"#
)]
#[case(
    JSON,
    r#"{"dataframe_split": {"data": [[1, 1], [1, -Infinity]], "columns": ["a", "b"]}}"#,
    r#"row 1: feature "b" is not a finite 64-bit number"#
)]
#[case(
    JSON,
    r#"{"instances": [[Infinity, 1]}"#,
    r#"row 0: feature "a" is not a finite 64-bit number"#
)]
#[case(CSV, "", "no rows")]
#[case(CSV, "a,b\n", "no rows")]
#[case(CSV, "a,c\n1,2\n", r#"unknown feature "c""#)]
#[case(CSV, "a;b\n1;2\n", r#"unknown feature "a;b""#)]
#[case(CSV, "a,a\n1,2\n", r#"feature "a" is given twice"#)]
#[case(CSV, "b\n1\n", r#"row 0: feature "a" is missing"#)]
#[case(CSV, "a,b\n1,2\n1\n", "row 1: 1 values, expected 2")]
#[case(CSV, "a,b\n1,2,3\n", "row 0: 3 values, expected 2")]
#[case(
    CSV,
    "a,b\n1,2\nx,2\n",
    r#"row 1: feature "a" is text, expected a number"#
)]
#[case(
    CSV,
    "a,b\n1,-inf\n",
    r#"row 0: feature "b" is not a finite 64-bit number"#
)]
#[case(CSV, "a,b\nNaN,1\n", r#"row 0: feature "a" is missing"#)]
#[case(CSV, "a,b\n,1\n", r#"row 0: feature "a" is missing"#)]
#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong(
    #[case] kind: &'static str,
    #[case] body: &str,
    #[case] expected: &str,
) {
    let server = Server::made(Behaviour::Add);
    let answer = invoke(&server, kind, body).await;
    assert_eq!(answer.error(), expected);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error_code"], "BAD_REQUEST");
    assert_eq!(answer.json()["message"], expected);
    let labels = r#"endpoint="/invocations",error_type="validation""#;
    assert_eq!(server.metric(&format!("api_errors_total{{{labels}}}")), 1.0);
}

#[rstest]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["b"], "data": [[1]]}}"#,
    "a",
    "missing"
)]
#[case(JSON, r#"{"dataframe_split": {"data": [[1, true]]}}"#, "b", "type")]
#[case(JSON, r#"{"instances": [[1, Infinity]]}"#, "b", "type")]
#[case(JSON, r#"{"inputs": {"a": [-Infinity]}}"#, "a", "type")]
#[case(JSON, r#"{"instances": [[NaN, 1]]}"#, "a", "missing")]
#[case(CSV, "a,b\n1,\n", "b", "missing")]
#[case(CSV, "a,b\n1,NaN\n", "b", "missing")]
#[case(CSV, "a,b\n1,inf\n", "b", "type")]
#[case(CSV, "a,b\nx,1\n", "a", "type")]
#[tokio::test]
async fn a_value_that_is_to_blame_is_counted(
    #[case] kind: &'static str,
    #[case] body: &str,
    #[case] feature: &str,
    #[case] reason: &str,
) {
    let server = Server::made(Behaviour::Add);
    invoke(&server, kind, body).await;
    let refused = (feature, reason) != ("b", "missing");
    let labels =
        format!(r#"feature="{feature}",model_version="v7",reason="{reason}",refused="{refused}""#);
    let series = format!("model_feature_invalid_total{{{labels}}}");
    assert_eq!(server.metric(&series), 1.0);
}

#[rstest]
#[case(
    JSON,
    r#"{"dataframe_split": {"columns": ["a"], "data": [[1], [1], [1]]}}"#
)]
#[case(JSON, r#"{"dataframe_split": {"data": [[1, 1], [1, 1], [1, 1]]}}"#)]
#[case(JSON, r#"{"dataframe_records": [{"a": 1}, {"a": 1}, {"a": 1}]}"#)]
#[case(CSV, "a\n1\n1\n1\n")]
#[tokio::test]
async fn more_rows_than_the_limit_are_refused(#[case] kind: &'static str, #[case] body: &str) {
    let limits = Limits {
        max_batch_rows: 2,
        ..Limits::default()
    };
    let server = Server::with(made(Behaviour::Add, &[]), limits);
    let answer = invoke(&server, kind, body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "more than 2 rows in one request");
}

#[rstest]
#[case(Some("text/plain"))]
#[case(Some("application/x-www-form-urlencoded"))]
#[case(Some("application/json; charset=latin-1"))]
#[case(Some("application/json; profile=x"))]
#[case(Some("application/jsonl"))]
#[case(Some(""))]
#[case(None)]
#[tokio::test]
async fn other_media_types_are_refused(#[case] kind: Option<&'static str>) {
    let server = Server::made(Behaviour::Add);
    let body = r#"{"inputs": [[1, 2]]}"#;
    let answer = match kind {
        Some(kind) => invoke(&server, kind, body).await,
        None => server.post("/invocations", body).await,
    };
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        answer.error(),
        "expected Content-Type application/json or text/csv, as UTF-8"
    );
    let labels = r#"endpoint="/invocations",method="POST",status="415""#;
    assert_eq!(
        server.metric(&format!("api_requests_total{{{labels}}}")),
        1.0
    );
}

#[tokio::test]
async fn ping_and_version_are_what_the_client_reads() {
    let server = Server::made(Behaviour::Add);
    let ping = server.get("/ping").await;
    assert_eq!((ping.status, ping.text.as_str()), (StatusCode::OK, "\n"));
    let version = server.get("/version").await;
    assert_eq!(version.status, StatusCode::OK);
    assert_eq!(version.text, env!("CARGO_PKG_VERSION"));
    server.0.health.drain();
    let ping = server.get("/ping").await;
    assert_eq!(ping.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ping.error(), "draining");
    assert_eq!(ping.json()["error_code"], "TEMPORARILY_UNAVAILABLE");
}
