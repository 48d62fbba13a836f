//! What Grafana's definitions do not say: places, names that must exist, words that it would ignore.

use super::items;
use serde_json::Value;
use std::collections::BTreeSet;

/// Units that dashboards use, by Grafana's ids. A text that looks like a number is taken for one
/// unless its unit is `string`.
const UNITS: [&str; 9] = [
    "string",
    "none",
    "short",
    "percentunit",
    "reqps",
    "ops",
    "s",
    "bytes",
    "Bps",
];
const TRANSFORMATIONS: [&str; 5] = [
    "merge",
    "sortBy",
    "organize",
    "calculateField",
    "groupingToMatrix",
];
/// Dashboards that links may lead to.
const LINKED: [&str; 3] = ["modelservice", "modelservice-fleet", "${__dashboard.uid}"];

/// All that is wrong with a dashboard.
pub(super) fn problems(dashboard: &Value) -> Vec<String> {
    let mut found = places(dashboard);
    for panel in items(&dashboard["panels"]).filter(|panel| panel["type"] != "row") {
        let of_panel = [
            words(panel),
            queries(panel),
            overrides(panel),
            transformations(panel),
        ];
        let named = |problem| format!("panel {}: {problem}", panel["title"]);
        found.extend(of_panel.into_iter().flatten().map(named));
    }
    found.extend(links(dashboard));
    found
}

/// Panels that share an id or a cell, or stick out.
fn places(dashboard: &Value) -> Vec<String> {
    let (mut ids, mut cells, mut found) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in items(&dashboard["panels"]) {
        let title = &panel["title"];
        if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
            found.push(format!("{title} has no id of its own"));
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
        if at("x") + at("w") > 24 || at("w") * at("h") == 0 {
            found.push(format!("{title} is empty or sticks out"));
        }
        let rows = at("y")..at("y") + at("h");
        let mut own = rows.flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)));
        if !own.all(|cell| cells.insert(cell)) {
            found.push(format!("{title} lies over another panel"));
        }
    }
    found
}

fn words(panel: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let overrides = items(&panel["fieldConfig"]["overrides"]).flat_map(|o| items(&o["properties"]));
    let changed = overrides.filter(|change| change["id"] == "unit");
    let units = changed.map(|change| &change["value"]);
    for unit in units.chain([&panel["fieldConfig"]["defaults"]["unit"]]) {
        if !unit.as_str().is_some_and(|unit| UNITS.contains(&unit)) {
            found.push(format!("unit {unit}"));
        }
    }
    let description = panel["description"].as_str();
    if !description.is_some_and(|text| text.ends_with('.')) {
        found.push("no description that ends with a full stop".to_owned());
    }
    if panel["datasource"]["uid"] != "${datasource}" {
        found.push("not the data source that was chosen".to_owned());
    }
    let steps = items(&panel["fieldConfig"]["defaults"]["thresholds"]["steps"]);
    if !steps.is_sorted_by_key(|step| step["value"].as_f64()) {
        found.push("thresholds do not rise".to_owned());
    }
    found
}

fn ref_ids(panel: &Value) -> Vec<&str> {
    let ids = items(&panel["targets"]).map(|target| target["refId"].as_str().unwrap_or_default());
    ids.collect()
}

fn queries(panel: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let ids = ref_ids(panel);
    if ids.is_empty() || ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        found.push(format!("queries {ids:?}"));
    }
    for target in items(&panel["targets"]) {
        let instant = target["instant"] == true;
        if instant == (target["range"] == true) {
            found.push(format!("query {} is of no kind", target["refId"]));
        }
        if instant == (panel["type"] == "timeseries") {
            let only = "lines need a range, tables and bars an instant";
            if panel["type"] != "stat" {
                found.push(format!("query {}: {only}", target["refId"]));
            }
        }
    }
    found
}

/// Overrides of something that is not there.
fn overrides(panel: &Value) -> Vec<String> {
    let renamed = items(&panel["transformations"])
        .filter_map(|step| step["options"]["renameByName"].as_object())
        .flat_map(|names| names.values().filter_map(Value::as_str));
    let added =
        items(&panel["transformations"]).filter_map(|step| step["options"]["alias"].as_str());
    let fields: BTreeSet<_> = renamed.chain(added).collect();
    let ids = ref_ids(panel);
    let matchers = items(&panel["fieldConfig"]["overrides"]).map(|o| &o["matcher"]);
    let wrong = matchers.filter(|matcher| {
        let name = matcher["options"].as_str().unwrap_or_default();
        match matcher["id"].as_str() {
            Some("byName") => !fields.contains(name),
            Some("byFrameRefID") => !ids.contains(&name),
            _ => true,
        }
    });
    wrong
        .map(|matcher| format!("override of {matcher}"))
        .collect()
}

fn transformations(panel: &Value) -> Vec<String> {
    let ids = items(&panel["transformations"]).map(|step| &step["id"]);
    let unknown = ids.filter(|id| !id.as_str().is_some_and(|id| TRANSFORMATIONS.contains(&id)));
    unknown.map(|id| format!("transformation {id}")).collect()
}

/// Links to dashboards that nobody brings.
fn links(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => {
            let url = map.get("url").and_then(Value::as_str).unwrap_or_default();
            let uid = url
                .strip_prefix("/d/")
                .and_then(|rest| rest.split('?').next());
            let lost = uid.filter(|uid| !LINKED.contains(uid));
            let own = lost.map(|uid| format!("link to dashboard '{uid}'"));
            own.into_iter()
                .chain(map.values().flat_map(links))
                .collect()
        }
        Value::Array(list) => list.iter().flat_map(links).collect(),
        _ => Vec::new(),
    }
}
