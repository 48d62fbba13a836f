//! Requests → JSON.

use crate::load_generator::request::{Cell, Fault, Request};
use serde_json::Value;

/// What is sent instead of JSON.
const NOT_JSON: &str = "no JSON";

/// The form in which rows are written.
#[derive(Debug)]
pub(super) enum Body {
    /// An object of named features, or a list of them; the names are JSON with a colon.
    Named(Vec<String>),
    /// One tensor of all rows.
    Tensor,
}

impl Body {
    pub(super) fn named(features: &[String]) -> Self {
        let key = |name: &String| format!("{}:", Value::from(name.as_str()));
        Self::Named(features.iter().map(key).collect())
    }

    /// The body of `request`.
    pub(super) fn write(&self, request: &Request) -> String {
        match self {
            _ if request.fault == Some(Fault::Unreadable) => NOT_JSON.to_owned(),
            Self::Named(keys) => objects(keys, request),
            Self::Tensor => tensor(request),
        }
    }
}

fn objects(keys: &[String], request: &Request) -> String {
    let rows: Vec<String> = request
        .cells
        .chunks(request.width)
        .map(|row| object(keys, row))
        .collect();
    match rows.as_slice() {
        [row] => row.clone(),
        rows => format!("[{}]", rows.join(",")),
    }
}

fn object(keys: &[String], row: &[Cell]) -> String {
    let values = row.iter().zip(keys);
    let pairs: Vec<String> = values
        .filter_map(|(cell, key)| Some(format!("{key}{}", json(*cell)?)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A tensor that lacks an absent cell is shorter than its shape says.
fn tensor(request: &Request) -> String {
    let values = request.cells.iter().filter_map(|cell| json(*cell));
    let data = values.collect::<Vec<_>>().join(",");
    let (rows, width) = (request.rows(), request.width);
    format!(
        r#"{{"inputs":[{{"name":"rows","datatype":"FP64","shape":[{rows},{width}],"data":[{data}]}}]}}"#
    )
}

/// None for what is not there.
fn json(cell: Cell) -> Option<String> {
    match cell {
        Cell::Number(number) => Some(number.to_string()),
        Cell::Null => Some("null".to_owned()),
        Cell::Absent => None,
        Cell::Text => Some("\"text\"".to_owned()),
        Cell::Infinite => Some("1e999".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn request(cells: &[Cell]) -> Request {
        Request {
            width: 2,
            cells: cells.to_vec(),
            drifted: 0,
            fault: None,
        }
    }

    const ROW: [Cell; 2] = [Cell::Number(6.0), Cell::Number(0.627)];

    #[rstest]
    #[case(&ROW, r#"{"a":6,"b \"":0.627}"#)]
    #[case(&[ROW, ROW].concat(), r#"[{"a":6,"b \"":0.627},{"a":6,"b \"":0.627}]"#)]
    #[case(&[Cell::Absent, Cell::Null], r#"{"b \"":null}"#)]
    #[case(&[Cell::Text, Cell::Infinite], r#"{"a":"text","b \"":1e999}"#)]
    fn rows_are_objects_of_named_features(#[case] cells: &[Cell], #[case] json: &str) {
        let body = Body::named(&["a", "b \""].map(str::to_owned));
        assert_eq!(body.write(&request(cells)), json);
    }

    #[rstest]
    #[case(&[ROW, ROW].concat(), "[2,2]", "[6,0.627,6,0.627]")]
    #[case(&[Cell::Absent, Cell::Null], "[1,2]", "[null]")]
    fn rows_are_one_tensor(#[case] cells: &[Cell], #[case] shape: &str, #[case] data: &str) {
        let written = Body::Tensor.write(&request(cells));
        let tensor = format!(r#""datatype":"FP64","shape":{shape},"data":{data}}}]}}"#);
        assert!(written.ends_with(&tensor), "{written}");
    }

    #[test]
    fn an_unreadable_request_is_no_json() {
        let unreadable = Request {
            fault: Some(Fault::Unreadable),
            ..request(&ROW)
        };
        let written = Body::Tensor.write(&unreadable);
        assert!(serde_json::from_str::<Value>(&written).is_err());
    }

    #[test]
    fn numbers_are_read_back_to_the_bit() {
        for number in [1e100, -2.5e-9, 0.1 + 0.2, f64::MIN_POSITIVE] {
            let written = json(Cell::Number(number)).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&written).unwrap(), number);
        }
    }
}
