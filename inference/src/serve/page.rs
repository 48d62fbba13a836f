//! The live page: what the metrics say at this moment, drawn by the browser. Its files are in the
//! binary, so that it works offline.

use super::error::Error;
use super::{kserve_v1, negotiation};
use axum::extract::RawPathParams;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// The page itself: what it needs is relative to its address, and right behind a proxy that adds a
/// prefix.
const PAGE: &str = include_str!("page/page.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content of what the page needs.
const FILES: [(&str, &str, &str); 5] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("page.js", SCRIPT, include_str!("page/page.js")),
    ("sections.js", SCRIPT, include_str!("page/sections.js")),
    ("draw.js", SCRIPT, include_str!("page/draw.js")),
    ("metrics.js", SCRIPT, include_str!("page/metrics.js")),
];

/// Nothing but these files runs in the page, and it talks to nobody but this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every file is sent with. A server that is replaced may bring another page.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-cache"),
];

/// `GET /`: the page for browsers; for all others, what a client of KServe v1 asks for.
pub async fn root(headers: HeaderMap) -> Response {
    let mut response = match negotiation::likes_html(&headers) {
        true => page().await,
        false => kserve_v1::alive().await,
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().append(VARY, vary);
    response
}

/// The page, whoever asks.
pub async fn page() -> Response {
    respond("text/html; charset=utf-8", PAGE)
}

/// `GET /page/{file}`: what the page needs.
///
/// # Errors
/// `NoRoute` if there is no such file.
pub async fn asset(uri: Uri, path: RawPathParams) -> Result<Response, Error> {
    let wanted = path.iter().next().map_or("", |(_, name)| name);
    let file = FILES.iter().find(|(name, ..)| *name == wanted);
    let (_, kind, text) = file.ok_or_else(|| Error::NoRoute(uri.path().to_owned()))?;
    Ok(respond(kind, text))
}

fn respond(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::metrics::METRICS;

    /// Words in quotes of any kind that look like names of metrics.
    fn names(script: &str) -> impl Iterator<Item = &str> {
        let words = script.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
        let begins = ["api_", "app_", "model_", "prediction", "validation_"];
        words.filter(move |word| {
            word.contains('_') && begins.iter().any(|begin| word.starts_with(begin))
        })
    }

    #[test]
    fn the_page_asks_for_metrics_that_there_are() {
        let all: Vec<_> = FILES.iter().flat_map(|(_, _, text)| names(text)).collect();
        assert!(all.len() > 10, "{all:?}");
        for name in all {
            let known = METRICS.iter().any(|metric| metric.name == name);
            assert!(known, "{name}");
        }
    }

    #[test]
    fn the_page_is_small_and_needs_nobody_else() {
        let files = FILES.iter().map(|(_, _, text)| *text);
        let texts: Vec<_> = files.chain([PAGE]).collect();
        let size: usize = texts.iter().map(|text| text.len()).sum();
        assert!(size < 40 * 1024, "{size} bytes");
        for text in texts {
            let addresses = text
                .split("http")
                .skip(1)
                .filter(|rest| rest.starts_with("s:"));
            assert_eq!(addresses.count(), 0);
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval("] {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }
}
