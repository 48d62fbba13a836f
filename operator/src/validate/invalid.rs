use super::destination::NoDestination;
use crate::api::{DurationError, QuantityError, Reason};
use contract::business::BusinessProblem;
use contract::labels::LoadFailure;

/// Why a spec that the API server admitted cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A duration that cannot be read.
    #[error("spec.{field}: {source}")]
    Duration {
        /// Path of the field below `spec`.
        field: &'static str,
        /// What is wrong with it.
        source: DurationError,
    },
    /// An amount that cannot be read.
    #[error("spec.{field}: {source}")]
    Quantity {
        /// Path of the field below `spec`.
        field: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A limit below what is requested.
    #[error("spec.resources: the {what} limit {limit} is below the request {request}")]
    LimitBelowRequest {
        /// `cpu` or `memory`.
        what: &'static str,
        /// The limit as written.
        limit: String,
        /// The request as written.
        request: String,
    },
    /// An average of what is not requested.
    #[error(
        "spec.autoscaling: cpuUtilization is a share of resources.requests.cpu, which must be more than 0"
    )]
    NothingToUtilize,
    /// A business metric whose source is not exactly one.
    #[error("spec.monitoring.businessMetrics: metric '{metric}', {what}")]
    BusinessSource {
        /// Its name.
        metric: String,
        /// What has no source, or several, and what is expected.
        what: &'static str,
    },
    /// Business metrics that the server cannot count.
    #[error("spec.monitoring.{0}")]
    Business(#[from] BusinessProblem),
    /// Traces for nobody.
    #[error("spec.monitoring.tracing.endpoint: '{endpoint}' {problem}")]
    TracingEndpoint {
        /// The endpoint as written.
        endpoint: String,
        /// What is wrong with it.
        problem: NoDestination,
    },
    /// No source, or more than one.
    #[error(
        "spec.model.source: set exactly one of builtin, configMap, persistentVolumeClaim, http, s3, mlflow, image"
    )]
    Source,
    /// Neither a version nor an alias, or both.
    #[error("spec.model.source.mlflow: set exactly one of version, alias")]
    MlflowVersion,
    /// The model's ConfigMap does not exist.
    #[error("spec.model.source.configMap: there is no ConfigMap '{0}' in this namespace")]
    NoConfigMap(String),
    /// The model's ConfigMap lacks the key.
    #[error("spec.model.source.configMap: ConfigMap '{name}' has no key '{key}'")]
    NoKey {
        /// Name of the ConfigMap.
        name: String,
        /// The key asked for.
        key: String,
    },
    /// The model's ConfigMap holds another file than the spec says.
    #[error("spec.model.sha256 is {expected}, but the file in ConfigMap '{name}' has {found}")]
    Checksum {
        /// Name of the ConfigMap.
        name: String,
        /// The sha256 in the spec.
        expected: String,
        /// The sha256 of the file.
        found: String,
    },
}

impl Invalid {
    /// The reason that conditions and events give.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Duration { .. }
            | Self::Quantity { .. }
            | Self::LimitBelowRequest { .. }
            | Self::NothingToUtilize
            | Self::BusinessSource { .. }
            | Self::Business(_)
            | Self::TracingEndpoint { .. }
            | Self::Source
            | Self::MlflowVersion => Reason::InvalidSpec,
            Self::NoConfigMap(_) | Self::NoKey { .. } => Reason::Load(LoadFailure::NotFound),
            Self::Checksum { .. } => Reason::Load(LoadFailure::ChecksumMismatch),
        }
    }
}
