//! The token without which nobody reads the metrics.

use super::bearer;
use crate::serve::error::Error;
use crate::serve::secret_file::{self, Digest, ReadError};
use arc_swap::ArcSwap;
use http::HeaderMap;

/// What a request without the token is told.
pub const REFUSED: &str = "the metrics need their token: send it as 'Authorization: Bearer TOKEN'";

/// The token in a file.
#[derive(Debug)]
pub struct MetricsToken {
    path: String,
    digest: ArcSwap<Digest>,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing that a header can carry.
    #[error("{0} must hold one token of visible ASCII characters")]
    Format(String),
}

impl MetricsToken {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &str) -> Result<Self, TokenError> {
        Ok(Self {
            path: path.to_owned(),
            digest: ArcSwap::from_pointee(digest(path)?),
        })
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// [`TokenError`]; then the token is the one from before.
    pub fn reload(&self) -> Result<(), TokenError> {
        self.digest.store(digest(&self.path)?.into());
        Ok(())
    }

    /// Whether `headers` carry the token.
    ///
    /// # Errors
    /// `Unauthorized`.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Error> {
        let presented = Digest::of(bearer(headers).unwrap_or_default());
        match self.digest.load().same(&presented).into() {
            true => Ok(()),
            false => Err(Error::Unauthorized(REFUSED)),
        }
    }
}

fn digest(path: &str) -> Result<Digest, TokenError> {
    let bytes = secret_file::read(path)?;
    let token = bytes.trim_ascii();
    match !token.is_empty() && token.iter().all(u8::is_ascii_graphic) {
        true => Ok(Digest::of(token)),
        false => Err(TokenError::Format(path.to_owned())),
    }
}
