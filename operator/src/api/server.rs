use super::{Duration, Quantity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// CPU and memory of each pod.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourcesSpec {
    /// What the scheduler reserves.
    pub requests: ResourceList,
    /// What a pod may use at most. Memory defaults to the request, so that a pod is never killed
    /// for memory that it was promised; CPU has no limit by default.
    pub limits: ResourceList,
}

/// Amounts of CPU and memory.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceList {
    /// Cores, such as `250m` or `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Bytes, such as `64Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

impl Default for ResourcesSpec {
    fn default() -> Self {
        Self {
            requests: ResourceList {
                cpu: Some("50m".into()),
                memory: Some("64Mi".into()),
            },
            limits: ResourceList::default(),
        }
    }
}

/// How the number of pods follows their load, by a HorizontalPodAutoscaler.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = super::cel("self.minReplicas <= self.maxReplicas", "minReplicas must not be more than maxReplicas")))]
pub struct AutoscalingSpec {
    /// Pods at least.
    #[serde(default = "super::one")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
    /// Pods at most.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// Percent of `resources.requests.cpu` that the pods shall use on average: above it there will
    /// be more of them, below it fewer.
    #[serde(default = "busy")]
    #[schemars(range(min = 1, max = 1000))]
    pub cpu_utilization: i32,
}

fn busy() -> i32 {
    70
}

/// What each pod admits.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerSpec {
    /// Requests worked on at once; more are answered with 503 and Retry-After.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_concurrent_requests: u32,
    /// Rows in one request.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_batch_rows: u32,
    /// Size of one request body.
    // The default stands for null as well: the API server would keep that.
    #[schemars(extend("nullable" = false))]
    pub max_body_bytes: Quantity,
    /// Time after which a request is given up with 504.
    pub request_timeout: Duration,
    /// Who may ask for predictions; everybody if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<ApiKeysSpec>,
}

/// Who may ask for predictions.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeysSpec {
    /// Secret with the file of API keys, which holds hashes only: `inference api-key` makes its
    /// lines. Pods take a changed file without a restart.
    pub secret_ref: SecretRef,
}

/// A key of a Secret.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the Secret, in the namespace of the ModelService.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub name: String,
    /// Key that holds the file.
    #[serde(default = "api_keys")]
    #[schemars(regex(pattern = r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"), length(max = 253))]
    pub key: String,
}

fn api_keys() -> String {
    "api-keys".to_owned()
}

impl Default for ServerSpec {
    fn default() -> Self {
        Self {
            max_concurrent_requests: 64,
            max_batch_rows: 1024,
            max_body_bytes: "8Mi".into(),
            request_timeout: "5s".into(),
            api_keys: None,
        }
    }
}
