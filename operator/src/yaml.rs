//! YAML in and out.

use crate::api::ModelService;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// `object` as YAML.
pub fn print(object: &impl Serialize) -> Result<String> {
    serde_saphyr::to_string(object).context("cannot print as YAML")
}

/// `object` as one document of a stream; nothing for None.
pub fn document(object: Option<&impl Serialize>) -> Result<String> {
    object.map_or_else(
        || Ok(String::new()),
        |object| Ok(format!("---\n{}", print(object)?)),
    )
}

/// One object of whatever kind.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_saphyr::from_str(text).context("cannot read as YAML")
}

/// Every ModelService of a stream of documents; other kinds are passed over, as a file may hold
/// what the ModelService refers to as well.
pub fn documents(text: &str) -> Result<Vec<ModelService>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).context("cannot read as YAML")?;
    all.into_iter()
        .filter(|document| document["kind"] == "ModelService")
        .map(|document| service(&document))
        .collect()
}

fn service(document: &Value) -> Result<ModelService> {
    let service: ModelService =
        serde_json::from_value(document.clone()).context("not a valid ModelService")?;
    // What was read is written out again: a field that is gone was never understood.
    let understood = serde_json::to_value(&service).context("not a valid ModelService")?;
    match unknown_field(document, &understood) {
        Some(path) => bail!("not a valid ModelService: unknown field {path}"),
        None => Ok(service),
    }
}

/// Path of the first field of `given` that `understood` lacks.
fn unknown_field(given: &Value, understood: &Value) -> Option<String> {
    if let (Value::Array(given), Value::Array(understood)) = (given, understood) {
        let mut items = given.iter().zip(understood).enumerate();
        return items.find_map(|(at, (given, understood))| {
            unknown_field(given, understood).map(|path| format!("{at}.{path}"))
        });
    }
    let (given, understood) = (given.as_object()?, understood.as_object()?);
    given
        .iter()
        .find_map(|(key, value)| match understood.get(key) {
            None if value.is_null() => None,
            None => Some(key.clone()),
            Some(known) => unknown_field(value, known).map(|path| format!("{key}.{path}")),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\n\
        metadata: {name: a}\nspec: {model: {source: {builtin: {name: diabetes}}}}\n";

    #[test]
    fn other_kinds_in_the_file_are_passed_over() {
        let text = format!("kind: ConfigMap\nmetadata: {{name: b}}\n---\n{MINIMAL}");
        assert_eq!(documents(&text).unwrap().len(), 1);
    }

    #[test]
    fn an_unknown_field_is_refused_by_its_path() {
        let text = MINIMAL.replace("spec: {", "spec: {monitoring: {alerts: {treshold: 1}}, ");
        let error = documents(&text).unwrap_err().to_string();
        assert!(
            error.ends_with("unknown field spec.monitoring.alerts.treshold"),
            "{error}"
        );
    }
}
