//! Whatever users write into texts, it stays text: no object, key, query or template of ours changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "support/objects.rs"]
mod objects;
#[path = "support/promtool.rs"]
mod promtool;
#[path = "support/settings.rs"]
mod settings;

use objects::objects;
use operator::api::ModelService;
use operator::render::render;
use operator::validate::validate;
use operator::world::World;
use promtool::promtool;
use serde_json::{Value, json};
use settings::settings_of;
use std::fs;

const PAYLOADS: [&str; 24] = [
    r#"" or vector(1) or """#,
    r#""} or up{job=~".*"#,
    "}) or vector(1) #",
    "\\",
    "\\\" or 1",
    "{{ query \"up\" }}",
    "{{ $labels.instance }}",
    "{{`{{`}}",
    "{{ end }}",
    "${datasource}",
    "$__rate_interval",
    "[[modelservice]]",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a.url",
    "../../etc/passwd",
    "/etc/passwd",
    "x\n- alert: Evil",
    "x: y\n---\nkind: Secret",
    "\u{0}\u{1b}[31m",
    "\u{202e}gnp.exe",
    "%s%n%x",
    "'; DROP TABLE models; --",
    "*",
];

/// Fields that hold what users write, with @ for it.
#[rustfmt::skip]
const FIELDS: [(&str, &str); 16] = [
    ("/model/version", "@"),
    ("/model/source/configMap/key", "@"),
    ("/model/source/persistentVolumeClaim/path", "@"),
    ("/model/source/http/url", "http://models.example.com/@"),
    ("/model/source/s3/key", "@"),
    ("/model/source/s3/bucket", "@"),
    ("/model/source/mlflow/model", "@"),
    ("/model/source/mlflow/alias", "@"),
    ("/model/source/image/reference", "@"),
    ("/server/apiKeys/secretRef/name", "@"),
    ("/server/apiKeys/secretRef/key", "@"),
    ("/monitoring/scrape/labels/team", "@"),
    ("/monitoring/alerts/labels/team", "@"),
    ("/monitoring/alerts/labels/severity", "@"),
    ("/monitoring/dashboard/labels/team", "@"),
    ("/monitoring/dashboard/folder", "@"),
];

/// Stands where a payload stands otherwise.
const HARMLESS: &str = "harmless7";

fn service(field: &str, text: &str) -> ModelService {
    let source = match field.strip_prefix("/model/source/") {
        None => json!({"builtin": {"name": "diabetes"}}),
        Some(rest) => match rest.split('/').next().unwrap() {
            "configMap" => json!({"configMap": {"name": "models", "key": "k"}}),
            "persistentVolumeClaim" => {
                json!({"persistentVolumeClaim": {"claimName": "c", "path": "p"}})
            }
            "http" => json!({"http": {"url": "http://x/"}}),
            "s3" => json!({"s3": {"bucket": "b", "key": "k"}}),
            "mlflow" => json!({"mlflow": {"trackingUri": "http://x", "model": "m", "alias": "a"}}),
            _ => json!({"image": {"reference": "r", "path": "p"}}),
        },
    };
    let mut spec = json!({
        "model": {"source": source, "sha256": "0".repeat(64)},
        "server": {}, "monitoring": {"scrape": {}, "alerts": {}, "dashboard": {}},
    });
    let mut at = &mut spec;
    for part in field.split('/').skip(1) {
        at = &mut at[part];
    }
    *at = json!(text);
    if field.contains("apiKeys") && spec["server"]["apiKeys"]["secretRef"]["name"].is_null() {
        spec["server"]["apiKeys"]["secretRef"]["name"] = json!("keys");
    }
    serde_json::from_value(json!({
        "apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService",
        "metadata": {"name": "churn", "namespace": "shop"}, "spec": spec,
    }))
    .unwrap()
}

/// All that a ModelService becomes, with what is JSON inside of texts unpacked, and without the hash that
/// depends on what users write.
fn becomes(service: &ModelService) -> Value {
    let world = World {
        model: operator::world::ModelData::Sha256("0".repeat(64)),
        ..World::default()
    };
    let children = render(&validate(service, &world, &settings_of(&[])).unwrap());
    let all = json!(objects(children));
    let mut all = without_hash(&all);
    unpack(&mut all);
    all
}

fn without_hash(all: &Value) -> Value {
    let of_pods = "/2/spec/template/metadata/labels/modelservice.dev~1config-hash";
    let hash = all.pointer(of_pods).unwrap().as_str().unwrap();
    serde_json::from_str(&all.to_string().replace(hash, "HASH")).unwrap()
}

/// The groups of rules among what a ModelService becomes.
fn rule_groups(all: &Value) -> &Vec<Value> {
    let mut all = all.as_array().unwrap().iter();
    let rule = all.find(|object| object["kind"] == "PrometheusRule");
    rule.unwrap()["spec"]["groups"].as_array().unwrap()
}

fn unpack(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with('{') => {
            if let Ok(inner) = serde_json::from_str(text) {
                *value = inner;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(unpack),
        Value::Object(map) => map.values_mut().for_each(unpack),
        _ => {}
    }
}

/// Texts that machines carry out.
const QUERIES: [&str; 5] = ["expr", "query", "definition", "record", "alert"];

/// Where `found` differs from `wanted` in more than the text that users wrote.
fn harm(found: &Value, wanted: &Value, at: &str) -> Option<String> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            if found.keys().ne(wanted.keys()) {
                return Some(format!("{at} has other keys: {:?}", found.keys()));
            }
            let mut pairs = found.iter().zip(wanted.values());
            pairs.find_map(|((key, found), wanted)| harm(found, wanted, &format!("{at}.{key}")))
        }
        (Value::Array(found), Value::Array(wanted)) if found.len() == wanted.len() => {
            let mut pairs = found.iter().zip(wanted).enumerate();
            pairs.find_map(|(n, (found, wanted))| harm(found, wanted, &format!("{at}.{n}")))
        }
        (Value::String(_), Value::String(wanted)) if is_theirs(wanted, at) => None,
        _ => (found != wanted).then(|| format!("{at} is {found}, expected {wanted}")),
    }
}

/// Whether a text has a place for what users write.
fn is_theirs(wanted: &str, at: &str) -> bool {
    let is_query = QUERIES
        .iter()
        .any(|query| at.ends_with(&format!(".{query}")));
    wanted.contains(HARMLESS) && !is_query
}

/// Field and payload of everything that is tried.
fn attempts() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    FIELDS.into_iter().flat_map(|(field, template)| {
        PAYLOADS
            .into_iter()
            .map(move |payload| (field, template, payload))
    })
}

#[test]
fn what_users_write_changes_nothing_else() {
    let mut tried = 0;
    let harmed: Vec<_> = attempts()
        .filter_map(|(field, template, payload)| {
            tried += 1;
            let harmless = becomes(&service(field, &template.replace('@', HARMLESS)));
            let found = becomes(&service(field, &template.replace('@', payload)));
            harm(&found, &harmless, "").map(|harm| format!("{field}: {payload:?}: {harm}"))
        })
        .collect();
    assert!(harmed.is_empty(), "{}", harmed.join("\n"));
    assert!(tried >= 200);
}

/// Go templates in what Prometheus expands, but for those of ours.
#[test]
fn no_template_of_theirs_is_expanded() {
    for (field, template, payload) in
        attempts().filter(|(field, ..)| field.contains("/alerts/labels/team"))
    {
        let found = becomes(&service(field, &template.replace('@', payload)));
        let rules = rule_groups(&found)
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap());
        for rule in rules.filter(|rule| rule["alert"].is_string()) {
            let label = rule["labels"]["team"].as_str().unwrap();
            let rest = label.replace("{{`{{`}}", "");
            assert!(!rest.contains("{{"), "{payload:?} becomes {label:?}");
        }
    }
}

#[test]
#[ignore = "needs promtool: .ci/test rules"]
fn prometheus_takes_all_of_them() {
    let mut groups = Vec::new();
    for (at, (field, template, payload)) in attempts().enumerate() {
        let found = becomes(&service(field, &template.replace('@', payload)));
        for group in rule_groups(&found) {
            let mut group = group.clone();
            group["name"] = json!(format!("{}-{at}", group["name"]));
            groups.push(group);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let text = json!({"groups": groups}).to_string();
    fs::write(directory.path().join("rules.json"), text).unwrap();
    let check = ["check", "rules", "--lint=none", "rules.json"];
    promtool(&check, directory.path());
}
