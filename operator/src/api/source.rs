//! Where models come from.

use super::cel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the model file comes from.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "[has(self.builtin), has(self.configMap), has(self.persistentVolumeClaim), has(self.http), has(self.s3), has(self.mlflow), has(self.image)].filter(set, set).size() == 1",
    "set exactly one of builtin, configMap, persistentVolumeClaim, http, s3, mlflow, image"
)))]
pub struct ModelSource {
    /// A model inside the server's image, to try things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinSource>,
    /// A key of a ConfigMap in the same namespace, in `data` or `binaryData`; plain or gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// A file on a PersistentVolumeClaim in the same namespace, mounted read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<VolumeClaimSource>,
    /// A file that a web server has; the pods fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// An object in an S3 bucket; the pods fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Source>,
    /// A version of a registered model in MLflow; the pods fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlflow: Option<MlflowSource>,
    /// A file in an OCI image, mounted read-only. The cluster must have image volumes: Kubernetes
    /// 1.35, or before that the feature gate ImageVolume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
}

/// A model inside the server's image.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct BuiltinSource {
    /// Its name.
    pub name: BuiltinName,
}

/// Models inside the server's image.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum BuiltinName {
    /// Pima Indians diabetes: 8 measurements, outcome 0 or 1.
    Diabetes,
}

/// A key of a ConfigMap.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapSource {
    /// Name of the ConfigMap, in the namespace of the ModelService.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub name: String,
    /// Key that holds the model file.
    #[schemars(regex(pattern = r"^[-._a-zA-Z0-9]+$"), length(max = 253))]
    pub key: String,
}

/// A file on a PersistentVolumeClaim.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimSource {
    /// Name of the claim, in the namespace of the ModelService.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub claim_name: String,
    /// Path of the model file on the volume, relative to its root.
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = relative()))]
    pub path: String,
}

fn relative() -> serde_json::Value {
    cel(
        "!self.startsWith('/') && !self.split('/').exists(part, part == '..' || part == '')",
        "path must be relative to the root, without '..' and without empty parts",
    )
}

/// A file that a web server has.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// Its address, without credentials. Redirects are followed on the same host only.
    #[schemars(regex(pattern = URL), length(max = 2048))]
    pub url: String,
    /// Secret with `username` and `password`, or `token`, and perhaps `ca.crt`: certificates to trust
    /// instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SourceSecret>,
}

/// No credentials and no fragment.
const URL: &str = r"^https?://[^\s/?#@]+([/?][^\s#]*)?$";

/// An object in an S3 bucket.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct S3Source {
    /// Name of the bucket.
    #[schemars(
        regex(pattern = r"^[a-z0-9][-.a-z0-9]*[a-z0-9]$"),
        length(min = 3, max = 63)
    )]
    pub bucket: String,
    /// Key of the object.
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
    /// Region of the bucket. Default: us-east-1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[-a-z0-9]+$"), length(max = 63))]
    pub region: Option<String>,
    /// Address of the service, such as that of a MinIO. Default: that of Amazon in the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = URL), length(max = 2048))]
    pub endpoint: Option<String>,
    /// Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, perhaps `AWS_SESSION_TOKEN` and
    /// `ca.crt`. Without it the bucket must be public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SourceSecret>,
}

/// A version of a registered model in MLflow.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "has(self.version) != has(self.alias)",
    "set exactly one of version, alias"
)))]
pub struct MlflowSource {
    /// Address of the tracking server.
    #[schemars(regex(pattern = URL), length(max = 2048))]
    pub tracking_uri: String,
    /// Name of the registered model.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// Number of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub version: Option<u32>,
    /// Alias of the version. The pods look at it every half a minute, and when it moves they serve
    /// the other version without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub alias: Option<String>,
    /// Path of the model file among the artifacts of the version. Default: the only JSON file, plain
    /// or gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = relative()))]
    pub path: Option<String>,
    /// Secret with `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or
    /// `MLFLOW_TRACKING_TOKEN`, and perhaps `ca.crt`. Where artifacts are in S3, also what `s3` wants,
    /// with `MLFLOW_S3_ENDPOINT_URL` and `AWS_DEFAULT_REGION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SourceSecret>,
}

/// A file in an OCI image.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// The image, such as `registry.example.com/models/churn:3`.
    #[schemars(regex(pattern = r"^\S+$"), length(max = 1024))]
    pub reference: String,
    /// Path of the model file in the image, relative to its root.
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = relative()))]
    pub path: String,
}

/// A Secret in the namespace of the ModelService. Its key `allowed-hosts` names whom its credentials
/// may be shown to, as `minio.storage.svc *.example.com`.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SourceSecret {
    /// Its name.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub name: String,
}
