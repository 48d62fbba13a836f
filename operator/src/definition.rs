//! What an API server refuses at its door, for those who have none: the definition's own schema and rules.

use crate::api::ModelService;
use anyhow::{Context as _, Result, anyhow};
use cel::{Context, Env, Program, Value as Answer};
use kube::CustomResourceExt;
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

    /// What is wrong with a ModelService, each with its place; nothing if an API server would take it.
    ///
    /// # Errors
    /// If it cannot be written as JSON: a fault of this program.
    pub fn refusals(&self, service: &ModelService) -> Result<Vec<String>> {
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
            let known = schema["properties"].get(&name);
            let known = known.or_else(|| schema.get("additionalProperties"));
            let schema = known.unwrap_or(&schema["items"]);
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

fn is_like(text: &str, pattern: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
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

    fn refusals(name: &str, rest: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: modelservice.dev/v1alpha1\nkind: ModelService\nmetadata: {{name: {name}}}\nspec: {{model: {{source: {{builtin: {{name: diabetes}}}}}}, {rest}}}\n"
        );
        let service = crate::yaml::parse(&text).unwrap();
        Definition::new().unwrap().refusals(&service).unwrap()
    }

    #[test]
    fn what_an_api_server_takes_is_not_refused() {
        let rest = "replicas: 0, autoscaling: {minReplicas: 2, maxReplicas: 2}, resources: {limits: {cpu: 1}}, \
            monitoring: {scrape: {interval: 30s, labels: {a/b: c}}, drift: {threshold: 1}, alerts: {labels: {team: risk}}, \
            businessMetrics: [{name: a_total, type: counter, labels: [{name: b, parameter: c, values: [d]}]}]}";
        assert_eq!(refusals("churn", rest), [""; 0]);
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
        let found = refusals(name, rest);
        assert!(found.len() == 1 && found[0].starts_with(begin), "{found:?}");
    }
}
