use crate::meta;
use crate::plan::Plan;
use contract::endpoints;
use k8s_openapi::api::core::v1::ConfigMap;
use std::collections::BTreeMap;

/// The server's configuration, as the file that it reads.
pub(super) fn render(plan: &Plan) -> ConfigMap {
    let value = serde_json::json!(plan.config);
    ConfigMap {
        metadata: meta::object(&plan.id, meta::config_name(&plan.id.name), &BTreeMap::new()),
        data: Some(BTreeMap::from([(
            endpoints::CONFIG_FILE.to_owned(),
            format!("{value:#}\n"),
        )])),
        ..ConfigMap::default()
    }
}
