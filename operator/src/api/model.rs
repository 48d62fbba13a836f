use super::cel;
use super::source::ModelSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which model is served.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "has(self.sha256) || !(has(self.source.http) || has(self.source.s3))",
    "sha256 is required for http and s3: what they hold may change"
)))]
pub struct ModelSpec {
    /// Where the model file comes from: exactly one of its fields.
    pub source: ModelSource,
    /// Lower-case hex sha256 of the model file. A file that differs is refused before it is
    /// parsed. Required for `http` and `s3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Version on metrics and answers. Default: the first 8 characters of the sha256, and for
    /// `mlflow` the number of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"))]
    pub version: Option<String>,
}

impl ModelSpec {
    /// Whether the spec leaves it to the pods which model is served: that with an alias, or whatever
    /// is on a volume or in an image.
    pub fn is_known_to_pods_only(&self) -> bool {
        let source = &self.source;
        let registered = source.mlflow.as_ref();
        let by_pods = registered.is_some_and(|mlflow| mlflow.alias.is_some())
            || source.persistent_volume_claim.is_some()
            || source.image.is_some();
        by_pods && self.sha256.is_none()
    }
}
