use super::cel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which model is served.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ModelSpec {
    /// Where the model file comes from: exactly one of its fields.
    pub source: ModelSource,
    /// Lower-case hex sha256 of the model file. A file that differs is refused before it is
    /// parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Version on metrics and answers. Default: the first 8 characters of the sha256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"))]
    pub version: Option<String>,
}

/// Where the model file comes from.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = cel(
    "(has(self.builtin) ? 1 : 0) + (has(self.configMap) ? 1 : 0) + (has(self.persistentVolumeClaim) ? 1 : 0) == 1",
    "set exactly one of builtin, configMap, persistentVolumeClaim"
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
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(extend("x-kubernetes-validations" = cel(
    "!self.startsWith('/') && !self.split('/').exists(part, part == '..' || part == '')",
    "path must be relative to the volume's root, without '..' and without empty parts"
)))]
    pub path: String,
}
