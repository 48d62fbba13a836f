//! By what name a configuration is known.

use crate::settings::settings_of;
use serde_json::Value;

/// Name of the ConfigMap with the configuration of a ModelService that is given as YAML.
pub(crate) fn config_map_of(yaml: &str) -> String {
    let rendered = operator::cli::rendered(yaml, &settings_of(&[])).unwrap();
    let first = rendered.split("---\n").find(|part| !part.is_empty());
    let config_map: Value = operator::yaml::parse(first.unwrap()).unwrap();
    assert_eq!(config_map["kind"], "ConfigMap");
    config_map["metadata"]["name"].as_str().unwrap().to_owned()
}
