use crate::meta;
use crate::plan::Plan;
use contract::endpoints;
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;

/// The server's configuration. All that belongs to it carries its hash, so that pods of an earlier one
/// keep what they were made with (`docs/decisions/017-a-configuration-keeps-its-own.md`).
pub(super) struct Configuration {
    /// Name of what belongs to it.
    pub(super) name: String,
    /// The first characters of the sha256 of its text.
    pub(super) hash: String,
    text: String,
}

/// Characters of a hash: few enough to read, and enough for all that one ModelService will ever have.
const HASH_CHARACTERS: usize = 10;

impl Configuration {
    pub(super) fn of(plan: &Plan) -> Self {
        let text = format!("{:#}\n", serde_json::json!(plan.config));
        let hash = meta::sha256_hex(text.as_bytes())[..HASH_CHARACTERS].to_owned();
        let name = meta::config_name(&plan.id.name, &hash);
        Self { name, hash, text }
    }
}

/// The configuration, as the file that the server reads.
pub(super) fn render(plan: &Plan, configuration: &Configuration) -> ConfigMap {
    ConfigMap {
        metadata: meta::object(&plan.id, configuration.name.clone(), &BTreeMap::new()),
        // By its name it has this content and no other. No kubelet watches what cannot change.
        immutable: Some(true),
        data: Some(BTreeMap::from([(
            endpoints::CONFIG_FILE.to_owned(),
            configuration.text.clone(),
        )])),
        ..ConfigMap::default()
    }
}
