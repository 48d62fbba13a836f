//! Finds out whose API key a request carries.

use super::bearer;
use super::key_file::{self, KeyFileError, KeyHash};
use crate::serve::error::Error;
use crate::serve::metrics::{KeyCounters, KeyMetrics};
use crate::serve::secret_file::Digest;
use arc_swap::ArcSwap;
use http::HeaderMap;
use std::sync::Arc;
use subtle::ConditionallySelectable as _;

/// Header for the key besides `Authorization`. It wins, as a proxy may use the other for itself.
pub const HEADER: &str = "x-api-key";

/// What a client without a key is told.
pub const MISSING: &str =
    "an API key is needed: send it as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'";
const UNKNOWN: &str = "the API key is unknown";

/// The keys of a file.
#[derive(Debug)]
pub struct ApiKeys {
    path: String,
    metrics: KeyMetrics,
    keys: ArcSwap<Vec<Arc<ApiKey>>>,
}

/// A known key.
#[derive(Debug)]
pub struct ApiKey {
    id: String,
    digest: Digest,
    /// What its requests came to.
    pub counters: KeyCounters,
}

impl ApiKeys {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &str, metrics: KeyMetrics) -> Result<Self, KeyFileError> {
        let keys = known(key_file::read(path)?, &metrics);
        // Made before the first is refused.
        metrics.refused();
        Ok(Self {
            path: path.to_owned(),
            metrics,
            keys: ArcSwap::from_pointee(keys),
        })
    }

    /// Reads the file again. Requests being worked on keep the key that they came with.
    ///
    /// # Errors
    /// [`KeyFileError`]; then the keys are those from before.
    pub fn reload(&self) -> Result<(), KeyFileError> {
        let keys = Arc::new(known(key_file::read(&self.path)?, &self.metrics));
        let before = self.keys.swap(Arc::clone(&keys));
        for gone in before.iter() {
            if !keys.iter().any(|key| key.id == gone.id) {
                self.metrics.forget(&gone.id);
            }
        }
        Ok(())
    }

    /// The key that `headers` carry.
    ///
    /// # Errors
    /// `Unauthorized`, which is counted.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Arc<ApiKey>, Error> {
        let presented = headers.get(HEADER).map(http::HeaderValue::as_bytes);
        let known = match presented.or_else(|| bearer(headers)) {
            Some(key) => self.find(&Digest::of(key)).ok_or(UNKNOWN),
            None => Err(MISSING),
        };
        known.map_err(|reason| {
            self.metrics.refused().inc();
            Error::Unauthorized(reason)
        })
    }

    /// Looks at every key, whichever is the one: the time tells nothing.
    fn find(&self, presented: &Digest) -> Option<Arc<ApiKey>> {
        let keys = self.keys.load();
        let mut found = 0;
        for (place, key) in (1..).zip(keys.iter()) {
            found.conditional_assign(&place, key.digest.same(presented));
        }
        let place = usize::try_from(u32::checked_sub(found, 1)?).ok()?;
        keys.get(place).cloned()
    }
}

impl ApiKey {
    /// Who has it, as metrics say it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn known(hashes: Vec<KeyHash>, metrics: &KeyMetrics) -> Vec<Arc<ApiKey>> {
    let known = hashes.into_iter().map(|KeyHash { id, digest }| {
        let counters = metrics.of(&id);
        Arc::new(ApiKey {
            id,
            digest,
            counters,
        })
    });
    known.collect()
}
