use crate::meta;
use crate::plan::Plan;
use contract::endpoints;
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;

/// The server's configuration, as the file that it reads.
pub(super) fn render(plan: &Plan) -> ConfigMap {
    ConfigMap {
        metadata: meta::object(&plan.id, plan.config_name(), &BTreeMap::new()),
        // By its name it has this content and no other. No kubelet watches what cannot change.
        immutable: Some(true),
        data: Some(BTreeMap::from([(
            endpoints::CONFIG_FILE.to_owned(),
            plan.config.text.clone(),
        )])),
        ..ConfigMap::default()
    }
}
