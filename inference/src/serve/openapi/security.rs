//! How a client shows its API key.

use super::failure;
use crate::serve::access::api_keys::{HEADER, MISSING};
use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};

const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";

/// Adds the two ways to `components`.
pub(super) fn declare(components: ComponentsBuilder) -> ComponentsBuilder {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(HEADER)));
    components
        .security_scheme(BEARER, bearer)
        .security_scheme(API_KEY, header)
}

/// `operation` for those with a key.
pub(super) fn require(operation: OperationBuilder) -> OperationBuilder {
    let none: [&str; 0] = [];
    operation
        .security(SecurityRequirement::new(BEARER, none))
        .security(SecurityRequirement::new(API_KEY, none))
        .response(
            "401",
            failure(
                MISSING.to_owned(),
                ("Error", serde_json::json!({ "error": MISSING })),
            ),
        )
}
