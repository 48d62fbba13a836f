//! Who may ask for what: API keys for the model, a token for the metrics. Both are optional.

pub mod api_keys;
pub mod key_file;
pub mod metrics_token;

use super::error::Error;
use super::metrics::KeyMetrics;
use api_keys::{ApiKey, ApiKeys};
use contract::config::ServerConfig;
use contract::labels::{Endpoint, StartFailure};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use key_file::KeyFileError;
use metrics_token::{MetricsToken, TokenError};
use std::sync::Arc;

/// Whether a request must carry an API key, where keys are configured. Whatever is asked by
/// probes, scrapers and people who look around is open.
pub const fn needs_key(endpoint: Endpoint) -> bool {
    match endpoint {
        Endpoint::Predict
        | Endpoint::Feedback
        | Endpoint::V2Server
        | Endpoint::V2Models
        | Endpoint::V2Model
        | Endpoint::V2Infer
        | Endpoint::V2Stats
        | Endpoint::V2Index
        | Endpoint::V2Load
        | Endpoint::V2Unload
        | Endpoint::GrpcInfer
        | Endpoint::GrpcMetadata
        | Endpoint::GrpcRepository
        | Endpoint::V1Models
        | Endpoint::V1Predict
        | Endpoint::Invocations => true,
        Endpoint::Health
        | Endpoint::GrpcHealth
        | Endpoint::Root
        | Endpoint::V1Model
        | Endpoint::Ping
        | Endpoint::Version
        | Endpoint::Docs
        | Endpoint::OpenApi
        | Endpoint::V2Live
        | Endpoint::V2Ready
        | Endpoint::V2ModelReady
        // It has a token of its own.
        | Endpoint::Metrics
        | Endpoint::Other => false,
    }
}

/// Who may ask for what; by default everybody for everything.
#[derive(Debug, Default)]
pub struct Access {
    /// For the model.
    pub keys: Option<ApiKeys>,
    /// For the metrics.
    pub metrics_token: Option<MetricsToken>,
}

/// Why a file of keys or the token cannot be used. Displayed as `Reason: message`.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file of API keys.
    #[error("{reason}: {0}", reason = StartFailure::InvalidApiKeys)]
    Keys(#[from] KeyFileError),
    /// The token for the metrics.
    #[error("{reason}: {0}", reason = StartFailure::InvalidMetricsToken)]
    MetricsToken(#[from] TokenError),
}

impl Access {
    /// Reads the files that `config` names, and counts the use of each key in `metrics`.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn read(config: &ServerConfig, metrics: &KeyMetrics) -> Result<Self, AccessError> {
        let keys = config.api_keys.as_ref();
        let keys = keys.map(|keys| ApiKeys::read(&keys.file, metrics.clone()));
        let token = config.metrics_token.as_ref();
        let token = token.map(|token| MetricsToken::read(&token.file));
        Ok(Self {
            keys: keys.transpose()?,
            metrics_token: token.transpose()?,
        })
    }

    /// The key of a request for `endpoint` with `headers`; None if it needs none.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn admit(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<ApiKey>>, Error> {
        match &self.keys {
            Some(keys) if needs_key(endpoint) => keys.admit(headers).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether a request with `headers` may see the metrics.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn admit_scraper(&self, headers: &HeaderMap) -> Result<(), Error> {
        match &self.metrics_token {
            Some(token) => token.admit(headers),
            None => Ok(()),
        }
    }
}

/// What comes after `Bearer` in the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, secret) = value.split_at_checked("Bearer ".len())?;
    let secret = secret.trim_ascii_start();
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_bearer_is_told_from_other_schemes() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("BEARER a b", Some("a b")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Basic abc", None),
            ("Bearerabc", None),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(bearer(&headers), expected.map(str::as_bytes), "{headers:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
