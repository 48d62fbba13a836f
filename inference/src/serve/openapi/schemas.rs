//! Schemas and examples that depend on the loaded model.

mod feedback;

use crate::artifact::{Feature, FeatureKind, Task};
use crate::serve::encode::{self, Answer, Encoder};
use crate::serve::open_inference::DataType;
use crate::serve::served::Served;
use contract::labels::Endpoint;
use serde_json::{Map, Value, json};
use std::time::SystemTime;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

/// Every named schema.
pub(super) fn all(served: &Served) -> Vec<(&'static str, RefOr<Schema>)> {
    vec![
        ("Row", row(served).into()),
        ("PredictRequest", predict_request().into()),
        ("PredictAnswer", predict_answer(served).into()),
        ("Truth", feedback::truth(served).into()),
        ("FeedbackRequest", feedback::request().into()),
        ("FeedbackAnswer", feedback::answer().into()),
        ("InferRequest", infer_request().into()),
        ("InferAnswer", infer_answer().into()),
        ("V1Request", v1_request().into()),
        (
            "V1Answer",
            outcomes(served, &["predictions", "outputs"]).into(),
        ),
        ("InvocationsRequest", invocations_request().into()),
        (
            "InvocationsAnswer",
            outcomes(served, &["predictions"]).into(),
        ),
        ("IndexRequest", index_request().into()),
        ("List", list(Ref::from_schema_name("Object")).build().into()),
        ("Error", error().into()),
        ("MlflowError", mlflow_error().into()),
        ("Object", Object::with_type(Type::Object).into()),
    ]
}

/// A body that the server accepts, for the schema called `name`.
pub(super) fn example(served: &Served, name: &str) -> Value {
    match name {
        "FeedbackRequest" => feedback::example(served),
        "IndexRequest" => json!({ "ready": true }),
        "InferRequest" => json!({
            "inputs": [{
                "name": "rows",
                "datatype": DataType::Fp64.as_str(),
                "shape": [1, served.signature.width()],
                "data": [example_values(served)],
            }]
        }),
        "V1Request" => json!({ "instances": [example_values(served)] }),
        "InvocationsRequest" => json!({
            "dataframe_split": { "columns": names(served), "data": [example_values(served)] }
        }),
        _ => row_example(served),
    }
}

/// Ground truth of a row as a stream of one line.
pub(super) fn lines_example(served: &Served) -> String {
    format!("{}\n", feedback::example(served))
}

/// The example row as a table.
pub(super) fn csv_example(served: &Served) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    let values = example_values(served);
    // Writing to a Vec cannot fail.
    let _ = table.write_record(names(served));
    let _ = table.write_record(values.iter().map(Value::to_string));
    let table = table.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&table).into_owned()
}

fn names(served: &Served) -> Vec<&str> {
    let features = served.signature.features.iter();
    features.map(|feature| feature.name.as_str()).collect()
}

/// What the server answers to the example.
pub(super) fn example_answer(served: &Served, endpoint: Endpoint) -> Option<Value> {
    let name = &served.model.name;
    let predictions = served.probe.example()?;
    let encoder = Encoder::new(served, SystemTime::now());
    let answer = encoder.encode(Answer::Single(predictions));
    match endpoint {
        Endpoint::Predict => serde_json::from_slice(&answer).ok(),
        Endpoint::Feedback => Some(json!({ "accepted": 1, "rejected": [] })),
        Endpoint::V1Predict | Endpoint::Invocations => {
            let answer = encode::outcomes(served, "predictions", predictions);
            serde_json::from_slice(&answer).ok()
        }
        Endpoint::Root => Some(json!({ "status": "alive" })),
        Endpoint::V1Models => Some(json!({ "models": [name] })),
        Endpoint::V1Model | Endpoint::V2ModelReady => Some(json!({ "name": name, "ready": true })),
        Endpoint::V2Live => Some(json!({ "live": true })),
        Endpoint::V2Ready => Some(json!({ "live": true, "ready": true })),
        _ => None,
    }
}

/// The features of a typical row, by name.
fn row_example(served: &Served) -> Value {
    let names = served.signature.features.iter().map(|f| f.name.clone());
    Value::Object(names.zip(example_values(served)).collect::<Map<_, _>>())
}

fn example_values(served: &Served) -> Vec<Value> {
    let features = served.signature.features.iter();
    features
        .zip(&served.signature.example)
        .map(|(feature, value)| match feature.kind {
            FeatureKind::Integer => Value::from(*value as i64),
            FeatureKind::Float => Value::from(*value),
        })
        .collect()
}

fn number(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .description(Some(description))
}

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

fn list(of: impl Into<RefOr<Schema>>) -> ArrayBuilder {
    ArrayBuilder::new().items(of.into())
}

fn row(served: &Served) -> Schema {
    let features = served.signature.features.iter();
    let object = features.fold(ObjectBuilder::new(), |object, feature| {
        let object = object.property(&feature.name, property(feature));
        match feature.fill {
            Some(_) => object,
            None => object.required(&feature.name),
        }
    });
    object.examples([row_example(served)]).into()
}

fn property(feature: &Feature) -> Schema {
    let Feature { min, max, kind, .. } = feature;
    let whole = match kind {
        FeatureKind::Integer => "whole numbers",
        FeatureKind::Float => "numbers",
    };
    let mut seen = format!("Trained on {whole} from {min} to {max}.");
    if let Some(fill) = feature.fill {
        seen.push_str(&format!(" May be missing or null: {fill} stands in."));
    }
    number(&seen).into()
}

fn predict_request() -> Schema {
    let rows = list(Ref::from_schema_name("Row")).build();
    let instances = ObjectBuilder::new()
        .property("instances", rows.clone())
        .required("instances");
    AnyOfBuilder::new()
        .item(Ref::from_schema_name("Row"))
        .item(rows)
        .item(instances)
        .into()
}

fn predict_answer(served: &Served) -> Schema {
    let object = ObjectBuilder::new()
        .property("model_version", string("Version of the model."))
        .property("prediction_id", string("Names the prediction in feedback."));
    match served.signature.task {
        Task::Classification => object
            .property(
                "outcome",
                AnyOfBuilder::new().item(number("")).item(string("")),
            )
            .property(
                "probabilities",
                ObjectBuilder::new()
                    .additional_properties(Some(Schema::from(number(""))))
                    .description(Some("Probability of each class, if the algorithm has any.")),
            )
            .into(),
        Task::Regression => object.property("value", number("Predicted value.")).into(),
    }
}

fn tensor() -> Schema {
    ["name", "datatype", "shape"]
        .into_iter()
        .fold(ObjectBuilder::new(), |object, field| object.required(field))
        .property("name", string(""))
        .property("datatype", string(""))
        .property("shape", list(Schema::from(number(""))))
        .property("data", list(Schema::default()))
        .property("parameters", parameters())
        .into()
}

fn parameters() -> ObjectBuilder {
    let value = AnyOfBuilder::new()
        .item(string(""))
        .item(number(""))
        .item(Object::with_type(Type::Boolean));
    ObjectBuilder::new().additional_properties(Some(Schema::from(value)))
}

fn index_request() -> Schema {
    let ready = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some("Only the models that are ready."));
    ObjectBuilder::new().property("ready", ready).into()
}

fn infer_request() -> Schema {
    let wanted = ObjectBuilder::new()
        .property("name", string(""))
        .required("name")
        .property("parameters", parameters());
    ObjectBuilder::new()
        .property("parameters", parameters())
        .property("id", string("Echoed."))
        .property("inputs", list(tensor()))
        .required("inputs")
        .property("outputs", list(Schema::from(wanted)))
        .into()
}

fn infer_answer() -> Schema {
    ObjectBuilder::new()
        .property("model_name", string(""))
        .property("model_version", string(""))
        .property("id", string(""))
        .property("outputs", list(tensor()))
        .into()
}

/// An object of named features, or their values in order.
fn any_row() -> Schema {
    AnyOfBuilder::new()
        .item(Ref::from_schema_name("Row"))
        .item(list(Schema::from(number("Value of a feature."))))
        .into()
}

/// A list of values for each feature.
fn columns() -> ObjectBuilder {
    let values = Schema::from(list(Schema::from(number("Value in a row."))));
    ObjectBuilder::new().additional_properties(Some(values))
}

fn rows_or_columns() -> Schema {
    AnyOfBuilder::new()
        .item(list(any_row()))
        .item(columns())
        .into()
}

/// An object with nothing but `field`.
fn only(field: &str, schema: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    ObjectBuilder::new().property(field, schema).required(field)
}

fn v1_request() -> Schema {
    OneOfBuilder::new()
        .item(only("instances", list(any_row())))
        .item(only("inputs", rows_or_columns()))
        .into()
}

fn invocations_request() -> Schema {
    let split = ObjectBuilder::new()
        .property("columns", list(Schema::from(string("Name of a feature."))))
        .property("data", list(any_row()))
        .required("data");
    let params = "Means nothing to these models.";
    [
        only("dataframe_split", split),
        only("dataframe_records", list(any_row())),
        only("instances", list(any_row())),
        only("inputs", rows_or_columns()),
    ]
    .into_iter()
    .fold(OneOfBuilder::new(), |forms, form| {
        let nothing = SchemaType::from_iter([Type::Object, Type::Null]);
        let ignored = ObjectBuilder::new()
            .schema_type(nothing)
            .description(Some(params));
        forms.item(form.property("params", ignored))
    })
    .into()
}

/// What is predicted for each row, under one of `names`.
fn outcomes(served: &Served, names: &[&str]) -> Schema {
    let outcome: Schema = match served.signature.task {
        Task::Classification => AnyOfBuilder::new()
            .item(number("Predicted class."))
            .item(string("Predicted class."))
            .into(),
        Task::Regression => number("Predicted value.").into(),
    };
    names
        .iter()
        .fold(ObjectBuilder::new(), |object, name| {
            object.property(*name, list(outcome.clone()))
        })
        .property("model_version", string("Version of the model."))
        .property(
            "prediction_ids",
            list(Schema::from(string("Names the prediction in feedback."))),
        )
        .into()
}

fn mlflow_error() -> Schema {
    let message = "What is wrong, where, and what was expected.";
    ["error_code", "message", "error"]
        .into_iter()
        .fold(ObjectBuilder::new(), |object, field| object.required(field))
        .property("error_code", string("MLflow's word for the kind of error."))
        .property("message", string(message))
        .property("error", string(message))
        .into()
}

fn error() -> Schema {
    ObjectBuilder::new()
        .property(
            "error",
            string("What is wrong, where, and what was expected."),
        )
        .required("error")
        .into()
}
