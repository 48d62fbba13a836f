//! Whether an object stands as it is wanted, though nobody remembers having written it.

use serde_json::Value;

/// Whether all of `wanted` is in `found`, which may have more: what the API server fills in, and what
/// others have added to maps.
pub(super) fn is_as_wanted(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().all(|(key, value)| {
            let found = found.get(key);
            found.map_or_else(|| is_empty(value), |found| is_as_wanted(value, found))
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            let mut pairs = wanted.iter().zip(found);
            wanted.len() == found.len() && pairs.all(|(wanted, found)| is_as_wanted(wanted, found))
        }
        (wanted, found) => wanted == found,
    }
}

/// The API server leaves out what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::same(json!({"a": 1}), json!({"a": 1}), true)]
    #[case::filled_in(json!({"a": [{"b": 1}]}), json!({"a": [{"b": 1, "c": 2}], "d": 3}), true)]
    #[case::left_out(json!({"a": 1, "b": [], "c": {"d": []}}), json!({"a": 1}), true)]
    #[case::changed(json!({"a": 1}), json!({"a": 2}), false)]
    #[case::gone(json!({"a": 1, "b": 2}), json!({"a": 1}), false)]
    #[case::longer(json!({"a": [1]}), json!({"a": [1, 2]}), false)]
    #[case::another_order(json!({"a": [1, 2]}), json!({"a": [2, 1]}), false)]
    fn what_is_wanted_must_be_there(
        #[case] wanted: Value,
        #[case] found: Value,
        #[case] expected: bool,
    ) {
        assert_eq!(is_as_wanted(&wanted, &found), expected);
    }
}
