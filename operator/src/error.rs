//! What can go wrong in a reconcile, and what is done about it.

use crate::validate::Invalid;

/// A failed reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A read that failed.
    #[error("failed to read {what}")]
    Observe {
        /// What was read.
        what: String,
        /// Why it failed.
        source: kube::Error,
    },
    /// A spec that cannot work.
    #[error("the spec cannot work")]
    Invalid(#[from] Invalid),
    /// A write of a child that failed.
    #[error("failed to {verb} {kind} {name}")]
    Apply {
        /// `apply` or `delete`.
        verb: &'static str,
        /// Kind of the child.
        kind: String,
        /// Its name.
        name: String,
        /// Why it failed.
        source: kube::Error,
    },
    /// A write of the status that failed.
    #[error("failed to write the status")]
    Status {
        /// Why it failed.
        source: kube::Error,
    },
    /// The reconcile took too long and was given up.
    #[error("gave up after {seconds} seconds")]
    Deadline {
        /// Its deadline.
        seconds: u64,
    },
    /// A fault of the operator, contained to one ModelService.
    #[error("panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

/// Closed set of categories: metric label and log field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The user's to mend.
    Spec,
    /// The API server refuses for lack of rights.
    Forbidden,
    /// The API server finds the object wrong.
    Rejected,
    /// Somebody else wrote at the same time.
    Conflict,
    /// An admission webhook that the API server has to ask does not answer.
    Admission,
    /// The API server cannot be reached, is overloaded, or takes too long.
    Unavailable,
    /// A fault of the operator.
    Internal,
    /// The operator is of another version than the definition, and cannot read the object.
    Unreadable,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 8] = [
        Self::Spec,
        Self::Forbidden,
        Self::Rejected,
        Self::Conflict,
        Self::Admission,
        Self::Unavailable,
        Self::Internal,
        Self::Unreadable,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Forbidden => "forbidden",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Admission => "admission",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether it lasts until somebody mends it, who thus has to be told.
    pub const fn lasts(self) -> bool {
        match self {
            Self::Spec | Self::Forbidden | Self::Rejected | Self::Admission | Self::Unreadable => {
                true
            }
            Self::Conflict | Self::Unavailable | Self::Internal => false,
        }
    }
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing changes until the user does.
    OnChange,
    /// Soon, then less and less often.
    WithBackoff,
}

impl Error {
    /// Whether the ModelService is another one than the caches say, of the same name.
    pub fn is_about_another_incarnation(&self) -> bool {
        matches!(self, Self::Status { source: kube::Error::Api(status) } if status.code == 409)
    }

    /// Which kind of fault it is.
    pub fn category(&self) -> Category {
        match self {
            Self::Invalid(_) => Category::Spec,
            Self::Deadline { .. } => Category::Unavailable,
            Self::Panicked { .. } => Category::Internal,
            Self::Observe { source, .. } | Self::Apply { source, .. } | Self::Status { source } => {
                category(source)
            }
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self.category() {
            Category::Spec => Retry::OnChange,
            Category::Forbidden
            | Category::Rejected
            | Category::Conflict
            | Category::Admission
            | Category::Unavailable
            | Category::Internal
            | Category::Unreadable => Retry::WithBackoff,
        }
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(kube::Error::Api(status)) = error.downcast_ref() {
                // All else that it would print is for programs.
                return match status.message.as_str() {
                    "" => format!("{text}: HTTP status {}", status.code),
                    message => format!("{text}: {message}"),
                };
            }
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

/// How the API server says that a webhook which it must ask does not answer; it has no code for it.
const UNANSWERED: &str = "failed calling webhook";

fn category(error: &kube::Error) -> Category {
    match error {
        kube::Error::Api(status) => match status.code {
            401 | 403 => Category::Forbidden,
            409 => Category::Conflict,
            400..=499 if status.code != 429 => Category::Rejected,
            500 if status.message.contains(UNANSWERED) => Category::Admission,
            _ => Category::Unavailable,
        },
        _ => Category::Unavailable,
    }
}
