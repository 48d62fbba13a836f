//! How a client shows its API key, or the token for the metrics.

use crate::serve::access::api_keys::{HEADER, MISSING};
use crate::serve::access::metrics_token::REFUSED;
use crate::serve::access::{Access, needs_key};
use contract::labels::Endpoint;
use utoipa::openapi::ComponentsBuilder;
use utoipa::openapi::path::OperationBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};

const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";
const METRICS_TOKEN: &str = "metricsToken";

/// What a client has to show.
#[derive(Clone, Copy)]
pub(super) enum Secret {
    ApiKey,
    MetricsToken,
}

/// What a client of `endpoint` has to show; None if nothing.
pub(super) fn needed(endpoint: Endpoint, access: &Access) -> Option<Secret> {
    match endpoint {
        Endpoint::Metrics => access.metrics_token.as_ref().map(|_| Secret::MetricsToken),
        _ if needs_key(endpoint) => access.keys.as_ref().map(|_| Secret::ApiKey),
        _ => None,
    }
}

/// Adds the ways to show what `access` asks for to `components`.
pub(super) fn declare(mut components: ComponentsBuilder, access: &Access) -> ComponentsBuilder {
    let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    if access.keys.is_some() {
        let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(HEADER)));
        components = components
            .security_scheme(BEARER, bearer())
            .security_scheme(API_KEY, header);
    }
    if access.metrics_token.is_some() {
        components = components.security_scheme(METRICS_TOKEN, bearer());
    }
    components
}

impl Secret {
    /// What a client is told that does not show it.
    pub(super) const fn wanted(self) -> &'static str {
        match self {
            Self::ApiKey => MISSING,
            Self::MetricsToken => REFUSED,
        }
    }

    /// `operation` for those who show it, in one of its ways.
    pub(super) fn require(self, operation: OperationBuilder) -> OperationBuilder {
        let ways: &[&str] = match self {
            Self::ApiKey => &[BEARER, API_KEY],
            Self::MetricsToken => &[METRICS_TOKEN],
        };
        ways.iter().fold(operation, |operation, way| {
            let none: [&str; 0] = [];
            operation.security(SecurityRequirement::new(*way, none))
        })
    }
}
