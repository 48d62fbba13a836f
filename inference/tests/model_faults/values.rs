//! Documents in which any one value is another.

use crate::judge::judge;
use crate::models::samples;
use serde_json::{Value, json};

/// Every number, text, list and null of a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter()
                .for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(list) => {
            found.push(at.to_owned());
            // The first ones stand for the rest.
            let few = list.iter().enumerate().take(2);
            few.for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn a_document_with_any_one_value_replaced_is_refused_or_a_model() {
    let others = [
        json!(null),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!([]),
        json!(""),
    ];
    let mut random = fastrand::Rng::with_seed(1);
    for sample in samples() {
        let mut document = sample.document();
        let mut found = Vec::new();
        places(&document, "", &mut found);
        for place in found {
            for other in &others {
                let there = document.pointer_mut(&place).unwrap();
                let before = std::mem::replace(there, other.clone());
                let _ = judge(document.to_string().as_bytes(), &mut random);
                *document.pointer_mut(&place).unwrap() = before;
            }
        }
    }
}
