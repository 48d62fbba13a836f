//! The live page: who gets it, and how it is kept from doing harm. What it shows is looked at in a
//! browser, see `tests/page`.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderMap, Request, StatusCode};
use inference::serve::app::{admin_router, router};
use rstest::rstest;
use support::{Server, diabetes};
use tower::ServiceExt as _;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn get(router: Router, path: &str, accept: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
    let (head, body) = response.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (head.status, head.headers, text)
}

/// Routers of the predictions' port and of the admin port.
fn routers() -> [Router; 2] {
    let Server(app) = Server::new(diabetes());
    [router(app), admin_router(app)]
}

#[rstest]
#[case(None)]
#[case(Some("*/*"))]
#[case(Some("application/json"))]
#[case(Some("application/json, text/html"))]
#[tokio::test]
async fn clients_of_kserve_are_told_that_the_server_lives(#[case] accept: Option<&str>) {
    let [router, _] = routers();
    let (status, headers, text) = get(router, "/", accept).await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::OK, r#"{"status":"alive"}"#)
    );
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(headers[VARY], "accept");
}

#[tokio::test]
async fn browsers_get_the_page_and_all_that_it_needs_on_both_ports() {
    for router in routers() {
        let (status, headers, page) = get(router.clone(), "/", Some(BROWSER)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
        let mut files: Vec<_> = quoted_after(&page, "\"page/").collect();
        let (.., script) = get(router.clone(), "/page/page.js", None).await;
        files.extend(quoted_after(&script, "from \"./"));
        assert_eq!(files.len(), 5, "{files:?}");
        for file in files {
            let path = format!("/page/{file}");
            let (status, headers, _) = get(router.clone(), &path, None).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let kind = if file.ends_with(".css") {
                "css"
            } else {
                "javascript"
            };
            let expected = format!("text/{kind}; charset=utf-8");
            assert_eq!(headers[CONTENT_TYPE], *expected, "{path}");
        }
        let (status, ..) = get(router, "/page/other.js", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

fn quoted_after<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    let rests = text.split(begin).skip(1);
    rests.filter_map(|rest| rest.split_once('"').map(|(name, _)| name))
}

#[tokio::test]
async fn nothing_foreign_runs_in_the_page_and_nobody_frames_it() {
    for router in routers() {
        for path in ["/", "/page/page.js", "/page/page.css"] {
            let (_, headers, _) = get(router.clone(), path, Some(BROWSER)).await;
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
            assert!(policy.ends_with("frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["x-frame-options"], "DENY");
            assert_eq!(headers["referrer-policy"], "no-referrer");
        }
    }
    let (.., page) = get(routers()[0].clone(), "/", Some(BROWSER)).await;
    for inline in ["<style", "style=", "onclick=", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn what_the_page_asks_for_counts_as_one_route() {
    let Server(app) = Server::new(diabetes());
    for path in ["/", "/page/page.js", "/page/none"] {
        get(router(app), path, Some(BROWSER)).await;
    }
    let series =
        |status| format!(r#"api_requests_total{{endpoint="/",method="GET",status="{status}"}}"#);
    assert_eq!(Server(app).metric(&series(200)), 2.0);
    assert_eq!(Server(app).metric(&series(404)), 1.0);
}
