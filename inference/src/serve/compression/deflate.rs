//! The body of an answer, compressed for clients that ask for it.

use super::Coding;
use crate::serve::error::Error;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use hyper::body::Body as _;
use std::io::{self, Write};

/// Smallest body that is worth it, in bytes: it fits into one packet anyway.
pub const SMALLEST: u64 = 1024;

/// Largest body that is compressed on an async worker, in bytes: about 0.3 ms.
const LARGEST_INLINE: u64 = 16 * 1024;

/// Beginnings of the media types that shrink.
const SHRINKS: [&str; 4] = [
    "application/json",
    "application/javascript",
    "application/octet-stream",
    "text/",
];

/// Compresses every large answer of a router, if the client accepts that.
pub async fn layer(request: Request, next: Next) -> Response {
    let coding = Coding::accepted(request.headers());
    compress(next.run(request).await, coding).await
}

/// `response` with its body in `coding`, if it is large and of a kind that shrinks.
pub async fn compress(mut response: Response, coding: Option<Coding>) -> Response {
    let size = response.body().size_hint();
    if size.lower() < SMALLEST || !shrinks(response.headers()) {
        return response;
    }
    let vary = HeaderValue::from_name(ACCEPT_ENCODING);
    response.headers_mut().append(VARY, vary);
    match coding {
        // Boxed, because most answers never need its room.
        Some(coding) => Box::pin(convert(response, coding)).await,
        None => response,
    }
}

fn shrinks(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.unwrap_or_default();
    let shrinks = SHRINKS
        .iter()
        .any(|begin| kind.starts_with(begin.as_bytes()));
    shrinks && !headers.contains_key(CONTENT_ENCODING)
}

async fn convert(response: Response, coding: Coding) -> Response {
    let (mut head, body) = response.into_parts();
    let packed = match to_bytes(body, usize::MAX).await {
        Ok(plain) => pack_in_place(plain, coding).await,
        Err(failure) => Err(failure.to_string()),
    };
    match packed {
        Ok(packed) => {
            let name = HeaderValue::from_static(coding.as_str());
            head.headers.insert(CONTENT_ENCODING, name);
            head.headers.remove(CONTENT_LENGTH);
            Response::from_parts(head, Body::from(packed))
        }
        Err(failure) => {
            tracing::error!(failure, "an answer could not be compressed");
            Error::Internal.into_response()
        }
    }
}

async fn pack_in_place(plain: Bytes, coding: Coding) -> Result<Vec<u8>, String> {
    let packed = match plain.len() as u64 <= LARGEST_INLINE {
        true => pack(&plain, coding),
        false => tokio::task::spawn_blocking(move || pack(&plain, coding))
            .await
            .map_err(|failure| failure.to_string())?,
    };
    packed.map_err(|failure| failure.to_string())
}

fn pack(plain: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(plain.len() / 2);
    match coding {
        Coding::Gzip => {
            let mut packer = GzEncoder::new(out, Compression::fast());
            packer.write_all(plain)?;
            packer.finish()
        }
        Coding::Deflate => {
            let mut packer = ZlibEncoder::new(out, Compression::fast());
            packer.write_all(plain)?;
            packer.finish()
        }
    }
}
