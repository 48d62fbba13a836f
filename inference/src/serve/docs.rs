//! Interactive documentation: Swagger UI from inside the binary, so that it works offline.

use super::app::App;
use super::error::{Error, json};
use super::openapi;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};
use std::sync::Arc;
use utoipa_swagger_ui::{Config, SwaggerFile};

/// `GET /openapi.json`
pub async fn openapi(State(app): State<&'static App>) -> Response {
    let served = app.served();
    let document = served
        .openapi
        .get_or_init(|| openapi::document(&served, &app.access));
    json(StatusCode::OK, document.clone())
}

/// `GET /docs`
///
/// # Errors
/// `Internal` if the page is not in the binary.
pub async fn page() -> Result<Response, Error> {
    let page = file("index.html").ok_or(Error::Internal)?;
    let html = String::from_utf8_lossy(&page.bytes);
    // Relative to /docs, and right behind a proxy that adds a prefix.
    let html = html
        .replace("\"./", "\"docs/")
        .replace("index.css", "docs/index.css");
    let html = html.replace("docs/docs/", "docs/");
    Ok(respond(&page.content_type, html.into_bytes()))
}

/// `GET /docs/{file}`: what the page needs.
///
/// # Errors
/// `NoRoute` if there is no such file.
pub async fn asset(uri: Uri, path: RawPathParams) -> Result<Response, Error> {
    let name = path.iter().next().map_or("", |(_, name)| name);
    let file = file(name).ok_or_else(|| Error::NoRoute(uri.path().to_owned()))?;
    Ok(respond(&file.content_type, file.bytes.into_owned()))
}

fn file(name: &str) -> Option<SwaggerFile<'static>> {
    let config = Config::new(["openapi.json"])
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .validator_url("none");
    utoipa_swagger_ui::serve(name, Arc::new(config))
        .ok()
        .flatten()
}

fn respond(kind: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
