//! Ground truth: a row, a list of rows or a stream of lines, and what becomes of them.

use super::{list, number, string};
use crate::artifact::Task;
use crate::model::Predictions;
use crate::serve::encode::issue;
use crate::serve::served::Served;
use serde_json::{Value, json};
use std::time::SystemTime;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, Type};

/// An id as if class 0 or the value 0 had been predicted now.
pub(super) fn example(served: &Served) -> Value {
    let predictions = match served.signature.task {
        Task::Classification => Predictions::Classes {
            labels: vec![0],
            probabilities: None,
        },
        Task::Regression => Predictions::Values(vec![0.0]),
    };
    let id = issue(served, &predictions, 0, SystemTime::now());
    let actual = match served.signature.classes.first() {
        Some(class) => serde_json::from_str(&class.value).unwrap_or_default(),
        None => json!(0.0),
    };
    json!({ "prediction_id": String::from_utf8_lossy(&id), "actual": actual })
}

/// What one row should have been.
pub(super) fn truth(served: &Served) -> Schema {
    let actual = match served.signature.task {
        Task::Classification => "The true class.",
        Task::Regression => "The true value.",
    };
    let mut either = AnyOfBuilder::new()
        .item(number(actual))
        .item(string(actual));
    if served.signature.task == Task::Classification {
        either = either.item(Object::with_type(Type::Boolean));
    }
    ObjectBuilder::new()
        .property("prediction_id", string("As the prediction was answered."))
        .required("prediction_id")
        .property("actual", either)
        .required("actual")
        .into()
}

/// One row or a list of them.
pub(super) fn request() -> Schema {
    AnyOfBuilder::new()
        .item(Ref::from_schema_name("Truth"))
        .item(list(Ref::from_schema_name("Truth")))
        .into()
}

/// What became of rows, or of lines.
pub(super) fn answer() -> Schema {
    let of_rows = accepted().property("rejected", list(refused("row", "From 0.")));
    let of_lines = accepted()
        .property("rejected", number("Lines rejected."))
        .property("rejected_lines", list(refused("line", "From 1.")))
        .required("rejected_lines");
    AnyOfBuilder::new().item(of_rows).item(of_lines).into()
}

fn accepted() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("accepted", number("Rows accepted."))
        .required("accepted")
}

fn refused(place: &str, counted: &str) -> Schema {
    ObjectBuilder::new()
        .property(place, number(counted))
        .property("reason", string(""))
        .property("message", string(""))
        .into()
}
