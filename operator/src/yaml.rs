//! YAML in and out.

use anyhow::{Context, Result};
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

/// Every ModelService of a stream of documents, also of lists; other kinds are passed over, as a file may
/// hold what the ModelService refers to as well.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).context("cannot read as YAML")?;
    let all = all
        .into_iter()
        .flat_map(|document| match &document["items"] {
            Value::Array(items) if document["kind"] == "List" => items.clone(),
            _ => vec![document],
        });
    Ok(all
        .filter(|document| document["kind"] == "ModelService")
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_in_the_file_are_passed_over() {
        let text = "kind: ConfigMap\n---\nkind: ModelService\n---\nkind: List\nitems: [{kind: Pod}, {kind: ModelService}]\n";
        assert_eq!(documents(text).unwrap().len(), 2);
    }
}
