//! Specs that pass the schema and cannot work, each on a service that runs: what is wrong is said, what
//! ran before loses no request, and turning back heals.

use crate::cluster::{Cluster, repository, run};
use crate::load::Load;
use crate::served::rows;
use crate::sources::train;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

/// Services on which something is tried at the same time.
const LANES: usize = 5;
const RATE: &[&str] = &["--rate", "5/s"];

/// A spec and the reason that people read.
struct Mistake {
    spec: String,
    reason: String,
}

const BUILTIN: &str = "{builtin: {name: diabetes}}";

/// What is all well.
fn sound() -> String {
    spec(BUILTIN, "")
}

fn spec(source: &str, rest: &str) -> String {
    let resources = "resources: {requests: {cpu: 20m, memory: 64Mi}}";
    let rest = match rest.contains("resources: ") {
        true => rest.to_owned(),
        false => format!("{resources}, {rest}"),
    };
    format!("{{model: {{source: {source}}}, {rest}}}")
}

fn with_sha256(source: &str) -> String {
    let sha256 = "a".repeat(64);
    spec(source, "").replacen(
        "}, resources",
        &format!(", sha256: {sha256}}}, resources"),
        1,
    )
}

/// Beside the model.
#[rustfmt::skip]
const SPECS: [(&str, &str); 13] = [
    ("resources: {requests: {cpu: 2}, limits: {cpu: 1}}", "InvalidSpec"),
    ("resources: {requests: {memory: 1Gi}, limits: {memory: 64Mi}}", "InvalidSpec"),
    ("resources: {requests: {cpu: 1000, memory: 64Mi}}", "Unschedulable"),
    ("resources: {requests: {cpu: 20m, memory: 4Ti}}", "Unschedulable"),
    ("resources: {requests: {cpu: 20m, memory: 64Mi}, limits: {cpu: 10m}}", "InvalidSpec"),
    ("autoscaling: {minReplicas: 1, maxReplicas: 2}, resources: {requests: {memory: 64Mi}}", "InvalidSpec"),
    ("monitoring: {businessMetrics: [{name: api_requests_total, type: counter}]}", "InvalidSpec"),
    ("monitoring: {businessMetrics: [{name: a_total, type: counter}, {name: a_total, type: counter}]}", "InvalidSpec"),
    ("monitoring: {tracing: {endpoint: 'http://collector:0'}}", "InvalidSpec"),
    ("server: {apiKeys: {secretRef: {name: nobody}}}", "InvalidApiKeys"),
    ("server: {apiKeys: {secretRef: {name: clients, key: nothing}}}", "InvalidApiKeys"),
    ("server: {apiKeys: {secretRef: {name: clients, key: malformed}}}", "InvalidApiKeys"),
    ("server: {apiKeys: {secretRef: {name: clients, key: doubled}}}", "InvalidApiKeys"),
];

/// Where no model comes from. `SELF` is a ModelService that serves.
#[rustfmt::skip]
const SOURCES: [(&str, &str); 20] = [
    (BUILTIN, "ChecksumMismatch"),
    ("{configMap: {name: nothing, key: a}}", "NotFound"),
    ("{configMap: {name: bad, key: nothing}}", "NotFound"),
    ("{configMap: {name: bad, key: sound.json}}", "ChecksumMismatch"),
    ("{persistentVolumeClaim: {claimName: nothing, path: a}}", "Unschedulable"),
    ("{http: {url: 'http://169.254.169.254/latest/meta-data'}}", "Forbidden"),
    ("{http: {url: 'http://0xa9fea9fe/latest/meta-data'}}", "Forbidden"),
    ("{http: {url: 'http://100.100.100.200/latest'}}", "Forbidden"),
    ("{http: {url: 'http://0.0.0.0/'}}", "Forbidden"),
    ("{http: {url: 'http://[fe80::1]/'}}", "Forbidden"),
    ("{http: {url: 'http://SELF:8080/nothing'}}", "NotFound"),
    ("{http: {url: 'http://SELF:8080/openapi.json'}}", "ChecksumMismatch"),
    ("{http: {url: 'http://SELF:8080/openapi.json', secretRef: {name: nobody}}}", "Forbidden"),
    ("{http: {url: 'http://127.0.0.1:1/a'}}", "Unreachable"),
    ("{http: {url: 'http://nobody.nowhere.svc/a'}}", "Unreachable"),
    ("{s3: {bucket: models, key: a, endpoint: 'http://127.0.0.1:1'}}", "Unreachable"),
    ("{s3: {bucket: models, key: a, endpoint: 'http://169.254.169.254'}}", "Forbidden"),
    ("{s3: {bucket: models, key: a, endpoint: 'http://SELF:8080', secretRef: {name: nobody}}}", "Forbidden"),
    ("{mlflow: {trackingUri: 'http://SELF:8080', model: a, version: 1}}", "NotFound"),
    ("{mlflow: {trackingUri: 'http://127.0.0.1:1', model: a, alias: a}}", "Unreachable"),
];

/// A place in a model file, and what is put there.
#[rustfmt::skip]
const DAMAGES: [(&str, &str); 24] = [
    ("/format", "2"),
    ("/format", "\"1\""),
    ("/manifest", "{}"),
    ("/manifest/name", "\"no name\""),
    ("/manifest/task", "\"regression\""),
    ("/manifest/task", "\"clustering\""),
    ("/manifest/algorithm", "\"decision-tree\""),
    ("/manifest/algorithm", "\"gradient-boosting\""),
    ("/manifest/features", "[]"),
    ("/manifest/features/0/kind", "\"text\""),
    ("/manifest/features/0/name", "\"@prediction\""),
    ("/manifest/features/0/name", "\"BMI\""),
    ("/manifest/features/0/min", "1e300"),
    ("/manifest/classes", "[\"0\"]"),
    ("/manifest/classes", "[\"0\", \"0\"]"),
    ("/manifest/training/rows", "-1"),
    ("/manifest/reference/features", "[]"),
    ("/manifest/reference/features/0/edges", "[2.0, 1.0]"),
    ("/manifest/reference/prediction/shares", "[1.0]"),
    ("/golden/0/input", "[1.0]"),
    ("/golden/0/output", "{\"value\": 1.0}"),
    ("/scaling", "{\"mean\": [0.0], \"deviation\": [1.0]}"),
    ("/scaling/deviation/0", "0.0"),
    ("/estimator", "{}"),
];

/// Files that are no models, in a folder; the name and the reason that the program itself gives.
fn bad_files(folder: &Path, sound: &Path) -> Vec<(String, String)> {
    let text = inference_json(sound);
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("sound.json", text.as_bytes());
    let mut names = Vec::new();
    for (number, (pointer, replacement)) in DAMAGES.iter().enumerate() {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let place = document.pointer_mut(pointer).unwrap();
        *place = serde_json::from_str(replacement).unwrap();
        names.push(format!("damaged-{number}.json"));
        write(&names[number], document.to_string().as_bytes());
    }
    let (packed, nonsense) = (packed(text.as_bytes()), packed(b"nonsense"));
    let raw: [(&str, &[u8]); 8] = [
        ("empty.json", b""),
        ("text.json", b"hello"),
        ("list.json", b"[]"),
        ("half.json", &text.as_bytes()[..text.len() / 2]),
        ("twice.json", &text.repeat(2).into_bytes()),
        ("half.json.gz", &packed[..packed.len() / 2]),
        ("nonsense.json.gz", &nonsense),
        ("magic.json.gz", b"\x1f\x8b"),
    ];
    for (name, bytes) in raw {
        write(name, bytes);
        names.push(name.to_owned());
    }
    let reason = |name: String| {
        let reason = refusal(&folder.join(&name));
        (name, reason)
    };
    names.into_iter().map(reason).collect()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inference_json(model: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(model).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    text
}

/// Why the program refuses a file when it is asked by hand.
fn refusal(file: &Path) -> String {
    let program = std::env::var("INFERENCE").expect("run the tests with `make test-end-to-end`");
    let data = repository("examples/data/diabetes.csv");
    let arguments = [
        "predict",
        "--model",
        file.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ];
    let (success, text) = run(&program, &arguments);
    assert!(!success, "{file:?} is a model");
    let words = text.split([' ', ':', '\n']);
    let known = contract::labels::LoadFailure::ALL;
    let is_reason = |word: &&str| known.iter().any(|reason| reason.as_str() == *word);
    let mut reasons = words.filter(is_reason);
    reasons
        .next()
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

fn mistakes(files: Vec<(String, String)>, itself: &str) -> VecDeque<Mistake> {
    let beside = SPECS.iter().map(|(rest, reason)| Mistake {
        spec: spec(BUILTIN, rest),
        reason: (*reason).to_owned(),
    });
    let sources = SOURCES.iter().map(|(source, reason)| Mistake {
        spec: with_sha256(&source.replace("SELF", itself)),
        reason: (*reason).to_owned(),
    });
    let files = files.into_iter().map(|(name, reason)| Mistake {
        spec: spec(&format!("{{configMap: {{name: bad, key: {name}}}}}"), ""),
        reason,
    });
    beside.chain(sources).chain(files).collect()
}

/// Makes mistakes on the service `name` until there are none left.
fn live(cluster: &Cluster, name: &str, mistakes: &Mutex<VecDeque<Mistake>>) {
    let row = &rows("diabetes.csv", "Outcome")[0];
    let next = || mistakes.lock().unwrap().pop_front();
    while let Some(Mistake { spec, reason }) = next() {
        cluster.serve(name, &spec);
        cluster.wait_condition(name, "Ready", "False", &reason);
        cluster
            .post(name, "/predict", row)
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
        cluster.serve(name, &sound());
        cluster.wait_ready(name);
    }
}

#[test]
#[ignore = "needs a cluster: make test-end-to-end"]
fn mistakes_are_named_while_the_old_pods_serve_and_turning_back_heals() {
    let cluster = Cluster::shared("e2e-mistakes");
    let folder = tempfile::tempdir().unwrap();
    let model = train(&folder, "diabetes.csv", "Outcome", "logistic-regression");
    let bad = tempfile::tempdir().unwrap();
    let files = bad_files(bad.path(), Path::new(&model));
    let from = format!("--from-file={}", bad.path().display());
    cluster
        .kubectl(&["create", "configmap", "bad", &from])
        .unwrap();
    let line = format!("a:{}", "b".repeat(64));
    let doubled = format!("--from-literal=doubled={line}\n{line}");
    let keys = [
        "create",
        "secret",
        "generic",
        "clients",
        "--from-literal=malformed=a",
        &doubled,
    ];
    cluster.kubectl(&keys).unwrap();
    let names: Vec<_> = (0..LANES).map(|lane| format!("model-{lane}")).collect();
    names.iter().for_each(|name| cluster.serve(name, &sound()));
    names.iter().for_each(|name| cluster.wait_ready(name));
    let mistakes = mistakes(files, &names[0]);
    let many = mistakes.len();
    let mistakes = Mutex::new(mistakes);
    let load = Load::start(&cluster, &names[0], RATE);
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| live(&cluster, name, &mistakes));
        }
    });
    let summary = load.stop();
    println!("\nB2: {many} mistakes: {summary}");
    assert_eq!(summary["accepted"], summary["requests"], "{summary}");
    assert!(many >= 60);
}
