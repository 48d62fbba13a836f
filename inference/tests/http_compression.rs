//! Compressed bodies, both ways.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use axum::body::{Body, to_bytes};
use contract::config::Limits;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, Request, StatusCode};
use inference::serve::app::{admin_router, router};
use rstest::rstest;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use support::{Answer, Behaviour, Server, diabetes, made};
use tower::ServiceExt as _;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

async fn post(server: &Server, codings: &[&str], body: Vec<u8>) -> Answer {
    let mut request = Request::post("/predict");
    for coding in codings {
        request = request.header(CONTENT_ENCODING, *coding);
    }
    server.send(request.body(Body::from(body)).unwrap()).await
}

#[rstest]
#[case(&["gzip"], gzip(b"[[1, 2]]"))]
#[case(&["x-gzip"], gzip(b"[[1, 2]]"))]
#[case(&["GZip"], gzip(b"[[1, 2]]"))]
#[case(&["deflate"], zlib(b"[[1, 2]]"))]
#[case(&["identity"], b"[[1, 2]]".to_vec())]
#[tokio::test(flavor = "multi_thread")]
async fn compressed_requests_are_answered(#[case] codings: &[&str], #[case] body: Vec<u8>) {
    let server = Server::made(Behaviour::Add);
    let sent = body.len() as f64;
    let answer = post(&server, codings, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["predictions"][0]["value"], 3.0);
    let size = r#"api_request_size_bytes_sum{endpoint="/predict"}"#;
    assert_eq!(server.metric(size), sent);
}

#[rstest]
#[case(&["br"])]
#[case(&["gzip, gzip"])]
#[case(&["gzip", "deflate"])]
#[tokio::test]
async fn unknown_and_several_codings_are_refused(#[case] codings: &[&str]) {
    let server = Server::made(Behaviour::Add);
    let answer = post(&server, codings, gzip(b"[[1, 2]]")).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answer.headers[ACCEPT_ENCODING], "gzip, deflate");
    let told = "expected Content-Encoding gzip or deflate, or none";
    assert_eq!(answer.error(), told);
}

#[rstest]
#[case("gzip", b"[[1, 2]]".to_vec(), "the body is not gzip")]
#[case("gzip", gzip(b"[[1, 2]]")[..15].to_vec(), "the body is not gzip")]
#[case("gzip", Vec::new(), "the body is not gzip")]
#[case("deflate", b"[[1, 2]]".to_vec(), "the body is not deflate")]
#[case("deflate", zlib(b"[[1, 2]]")[..8].to_vec(), "the body is not deflate")]
#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_refused(
    #[case] coding: &str,
    #[case] body: Vec<u8>,
    #[case] expected: &str,
) {
    let answer = post(&Server::made(Behaviour::Add), &[coding], body).await;
    assert_eq!(answer.error(), expected);
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[rstest]
#[case("gzip", gzip)]
#[case("deflate", zlib)]
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_given_up_at_the_limit(#[case] coding: &str, #[case] pack: fn(&[u8]) -> Vec<u8>) {
    let limits = Limits {
        max_body_bytes: 1 << 20,
        ..Limits::default()
    };
    let server = Server::with(made(Behaviour::Add, &[]), limits);
    let bomb = pack(&vec![b' '; 32 << 20]);
    assert!(bomb.len() < 1 << 20);
    let begin = Instant::now();
    let answer = post(&server, &[coding], bomb).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.error(), "the body has more than 1048576 bytes");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// An answer that is not decoded.
struct Raw {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Raw {
    /// The body as it was before it was compressed.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut body = self.body.as_slice();
        let coding = self.headers.get(CONTENT_ENCODING);
        match coding.map(|coding| coding.to_str().unwrap()) {
            Some("gzip") => MultiGzDecoder::new(body).read_to_string(&mut text),
            Some("deflate") => ZlibDecoder::new(body).read_to_string(&mut text),
            _ => body.read_to_string(&mut text),
        }
        .unwrap();
        text
    }
}

async fn fetch(router: axum::Router, request: http::request::Builder, body: String) -> Raw {
    let request = request.body(Body::from(body)).unwrap();
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    Raw {
        status: head.status,
        headers: head.headers,
        body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    }
}

fn rows(count: usize) -> String {
    format!("[{}[1, 2]]", "[1, 2],".repeat(count - 1))
}

#[rstest]
#[case("gzip", "gzip", 20)]
#[case("deflate", "deflate", 20)]
#[case("br;q=1.0, gzip;q=0.4, deflate;q=0.6", "deflate", 20)]
#[case("gzip, deflate, br, zstd", "gzip", 1000)]
#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_as_the_client_asks(
    #[case] accepted: &str,
    #[case] coding: &str,
    #[case] count: usize,
) {
    let server = Server::made(Behaviour::Add);
    let post = Request::post("/predict").header(ACCEPT_ENCODING, accepted);
    let answer = fetch(router(server.0), post, rows(count)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[CONTENT_ENCODING], coding);
    assert_eq!(answer.headers[VARY], "accept-encoding");
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json");
    let length = answer.body.len();
    assert_eq!(answer.headers[CONTENT_LENGTH], length.to_string().as_str());
    let text = answer.text();
    assert!(length * 2 < text.len());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["predictions"].as_array().unwrap().len(), count);
    let size = r#"api_response_size_bytes_sum{endpoint="/predict"}"#;
    assert_eq!(server.metric(size), length as f64);
}

#[rstest]
#[case::not_asked_for(None, 20, true)]
#[case::not_wanted(Some("gzip;q=0"), 20, true)]
#[case::not_known(Some("br"), 20, true)]
#[case::too_small(Some("gzip"), 1, false)]
#[tokio::test]
async fn other_answers_are_sent_as_they_are(
    #[case] accepted: Option<&str>,
    #[case] count: usize,
    #[case] varies: bool,
) {
    let mut post = Request::post("/predict");
    if let Some(accepted) = accepted {
        post = post.header(ACCEPT_ENCODING, accepted);
    }
    let server = Server::made(Behaviour::Add);
    let answer = fetch(router(server.0), post, rows(count)).await;
    assert!(!answer.headers.contains_key(CONTENT_ENCODING));
    assert_eq!(answer.headers.contains_key(VARY), varies);
    assert!(answer.text().starts_with('{'));
}

#[rstest]
#[case("/metrics", "# HELP ")]
#[case("/openapi.json", "{")]
#[case("/docs/swagger-ui-bundle.js", "")]
#[case("/docs/swagger-ui.css", "")]
#[tokio::test(flavor = "multi_thread")]
async fn every_route_compresses(#[case] path: &str, #[case] begin: &str) {
    let server = Server::new(diabetes());
    let get = Request::get(path).header(ACCEPT_ENCODING, "gzip");
    let answer = fetch(router(server.0), get, String::new()).await;
    assert_eq!(answer.headers[CONTENT_ENCODING], "gzip", "{path}");
    assert!(answer.text().starts_with(begin));
}

#[tokio::test]
async fn what_does_not_shrink_is_sent_as_it_is() {
    let server = Server::new(diabetes());
    let get = Request::get("/docs/favicon-32x32.png").header(ACCEPT_ENCODING, "gzip");
    let answer = fetch(router(server.0), get, String::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key(CONTENT_ENCODING));
}

#[tokio::test]
async fn the_metrics_listener_compresses_too() {
    let server = Server::new(diabetes());
    let get = Request::get("/metrics").header(ACCEPT_ENCODING, "gzip");
    let answer = fetch(admin_router(server.0), get, String::new()).await;
    assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
    assert!(answer.text().contains("model_loaded 1"));
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::made(Behaviour::Add);
    let head = Request::builder().method("HEAD").uri("/metrics");
    let head = head.header(ACCEPT_ENCODING, "gzip");
    let answer = fetch(router(server.0), head, String::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.is_empty());
}
