//! What a Deployment says of its pods.

use serde_json::Value;

/// Name of the ConfigMap with the configuration of new pods, if any.
pub(crate) fn mounted(deployment: &Value) -> Option<&str> {
    let volume = &deployment["spec"]["template"]["spec"]["volumes"][0];
    volume["configMap"]["name"].as_str()
}
