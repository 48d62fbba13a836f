//! Routes, limits and faults: each has its status, message and count.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use axum::body::Body;
use bytes::Bytes;
use contract::config::Limits;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::channel::Channel;
use inference::artifact::FeatureKind;
use inference::serve::app;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{Behaviour, Server, made, request};

fn errors(server: &Server, endpoint: &str, kind: &str) -> f64 {
    let labels = format!(r#"endpoint="{endpoint}",error_type="{kind}""#);
    server.metric(&format!("api_errors_total{{{labels}}}"))
}

fn limited(behaviour: Behaviour, change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits::default();
    change(&mut limits);
    Server::with(made(behaviour, &[]), limits)
}

/// A body that never ends.
fn endless() -> (http_body_util::channel::Sender<Bytes>, Body) {
    let (sender, body) = Channel::new(1);
    (sender, Body::new(body))
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let server = Server::made(Behaviour::Add);
    let answer = server.get("/nope").await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (StatusCode::NOT_FOUND, "no such route: \"/nope\"")
    );
    assert_eq!(errors(&server, "other", "not_found"), 1.0);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let server = Server::made(Behaviour::Add);
    for (method, path, allowed) in [
        (Method::GET, "/predict", "POST"),
        (Method::DELETE, "/health", "GET,HEAD"),
        (Method::PUT, "/v2/models/made/infer", "POST"),
    ] {
        let answer = server.send(request(method, path, "")).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers[ALLOW], allowed);
        assert!(answer.error().ends_with("is not allowed here"));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_or_without_its_length() {
    let server = limited(Behaviour::Add, |limits| limits.max_body_bytes = 10);
    assert_eq!(
        server.post("/predict", "[[1,     2]]").await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let (mut sender, body) = endless();
    let sending = async {
        for _ in 0..2 {
            let _ = sender.send_data("123456".into()).await;
        }
    };
    let (answer, ()) = tokio::join!(server.post("/predict", body), sending);
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "the body has more than 10 bytes");
    assert_eq!(errors(&server, "/predict", "too_large"), 2.0);
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let server = Server::made(Behaviour::Add);
    let (mut sender, body) = endless();
    let sending = async move {
        for piece in ["", "[[", "1.5", ",", "2]]"] {
            sender.send_data(piece.into()).await.unwrap();
        }
    };
    let (answer, ()) = tokio::join!(server.post("/predict", body), sending);
    assert_eq!(answer.json()["predictions"][0]["value"], 3.5);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let server = limited(Behaviour::Add, |limits| limits.request_timeout_ms = 50);
    let (_sender, body) = endless();
    let answer = server.post("/predict", body).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.error(), "the body did not arrive within 50ms");
    assert_eq!(errors(&server, "/predict", "timeout"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_past_the_deadline_is_given_up() {
    let server = limited(Behaviour::Slow, |limits| limits.request_timeout_ms = 50);
    let answer = server.post("/predict", "[[1, 2]]").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.error(), "no answer within 50ms");
    assert_eq!(errors(&server, "/predict", "timeout"), 1.0);
}

#[tokio::test]
async fn the_deadline_counts_from_the_head_through_body_and_queue() {
    let server = limited(Behaviour::Slow, |limits| {
        limits.request_timeout_ms = 500;
        limits.max_concurrent_requests = 1;
    });
    let (mut sender, body) = endless();
    let late = tokio::spawn({
        let server = server.clone();
        async move { server.send(request(Method::POST, "/predict", body)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = tokio::spawn({
        let server = server.clone();
        async move { server.post("/predict", r#"{"a": 1}"#).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    sender.send_data(Bytes::from(r#"{"a": 1}"#)).await.unwrap();
    drop(sender);
    // After the first it would take as long again; a slow machine may be late with the body, too.
    let late = late.await.unwrap().status;
    assert!(
        [StatusCode::GATEWAY_TIMEOUT, StatusCode::REQUEST_TIMEOUT].contains(&late),
        "{late}"
    );
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_counted_as_predicted() {
    let server = Server::made(Behaviour::Slow);
    let predicted = r#"predictions_total{model_version="v7",outcome="value"}"#;
    let answer = server.post("/predict", r#"{"a": 1}"#);
    let given_up = tokio::time::timeout(Duration::from_millis(50), answer).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.metric(predicted), 0.0);
    server.post("/predict", r#"{"a": 1}"#).await;
    assert_eq!(server.metric(predicted), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_requests_over_the_limit_wait_and_all_others_are_refused_at_once() {
    let server = limited(Behaviour::Slow, |limits| limits.max_concurrent_requests = 1);
    let post = || {
        let server = server.clone();
        tokio::spawn(async move { server.post("/predict", "[[1, 2]]").await })
    };
    let admitted = [post(), post(), post()];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = server.post("/predict", "[[1, 2]]").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[RETRY_AFTER], "1");
    assert_eq!(
        answer.error(),
        "the server is working on 1 requests already: try again"
    );
    assert_eq!(errors(&server, "/predict", "overload"), 1.0);
    assert_eq!(server.get("/v2/health/live").await.status, StatusCode::OK);
    for answer in admitted {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_panic_is_told_to_mlflow_in_its_own_form() {
    let server = Server::made(Behaviour::Panic);
    let mut post = request(Method::POST, "/invocations", r#"{"instances": [[666, 1]]}"#);
    let kind = HeaderValue::from_static("application/json");
    post.headers_mut().insert(CONTENT_TYPE, kind);
    let answer = server.send(post).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    let message = "internal error";
    let form = json!({ "error_code": "INTERNAL_ERROR", "message": message, "error": message });
    assert_eq!(answer.json(), form);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_request_only() {
    let server = Server::made(Behaviour::Panic);
    // Short enough to run on the async worker, and too long for it.
    let long = format!("[[666, 1]{}]", " ".repeat(100_000));
    for body in ["[[666, 1]]", &long] {
        let answer = server.post("/predict", body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.error(), "internal error");
    }
    assert_eq!(errors(&server, "/predict", "internal"), 2.0);
    assert_eq!(
        server.post("/predict", "[[1, 1]]").await.status,
        StatusCode::OK
    );
    assert_eq!(server.metric("api_active_requests"), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_counts_as_cancelled() {
    let server = Server::made(Behaviour::Add);
    let (_sender, body) = endless();
    let leaving = tokio::time::timeout(Duration::from_millis(20), server.post("/predict", body));
    assert!(leaving.await.is_err());
    assert_eq!(errors(&server, "/predict", "cancelled"), 1.0);
    let labels = r#"endpoint="/predict",method="POST""#;
    let count = server.metric(&format!("api_requests_total{{{labels},status=\"499\"}}"));
    assert_eq!(count, 1.0);
    let waited = server.metric(&format!("api_request_duration_seconds_count{{{labels}}}"));
    assert_eq!(waited, 1.0);
    assert_eq!(server.metric("api_active_requests"), 0.0);
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_elsewhere() {
    let server = Server::made(Behaviour::Add);
    let page = server.get("/docs").await;
    assert_eq!(page.headers["content-type"], "text/html");
    assert!(!page.text.contains("http"), "{}", page.text);
    let links = page
        .text
        .split(['"'])
        .filter(|text| text.starts_with("docs/"));
    let links: Vec<_> = links.collect();
    assert!(links.len() >= 5);
    for link in links.iter().filter(|link| !link.ends_with(".png")) {
        assert_eq!(
            server.get(&format!("/{link}")).await.status,
            StatusCode::OK,
            "{link}"
        );
    }
    assert_eq!(
        server.get("/docs/nope.js").await.status,
        StatusCode::NOT_FOUND
    );
}

/// A documented path with the names of the served model.
fn filled(path: &str, server: &Server) -> String {
    let model = &server.0.served().model;
    path.replace("{model}", &model.name)
        .replace("{version}", &model.version)
}

#[tokio::test]
async fn every_route_is_documented_and_nothing_else() {
    let server = Server::made(Behaviour::Add);
    let document = server.get("/openapi.json").await.json();
    let documented = document["paths"].as_object().unwrap().keys();
    let verb = |path: &str| path.find(':').unwrap_or(path.len());
    let described: BTreeSet<_> = documented.map(|path| &path[..verb(path)]).collect();
    let routes = app::paths().map(|(path, _)| path);
    // The parts of the pages of /docs and /.
    let routes: BTreeSet<_> = routes.filter(|path| !path.contains("{file}")).collect();
    assert_eq!(described, routes);
    for endpoint in app::paths().map(|(_, endpoint)| endpoint.as_str()) {
        assert!(document["paths"].get(endpoint).is_some(), "{endpoint}");
    }
}

#[tokio::test]
async fn every_route_answers_the_documented_methods_and_no_other() {
    let server = Server::controlled(support::diabetes());
    let document = server.get("/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in [Method::GET, Method::POST] {
            let documented = &item[method.as_str().to_lowercase()];
            let request = request(method.clone(), &filled(path, &server), "");
            let answer = server.send(request).await;
            let status = answer.status.as_u16();
            match documented.is_object() {
                true => {
                    let statuses = documented["responses"].as_object().unwrap();
                    assert!(
                        statuses.contains_key(&status.to_string()),
                        "{path} {status}"
                    );
                }
                // A name that ends with a verb is the name of another model.
                false if path.contains(':') => assert_eq!(status, 404, "{path}"),
                false if path == "/v1/models/{model}" => assert_eq!(status, 404),
                false => assert_eq!(status, 405, "{method} {path}"),
            }
        }
    }
}

#[tokio::test]
async fn every_documented_example_is_accepted() {
    let mut model = made(Behaviour::Classify, &["no", "yes"]);
    model.manifest.features[0].kind = FeatureKind::Integer;
    model.manifest.reference.features[0].edges = vec![2.0, 3.0];
    for server in [
        Server::new(model),
        Server::made(Behaviour::Add),
        Server::new(support::diabetes()),
    ] {
        let document = server.get("/openapi.json").await.json();
        let mut tried = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            let path = filled(path, &server);
            let content = item["post"]["requestBody"]["content"].as_object();
            for (kind, media) in content.into_iter().flatten() {
                let example = &media["example"];
                let body = example.as_str().map(str::to_owned);
                let body = body.unwrap_or_else(|| example.to_string());
                let mut post = request(Method::POST, &path, body);
                let kind = HeaderValue::from_str(kind).unwrap();
                post.headers_mut().insert(CONTENT_TYPE, kind);
                let answer = server.send(post).await;
                assert_eq!(answer.status, StatusCode::OK, "{path} {}", answer.text);
                tried += 1;
                let responses = &item["post"]["responses"];
                let documented = &responses["200"]["content"]["application/json"]["example"];
                if let Some(documented) = documented.as_object() {
                    let found = answer.json();
                    let found = found.as_object().unwrap();
                    // A stream of lines is answered with one field more.
                    let known = |name: &String| found.contains_key(name);
                    assert!(documented.keys().all(known), "{path}");
                }
            }
        }
        assert_eq!(tried, 9);
        let features = &document["components"]["schemas"]["Row"]["properties"];
        assert_eq!(
            features.as_object().unwrap().len(),
            server.0.served().signature.width()
        );
    }
}

#[tokio::test]
async fn every_documented_answer_to_get_is_given() {
    let server = Server::new(support::diabetes());
    let document = server.get("/openapi.json").await.json();
    let mut compared = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(content) = item["get"]["responses"]["200"]["content"].as_object() else {
            continue;
        };
        let answer = server.get(&filled(path, &server)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let (kind, media) = content.iter().next().unwrap();
        let found = answer.headers[CONTENT_TYPE].to_str().unwrap();
        assert!(found.starts_with(kind), "{path}: {found}");
        if let Some(example) = media.get("example") {
            assert_eq!(&answer.json(), example, "{path}");
            compared += 1;
        }
    }
    assert_eq!(compared, 7);
}

#[tokio::test]
async fn the_description_refers_to_nothing_that_it_lacks() {
    let document = Server::new(support::diabetes()).get("/openapi.json").await;
    let document = document.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(parameters, path.matches('{').count(), "{path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(status.parse::<u16>().is_ok());
                assert!(response["description"].is_string(), "{path} {status}");
            }
        }
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        found.push(reference.to_owned());
    }
    match value {
        Value::Object(map) => map
            .values()
            .for_each(|value| collect_references(value, found)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect_references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
