//! Asking the server, whatever the protocol.

pub mod grpc;
pub mod rest;

use super::request::Request;
use std::error::Error;
use std::io;
use std::time::Duration;

/// One connection to the server, opened by the first request that finds it closed.
pub trait Client: Send + 'static {
    /// A client of the same server, with a connection of its own.
    fn another(&self) -> Self;

    /// Sends `request` and waits for the end of its answer; dropped before that, it closes the
    /// connection.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    fn ask(&mut self, request: &Request) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// What the server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Name of the model.
    pub model: String,
    /// Names of its features, in its order.
    pub features: Vec<String>,
}

impl Served {
    /// # Errors
    /// `NoFeatures`
    fn new(model: String, features: Vec<String>) -> Result<Self, DescribeError> {
        match features.is_empty() {
            true => Err(DescribeError::NoFeatures { model }),
            false => Ok(Self { model, features }),
        }
    }
}

/// Why it is not known what the server serves.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// No answer.
    #[error("{asked}")]
    Unanswered {
        /// The question.
        asked: String,
        /// Why.
        source: Failure,
    },
    /// An answer without success.
    #[error("{asked}: {status} {said}")]
    Refused {
        /// The question.
        asked: String,
        /// The answer's status.
        status: String,
        /// What the server says.
        said: String,
    },
    /// An answer that is not what this server gives.
    #[error("{asked}: this is no inference server")]
    Other {
        /// The question.
        asked: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A server without a model.
    #[error("the server has no model")]
    NoModel,
    /// A model that takes nothing.
    #[error("the model {model:?} takes no features")]
    NoFeatures {
        /// Its name.
        model: String,
    },
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As the protocol calls it, such as `200`.
    pub status: String,
    /// What that means.
    pub verdict: Verdict,
    /// What the server says, if it does not accept.
    pub said: Option<String>,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are predictions.
    Accepted,
    /// The rows are to blame.
    Refused,
    /// Something else is.
    Failed,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// No such host, no way to it, or no more connections.
    #[error("cannot connect")]
    Unreachable(#[source] io::Error),
    /// The connection broke.
    #[error("the connection was closed before the end of the answer")]
    Closed(#[source] Box<dyn Error + Send + Sync>),
    /// An answer of another protocol.
    #[error("the answer cannot be read")]
    Unreadable(#[source] Box<dyn Error + Send + Sync>),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl Failure {
    /// Why there is no connection.
    pub fn connecting(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Unreachable(error),
        }
    }

    /// The kind in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Closed(_) => "closed",
            Self::Unreadable(_) => "unreadable",
            Self::Timeout(_) => "timeout",
        }
    }
}
