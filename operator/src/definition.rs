//! What an API server refuses at its door, for those who have none: the definition's own schema and rules.

use crate::api::ModelService;
use anyhow::{Context as _, Result, anyhow, bail};
use cel::{Context, Env, Program, Value as Answer};
use kube::{CustomResourceExt, Resource};
use regex::Regex;
use serde_json::Value;
use std::sync::Arc;

/// The definition of ModelServices.
#[expect(missing_debug_implementations, reason = "the language has none")]
pub struct Definition {
    schema: Value,
    /// What rules may call: CEL, and of Kubernetes' further functions those for texts.
    language: Arc<Env>,
}

impl Definition {
    /// That of this program.
    ///
    /// # Errors
    /// If it is none: a fault of this program.
    pub fn new() -> Result<Self> {
        let crd = serde_json::to_value(ModelService::crd())?;
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut language = Env::stdlib();
        cel::extensions::strings(&mut language).context("no functions for texts")?;
        Ok(Self {
            schema: schema.clone(),
            language: Arc::new(language),
        })
    }

    /// Reads a ModelService as an API server does: what is null is as if it were not there.
    ///
    /// # Errors
    /// If an API server would refuse it: all that is wrong, each with its place.
    pub fn read(&self, document: &Value) -> Result<ModelService> {
        let version = ModelService::api_version(&());
        if document["apiVersion"] != *version {
            bail!(
                "apiVersion is {}, expected {version}",
                document["apiVersion"]
            );
        }
        if !document["metadata"]["name"].is_string() {
            bail!("metadata.name is missing, or no text");
        }
        let document = without_nulls(document.clone());
        let spec = &self.schema["properties"]["spec"];
        if let Some(place) = unknown_field(spec, &document["spec"], "spec") {
            bail!("unknown field {place}");
        }
        let service: ModelService = serde_json::from_value(document)?;
        let refusals = self.refusals(&service)?;
        match refusals.is_empty() {
            true => Ok(service),
            false => bail!("{}", refusals.join("; ")),
        }
    }

    /// What is wrong with a ModelService, each with its place; nothing if an API server would take it.
    fn refusals(&self, service: &ModelService) -> Result<Vec<String>> {
        let service = without_nulls(serde_json::to_value(service)?);
        let mut found = Vec::new();
        self.judge(&self.schema, &service, "", &mut found);
        Ok(found)
    }

    /// Asks `schema`, and what is in it, about `value` at `place`. Of a value that is out of bounds nothing
    /// more is asked, as rules may rely on them.
    fn judge(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        let before = found.len();
        found.extend(out_of_bounds(schema, value).map(|wrong| at(place, &wrong)));
        for (name, inner) in fields(value) {
            let schema = schema_of(schema, &name).unwrap_or(&Value::Null);
            self.judge(schema, inner, &format!("{place}.{name}"), found);
        }
        if found.len() > before {
            return;
        }
        let rules = schema["x-kubernetes-validations"].as_array();
        let broken = rules.into_iter().flatten();
        let broken = broken.filter_map(|rule| self.broken(rule, value));
        found.extend(broken.map(|wrong| at(place, &wrong)));
    }

    /// What a rule says about a value that breaks it.
    fn broken(&self, rule: &Value, value: &Value) -> Option<String> {
        let text = rule["rule"].as_str().unwrap_or_default();
        match self.holds(text, value) {
            Ok(true) => None,
            Ok(false) => Some(rule["message"].as_str().unwrap_or(text).to_owned()),
            Err(error) => Some(format!("{error:#}")),
        }
    }

    fn holds(&self, rule: &str, value: &Value) -> Result<bool> {
        let program = Program::compile(rule).context("not a rule")?;
        let mut context = Context::with_env(Arc::clone(&self.language));
        context.add_variable("self", value)?;
        match program.execute(&context).context("cannot be judged")? {
            Answer::Bool(holds) => Ok(holds),
            other => Err(anyhow!("{rule} is {other:?}")),
        }
    }
}

/// What a schema says of what is in it by this name or number, if anything.
fn schema_of<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let known = schema["properties"].get(name);
    let known = known.or_else(|| schema.get("additionalProperties"));
    known.or_else(|| schema.get("items"))
}

/// Place of the first field of `value` that its schema does not know.
fn unknown_field(schema: &Value, value: &Value, place: &str) -> Option<String> {
    fields(value).into_iter().find_map(|(name, inner)| {
        let place = format!("{place}.{name}");
        match schema_of(schema, &name) {
            Some(schema) => unknown_field(schema, inner, &place),
            None => Some(place),
        }
    })
}

/// What is in a value, by its name or number.
fn fields(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(items) => items.iter().enumerate().map(numbered).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn numbered((at, item): (usize, &Value)) -> (String, &Value) {
    (at.to_string(), item)
}

/// How a value is beyond what its schema says of values of its type; types themselves were looked at when
/// it was read.
fn out_of_bounds(schema: &Value, value: &Value) -> Option<String> {
    let bound = |name: &str| schema[name].as_f64();
    let outside = |size: f64, least: &str, most: &str, what: &str| {
        let less = bound(least).filter(|least| size < *least);
        let more = bound(most).filter(|most| size > *most);
        let less = less.map(|least| format!("{size}{what} is less than {least}"));
        less.or_else(|| more.map(|most| format!("{size}{what} is more than {most}")))
    };
    let count = |count: usize| count as f64;
    match value {
        Value::Number(number) => outside(number.as_f64()?, "minimum", "maximum", ""),
        Value::String(text) => {
            let length = count(text.chars().count());
            let pattern = schema["pattern"].as_str();
            let unlike = pattern.filter(|pattern| !is_like(text, pattern));
            outside(length, "minLength", "maxLength", " characters")
                .or_else(|| unlike.map(|pattern| format!("{text:?} does not match {pattern}")))
        }
        Value::Array(items) => outside(count(items.len()), "minItems", "maxItems", " items"),
        Value::Object(fields) => {
            let number = count(fields.len());
            outside(number, "minProperties", "maxProperties", " keys")
        }
        Value::Null | Value::Bool(_) => None,
    }
}

/// API servers know blanks of ASCII only.
const BLANKS: [(&str, &str); 2] = [(r"\s", r"[\t\n\f\r ]"), (r"\S", r"[^\t\n\f\r ]")];

fn is_like(text: &str, pattern: &str) -> bool {
    let pattern = BLANKS
        .iter()
        .fold(pattern.to_owned(), |pattern, (ours, theirs)| {
            pattern.replace(ours, theirs)
        });
    Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn at(place: &str, wrong: &str) -> String {
    match place.trim_start_matches('.') {
        "" => wrong.to_owned(),
        place => format!("{place}: {wrong}"),
    }
}

/// An API server drops what is null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn read(name: &str, rest: &str) -> Result<ModelService> {
        let text = format!(
            "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\nmetadata: {{name: {name}}}\nspec: {{model: {{source: {{builtin: {{name: diabetes}}}}}}, {rest}}}\n"
        );
        let document = crate::yaml::documents(&text).unwrap().remove(0);
        Definition::new().unwrap().read(&document)
    }

    fn refusal(name: &str, rest: &str) -> String {
        read(name, rest).unwrap_err().to_string()
    }

    #[rstest]
    #[case::much(
        "replicas: 0, autoscaling: {minReplicas: 2, maxReplicas: 2}, resources: {limits: {cpu: 1}}, \
         monitoring: {scrape: {interval: 30s, labels: {a/b: c}}, drift: {threshold: 1}, alerts: {labels: {team: risk}}, \
         businessMetrics: [{name: a_total, type: counter, labels: [{name: b, parameter: c, values: [d]}]}]}"
    )]
    #[case::empty_lists("monitoring: {businessMetrics: [], compatibility: []}")]
    #[case::empty_texts(
        "monitoring: {businessMetrics: [{name: a, type: counter, help: '', buckets: [], labels: []}]}"
    )]
    #[case::nulls(
        "replicas: null, monitoring: {alerts: null, scrape: {labels: null}}, server: {maxBodyBytes: null}"
    )]
    #[case::null_objects("monitoring: null, resources: {requests: null}, autoscaling: null")]
    fn what_an_api_server_takes_is_not_refused(#[case] rest: &str) {
        read("churn", rest).unwrap();
    }

    #[test]
    fn null_is_the_default() {
        let nulls = read("churn", "replicas: null, monitoring: null").unwrap();
        assert_eq!(json!(nulls), json!(read("churn", "").unwrap()));
    }

    #[rstest]
    #[case::version(json!({"apiVersion": "v1", "metadata": {"name": "a"}}), "apiVersion is \"v1\", expected modelservice.dev/v1alpha1")]
    #[case::no_name(json!({"apiVersion": "modelservice.dev/v1alpha1", "metadata": {"generateName": "a-"}}), "metadata.name is missing")]
    fn what_has_no_version_or_name_is_refused(#[case] document: Value, #[case] begin: &str) {
        let error = Definition::new().unwrap().read(&document).unwrap_err();
        assert!(error.to_string().starts_with(begin), "{error}");
    }

    /// What of a schema is looked at here, what was when the text was read, and what says nothing.
    const KEYWORDS: [&str; 26] = [
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "x-kubernetes-validations",
        "properties",
        "additionalProperties",
        "items",
        "type",
        "required",
        "enum",
        "format",
        "nullable",
        "anyOf",
        "x-kubernetes-int-or-string",
        "description",
        "default",
        "title",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    ];

    fn unknown_keywords(schema: &Value, found: &mut Vec<String>) {
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            match keyword.as_str() {
                "properties" => fields(value)
                    .into_iter()
                    .for_each(|(_, inner)| unknown_keywords(inner, found)),
                "items" | "additionalProperties" => unknown_keywords(value, found),
                known if KEYWORDS.contains(&known) => {}
                unknown => found.push(unknown.to_owned()),
            }
        }
    }

    #[test]
    fn every_word_of_the_definition_is_understood() {
        let mut found = Vec::new();
        unknown_keywords(&Definition::new().unwrap().schema, &mut found);
        assert_eq!(found, [""; 0]);
    }

    #[rstest]
    #[case::name("0churn", "", "metadata")]
    #[case::most("churn", "replicas: -1", "spec.replicas: -1 is less than 0")]
    #[case::pattern(
        "churn",
        "server: {requestTimeout: soon}",
        "spec.server.requestTimeout"
    )]
    #[case::share(
        "churn",
        "monitoring: {objectives: {availability: 100}}",
        "spec.monitoring.objectives.availability"
    )]
    #[case::unknown(
        "churn",
        "monitoring: {alerts: {treshold: 1}}",
        "unknown field spec.monitoring.alerts.treshold"
    )]
    #[case::unknown_in_a_list(
        "churn",
        "monitoring: {businessMetrics: [{name: a, type: counter, unit: s}]}",
        "unknown field spec.monitoring.businessMetrics.0.unit"
    )]
    #[case::two_fields(
        "churn",
        "monitoring: {scrape: {interval: 10s, timeout: 15s}}",
        "spec.monitoring.scrape: timeout"
    )]
    #[case::no_bucket(
        "churn",
        "monitoring: {objectives: {latency: {threshold: 7ms}}}",
        "spec.monitoring.objectives.latency"
    )]
    #[case::keys(
        "churn",
        "monitoring: {alerts: {labels: {severity: mine}}}",
        "spec.monitoring.alerts.labels: label names hold"
    )]
    #[case::in_a_list(
        "churn",
        "monitoring: {businessMetrics: [{name: a_total, type: counter, buckets: [1]}]}",
        "spec.monitoring.businessMetrics.0"
    )]
    fn what_it_refuses_is_named_with_its_place(
        #[case] name: &str,
        #[case] rest: &str,
        #[case] begin: &str,
    ) {
        let refusal = refusal(name, rest);
        assert!(refusal.starts_with(begin), "{refusal}");
    }
}
