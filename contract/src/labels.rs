//! Closed sets of label values. Of the server's own metrics no label takes a value from a request.

/// Declares an enum whose variants are the only values that a label may take.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value that `text` names, if any.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_set! {
    /// `method` of a request.
    Method {
        /// GET
        Get = "GET",
        /// POST
        Post = "POST",
        /// Any other method, known or invented.
        Other = "other",
    }
}

closed_set! {
    /// `endpoint` of a request: the route's template, never the path as sent.
    Endpoint {
        /// Predictions in this project's own format.
        Predict = "/predict",
        /// Ground truth for earlier predictions.
        Feedback = "/feedback",
        /// Health as a person reads it.
        Health = "/health",
        /// Interactive documentation.
        Docs = "/docs",
        /// The OpenAPI description.
        OpenApi = "/openapi.json",
        /// Prometheus text exposition.
        Metrics = "/metrics",
        /// Open Inference Protocol v2: server metadata.
        V2Server = "/v2",
        /// Open Inference Protocol v2: liveness.
        V2Live = "/v2/health/live",
        /// Open Inference Protocol v2: readiness of the server.
        V2Ready = "/v2/health/ready",
        /// Open Inference Protocol v2: names of models, as KServe lists them.
        V2Models = "/v2/models",
        /// Open Inference Protocol v2: model metadata.
        V2Model = "/v2/models/{model}",
        /// Open Inference Protocol v2: readiness of the model.
        V2ModelReady = "/v2/models/{model}/ready",
        /// Open Inference Protocol v2: predictions.
        V2Infer = "/v2/models/{model}/infer",
        /// The live page for browsers, and what it needs; liveness for clients of KServe v1.
        Root = "/",
        /// KServe v1: names of the models.
        V1Models = "/v1/models",
        /// KServe v1: readiness of the model.
        V1Model = "/v1/models/{model}",
        /// KServe v1: predictions, and the verbs beside it that are not offered.
        V1Predict = "/v1/models/{model}:predict",
        /// MLflow: predictions.
        Invocations = "/invocations",
        /// MLflow: readiness.
        Ping = "/ping",
        /// MLflow: version of the server.
        Version = "/version",
        /// Open Inference Protocol v2, statistics extension: how often and how long.
        V2Stats = "/v2/models/{model}/stats",
        /// Open Inference Protocol v2, repository extension: the models that there are.
        V2Index = "/v2/repository/index",
        /// Open Inference Protocol v2, repository extension: loads the model again.
        V2Load = "/v2/repository/models/{model}/load",
        /// Open Inference Protocol v2, repository extension: stops serving the model.
        V2Unload = "/v2/repository/models/{model}/unload",
        /// Open Inference Protocol v2 over gRPC: predictions.
        GrpcInfer = "grpc/ModelInfer",
        /// gRPC: liveness and readiness, those of `grpc.health.v1` among them.
        GrpcHealth = "grpc/health",
        /// gRPC: metadata, statistics and reflection.
        GrpcMetadata = "grpc/metadata",
        /// gRPC: index of models, loading and unloading.
        GrpcRepository = "grpc/repository",
        /// Everything that matches no route.
        Other = "other",
    }
}

impl Endpoint {
    /// Those whose requests are predictions.
    pub const PREDICTING: &'static [Self] = &[
        Self::Predict,
        Self::V2Infer,
        Self::GrpcInfer,
        Self::V1Predict,
        Self::Invocations,
    ];

    /// Whether its requests are predictions.
    pub const fn is_predicting(self) -> bool {
        matches!(
            self,
            Self::Predict | Self::V2Infer | Self::GrpcInfer | Self::V1Predict | Self::Invocations
        )
    }

    /// Whether it is asked over gRPC.
    pub const fn is_grpc(self) -> bool {
        matches!(
            self,
            Self::GrpcInfer | Self::GrpcHealth | Self::GrpcMetadata | Self::GrpcRepository
        )
    }
}

closed_set! {
    /// `error_type` of a failed request.
    ErrorType {
        /// The request was understood and is wrong.
        Validation = "validation",
        /// The body or the batch is larger than the configured limit.
        TooLarge = "too_large",
        /// More requests at once than the server admits.
        Overload = "overload",
        /// The deadline of the request passed.
        Timeout = "timeout",
        /// The API key, or the token for the metrics, is missing or wrong, or nobody may do this.
        Unauthorized = "unauthorized",
        /// No such route, model or version.
        NotFound = "not_found",
        /// A fault of the server.
        Internal = "internal",
        /// The client went away before the answer.
        Cancelled = "cancelled",
    }
}

closed_set! {
    /// Why a model could not be loaded: `reason` of the failure counter, the first word of the
    /// termination message, and the reason of the `ModelLoaded` condition.
    LoadFailure {
        /// No file at the configured path or address.
        NotFound = "NotFound",
        /// What has the file does not answer, or not in time.
        Unreachable = "Unreachable",
        /// What has the file does not give it to us, or is nothing that a model may come from.
        Forbidden = "Forbidden",
        /// The path is not a regular file, or reading it failed.
        Unreadable = "Unreadable",
        /// The file is larger than the limit, packed or unpacked.
        TooLarge = "TooLarge",
        /// The sha256 of the file is not the configured one.
        ChecksumMismatch = "ChecksumMismatch",
        /// The file is damaged, or its parts contradict each other.
        Corrupt = "Corrupt",
        /// A format version or algorithm that this server does not know.
        Unsupported = "Unsupported",
        /// The model does not reproduce the predictions recorded at training.
        SelfTestFailed = "SelfTestFailed",
    }
}

closed_set! {
    /// Why the server could not start, its model aside: the first word of the termination message,
    /// and the reason of the `Ready` condition.
    StartFailure {
        /// A setting that cannot work.
        InvalidConfig = "InvalidConfig",
        /// The file of API keys is missing or malformed.
        InvalidApiKeys = "InvalidApiKeys",
        /// The file of the token for the metrics is missing or malformed.
        InvalidMetricsToken = "InvalidMetricsToken",
        /// The certificate or its key is missing, malformed, or not the other's.
        InvalidCertificate = "InvalidCertificate",
        /// An address that cannot be listened on.
        BindFailed = "BindFailed",
        /// Threads, signals or metrics.
        Internal = "Internal",
    }
}

closed_set! {
    /// `outcome` of a request that had to carry an API key.
    KeyOutcome {
        /// Answered with a status below 400.
        Success = "success",
        /// Answered with a status of 4xx, or given up by the client.
        ClientError = "client_error",
        /// Answered with a status of 5xx.
        ServerError = "server_error",
        /// Refused: no key, or an unknown one.
        Unauthorized = "unauthorized",
    }
}

closed_set! {
    /// `reason` of a feature value that the model was not trained for.
    InvalidFeature {
        /// Absent or null.
        Missing = "missing",
        /// Not a finite number.
        Type = "type",
        /// Outside the range seen in training; never refused.
        Range = "range",
    }
}

closed_set! {
    /// `reason` of a number that a metric of the user's own did not take.
    ObservationRejection {
        /// The request, or the model, has none.
        Missing = "missing",
        /// Not a number.
        Type = "type",
        /// Not finite, too large, or negative where only a rise can be counted.
        Range = "range",
    }
}

closed_set! {
    /// `reason` of a failed request, as Triton has it.
    TritonFailure {
        /// Anything else, mostly requests that are wrong.
        Other = "OTHER",
        /// A fault of what answers.
        Backend = "BACKEND",
        /// The client went away.
        Canceled = "CANCELED",
        /// Too many requests at once, or no answer in time.
        Rejected = "REJECTED",
    }
}

impl TritonFailure {
    /// What Triton would call a failure of this type.
    pub const fn of(kind: ErrorType) -> Self {
        match kind {
            ErrorType::Overload | ErrorType::Timeout => Self::Rejected,
            ErrorType::Cancelled => Self::Canceled,
            ErrorType::Internal => Self::Backend,
            ErrorType::Validation
            | ErrorType::TooLarge
            | ErrorType::Unauthorized
            | ErrorType::NotFound => Self::Other,
        }
    }
}

closed_set! {
    /// `reason` of refused ground truth.
    FeedbackRejection {
        /// The prediction id is not one of this server's.
        Malformed = "malformed",
        /// The prediction id was altered.
        Checksum = "checksum",
        /// The prediction was made by another model, or another version of it.
        UnknownVersion = "unknown_version",
        /// The prediction is older than the server accepts.
        Expired = "expired",
        /// The ground truth is not a class or value that the model can predict.
        Actual = "actual",
    }
}

closed_set! {
    /// `score` of a model on the data that training held out.
    Score {
        /// Share of rows predicted right (classification).
        Accuracy = "accuracy",
        /// Root mean squared error (regression).
        Rmse = "rmse",
        /// Mean absolute error (regression).
        Mae = "mae",
    }
}

closed_set! {
    /// `type` of process memory.
    Memory {
        /// Resident set size.
        Rss = "rss",
        /// Virtual memory size.
        Vms = "vms",
    }
}

/// Value of the `outcome` label for regression models.
pub const OUTCOME_VALUE: &str = "value";
/// Value of the `key_id` label for requests without a known key.
pub const UNKNOWN_KEY: &str = "unknown";
/// Value of the `feature` label for the model's own prediction.
pub const PREDICTION_FEATURE: &str = "@prediction";
