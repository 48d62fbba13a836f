//! The model file changes under a running server.
// Clippy takes what is no test itself for production code.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::process::{Process, post};

/// A server whose model file can be replaced.
struct Fixture {
    folder: tempfile::TempDir,
    server: Process,
}

const REFUSED: &str = "model_load_failures_total{reason=\"Corrupt\"}";

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        fs::write(&path, model("one")).unwrap();
        let server = Process::start(&["--model", path.to_str().unwrap()]);
        Self { folder, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.json")
    }

    /// As a careful writer does it: nobody sees a half of the file.
    fn replace(&self, bytes: &[u8]) {
        let aside = self.folder.path().join("aside");
        fs::write(&aside, bytes).unwrap();
        fs::rename(aside, self.path()).unwrap();
    }

    fn await_version(&self, version: &str) {
        let begin = Instant::now();
        while self.version() != version {
            assert!(begin.elapsed() < Duration::from_secs(20), "never {version}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn version(&self) -> String {
        let answer = self.server.talk(&post("/predict", support::ROW));
        let (_, rest) = answer.split_once("\"model_version\":\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }
}

/// The built-in model under another version.
fn model(version: &str) -> Vec<u8> {
    renamed(version, "diabetes")
}

/// The same under another name.
fn renamed(version: &str, name: &str) -> Vec<u8> {
    let packed = inference::load::builtin(contract::config::Builtin::Diabetes);
    let unpacked = flate2::read::GzDecoder::new(packed);
    let mut json: serde_json::Value = serde_json::from_reader(unpacked).unwrap();
    json["manifest"]["version"] = version.into();
    json["manifest"]["name"] = name.into();
    serde_json::to_vec(&json).unwrap()
}

fn info(server: &Process) -> bool {
    let text = server.talk(&support::process::get("/metrics"));
    text.contains("model_feature_bin_total{bin=\"00\",feature=\"Age\",model_version=\"two\"}")
        && !text.contains("model_version=\"one\"")
}

#[test]
fn a_hangup_reloads_and_the_new_model_brings_its_own_series() {
    let fixture = Fixture::new();
    assert_eq!(fixture.version(), "one");
    fs::write(fixture.path(), model("two")).unwrap();
    fixture.server.signal("-HUP");
    fixture.await_version("two");
    assert!(info(&fixture.server));
}

#[test]
fn a_changed_file_reloads_by_itself() {
    let fixture = Fixture::new();
    fixture.replace(&model("two"));
    fixture.await_version("two");
}

#[test]
fn another_model_of_the_same_version_is_told_apart() {
    let fixture = Fixture::new();
    let mut other = model("one");
    other.push(b'\n');
    fixture.replace(&other);
    let begin = Instant::now();
    while fixture.version() == "one" {
        assert!(begin.elapsed() < Duration::from_secs(20), "not replaced");
        std::thread::sleep(Duration::from_millis(50));
    }
    let version = fixture.version();
    assert!(
        version.starts_with("one-") && version.len() == 12,
        "{version}"
    );
    fixture.replace(&model("two"));
    fixture.await_version("two");
}

#[test]
fn a_model_of_another_name_is_found_where_the_one_before_was() {
    let fixture = Fixture::new();
    fixture.replace(&renamed("two", "another"));
    fixture.await_version("two");
    let ready = support::process::get("/v2/models/diabetes/ready");
    let answer = fixture.server.talk(&ready);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    fixture.server.await_log("the model keeps its name");
}

#[test]
fn a_refused_file_changes_nothing_but_a_counter_and_a_good_one_heals() {
    let fixture = Fixture::new();
    fixture.replace(b"{}");
    assert_eq!(fixture.server.metric(REFUSED, 1.0), 1.0);
    assert_eq!(fixture.version(), "one");
    assert_eq!(fixture.server.metric("model_loaded", 1.0), 1.0);
    fs::remove_file(fixture.path()).unwrap();
    fixture.server.signal("-HUP");
    let missing = "model_load_failures_total{reason=\"NotFound\"}";
    assert_eq!(fixture.server.metric(missing, 1.0), 1.0);
    assert_eq!(fixture.version(), "one");
    fixture.replace(&model("two"));
    fixture.await_version("two");
}
