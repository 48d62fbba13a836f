//! Whether dashboards are such as Grafana's own definitions describe them: keys, types, words.

use super::items;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Panels that dashboards may have, each with a schema of its own.
pub(super) const PANELS: [&str; 4] = ["stat", "bargauge", "table", "timeseries"];

/// Places where Grafana takes any value, which the generator writes down as an object.
const UNTYPED: [&str; 3] = [
    "/MatcherConfig/properties/options",
    "/DynamicConfigValue/properties/value",
    "/VariableModel/properties/query",
];

/// What is judged on its own.
pub(super) struct Schemas {
    dashboard: Validator,
    panel: Validator,
    row: Validator,
    field: Validator,
    query: Validator,
    /// Options of a panel, by its type.
    options: BTreeMap<&'static str, Validator>,
    /// What a type of panel adds to the configuration of fields.
    custom: BTreeMap<&'static str, Validator>,
}

impl Schemas {
    pub(super) fn load() -> Self {
        let dashboard = definitions("dashboard");
        let (mut options, mut custom) = (BTreeMap::new(), BTreeMap::new());
        for name in PANELS {
            let of_panel = definitions(name);
            options.insert(name, validator(&of_panel, "Options"));
            if of_panel.get("FieldConfig").is_some() {
                custom.insert(name, validator(&of_panel, "FieldConfig"));
            }
        }
        Self {
            panel: validator(&dashboard, "Panel"),
            row: validator(&dashboard, "RowPanel"),
            field: validator(&dashboard, "FieldConfig"),
            dashboard: validator(&dashboard, "Dashboard"),
            query: validator(&definitions("prometheus"), "Dataquery"),
            options,
            custom,
        }
    }

    /// All that is wrong with a dashboard.
    pub(super) fn problems(&self, dashboard: &Value) -> Vec<String> {
        let mut shell = dashboard.clone();
        // Which of two kinds a panel is, its type says; the schema would try both.
        shell["panels"] = json!([]);
        let mut found = complaints("dashboard", &self.dashboard, &shell);
        for panel in items(&dashboard["panels"]) {
            found.extend(self.panel_problems(panel));
        }
        found
    }

    fn panel_problems(&self, panel: &Value) -> Vec<String> {
        let at = format!("panel {} {}", panel["id"], panel["title"]);
        let kind = panel["type"].as_str().unwrap_or_default();
        if kind == "row" {
            return complaints(&at, &self.row, panel);
        }
        let mut found = complaints(&at, &self.panel, panel);
        let Some(options) = self.options.get(kind) else {
            found.push(format!("{at}: type '{kind}' is not one of {PANELS:?}"));
            return found;
        };
        found.extend(complaints(&at, options, &panel["options"]));
        for target in items(&panel["targets"]) {
            found.extend(complaints(&at, &self.query, target));
        }
        let config = &panel["fieldConfig"];
        let custom = config["defaults"].get("custom");
        found.extend(custom.into_iter().flat_map(|c| self.custom(&at, kind, c)));
        for change in items(&config["overrides"]).flat_map(|o| items(&o["properties"])) {
            found.extend(self.change(&at, kind, change));
        }
        found
    }

    /// Problems of what only this type of panel has.
    fn custom(&self, at: &str, kind: &str, custom: &Value) -> Vec<String> {
        self.custom.get(kind).map_or_else(
            || vec![format!("{at}: a {kind} has no custom fields")],
            |schema| complaints(at, schema, custom),
        )
    }

    /// Problems of an override, which is judged as the default that it replaces.
    fn change(&self, at: &str, kind: &str, change: &Value) -> Vec<String> {
        let id = change["id"].as_str().unwrap_or_default();
        let alone = |key: &str| {
            let pair = (key.to_owned(), change["value"].clone());
            Value::Object(Map::from_iter([pair]))
        };
        match id.strip_prefix("custom.") {
            Some(key) => self.custom(at, kind, &alone(key)),
            None => complaints(at, &self.field, &alone(id)),
        }
    }
}

fn complaints(at: &str, schema: &Validator, value: &Value) -> Vec<String> {
    let errors = schema.iter_errors(value);
    errors.map(|error| format!("{at}: {error}")).collect()
}

/// The definitions in a schema file, read as Grafana reads them.
fn definitions(name: &str) -> Value {
    let file = format!("operator/tests/grafana/schema/{name}.jsonschema.json");
    let text = fs::read_to_string(crate::support::repository(&file)).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let mut definitions = schema["definitions"].take();
    adjust(&mut definitions);
    for place in UNTYPED {
        if let Some(place) = definitions.pointer_mut(place) {
            *place = json!({});
        }
    }
    definitions
}

/// Nothing is required, as Grafana fills in what is left out. Of alternatives that are told apart
/// by their type, each takes its own only, which the generator writes down as a default.
fn adjust(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.retain(|key, value| key != "required" || !value.is_array());
            if let Some(kind) = map.get_mut("properties").and_then(|p| p.get_mut("type"))
                && kind.get("allOf").is_some()
                && let Some(only) = kind.get("default").cloned()
            {
                *kind = json!({"const": only});
            }
            map.values_mut().for_each(adjust);
        }
        Value::Array(list) => list.iter_mut().for_each(adjust),
        _ => {}
    }
}

fn validator(definitions: &Value, name: &str) -> Validator {
    let schema = json!({
        "definitions": definitions,
        "allOf": [{"$ref": format!("#/definitions/{name}")}],
    });
    jsonschema::draft7::new(&schema).unwrap()
}
