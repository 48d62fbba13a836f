//! One fault of each kind through the real program, as Kubernetes would see it.

use crate::AT_ONCE;
use crate::estimators::replaced;
use crate::files::Folder;
use crate::models::sample;
use contract::config::{Listen, ModelConfig, ModelSource, ServerConfig};
use contract::labels::LoadFailure::{self, *};
use inference::artifact::{Algorithm, Task};
use rstest::rstest;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Kilobytes of address space: less than a bomb unpacks to.
const MEMORY: u32 = 1 << 20;

/// What is left of a server that could not start.
struct End {
    status: ExitStatus,
    log: String,
    last_words: String,
}

/// Starts a server on `model` and waits for its end, which must come soon.
fn start(model: ModelConfig) -> End {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = ServerConfig {
        model,
        listen: Listen {
            http: "127.0.0.1:0".parse().unwrap(),
            ..Listen::default()
        },
        termination_log: Some(path("termination")),
        ..ServerConfig::default()
    };
    std::fs::write(path("config"), serde_json::to_vec(&config).unwrap()).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$@\""), "sh"])
        .args([
            env!("CARGO_BIN_EXE_inference"),
            "serve",
            "--config",
            &path("config"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = wait(&mut child);
    let mut log = String::new();
    child.stderr.unwrap().read_to_string(&mut log).unwrap();
    let last_words = std::fs::read_to_string(path("termination")).unwrap();
    End {
        status,
        log,
        last_words,
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    while begin.elapsed() < AT_ONCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("still running after {AT_ONCE:?}");
}

/// The reason is the last word, the log has one line with the same, and nothing panicked.
fn check(model: ModelConfig, reason: LoadFailure) {
    let end = start(model);
    assert_eq!(end.status.code(), Some(1), "{}", end.log);
    let (said, message) = end.last_words.split_once(": ").unwrap();
    assert_eq!(said, reason.as_str(), "{}", end.last_words);
    assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    assert_eq!(end.log.lines().count(), 1, "{}", end.log);
    let line: Value = serde_json::from_str(&end.log).unwrap();
    assert_eq!(line["message"], end.last_words);
    assert_eq!(line["level"], "ERROR");
}

fn at(path: &Path) -> ModelConfig {
    ModelConfig {
        source: ModelSource::File(path.display().to_string()),
        ..ModelConfig::default()
    }
}

#[rstest]
#[case("absent", NotFound)]
#[case("dangling", NotFound)]
#[case("", Unreadable)]
#[case("pipe", Unreadable)]
#[case("/dev/zero", Unreadable)]
#[case("/proc/self/mem", Unreadable)]
#[case("sparse", TooLarge)]
#[case("bomb", TooLarge)]
fn a_path_without_a_model_is_the_last_word(#[case] name: &str, #[case] reason: LoadFailure) {
    let folder = Folder::new();
    check(at(&folder.path(name)), reason);
}

#[rstest]
#[case::checksum("", "", ChecksumMismatch)]
#[case::format("/format", "2", Unsupported)]
#[case::algorithm("/manifest/algorithm", "\"oracle\"", Unsupported)]
#[case::newline("/manifest/algorithm", "\"or\\nacle\"", Unsupported)]
#[case::no_json("/format", "}", Corrupt)]
#[case::cycle("/estimator/nodes/1/true_child", "0", Corrupt)]
#[case::child_out_of_range("/estimator/nodes/0/true_child", "1000", Corrupt)]
#[case::feature_out_of_range("/estimator/nodes/0/split_feature", "3", Corrupt)]
#[case::nan_threshold("/estimator/nodes/0/split_value", "null", Corrupt)]
#[case::infinite_threshold("/estimator/nodes/0/split_value", "1e999", Corrupt)]
#[case::no_classes("/estimator/classes", "[]", Corrupt)]
#[case::golden_row("/golden/0/output/class/label", "0", SelfTestFailed)]
fn a_file_that_is_no_model_is_the_last_word(
    #[case] pointer: &str,
    #[case] text: &str,
    #[case] reason: LoadFailure,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    let mut model = at(&path);
    let document = sample(Task::Classification, Algorithm::DecisionTree).document();
    assert_ne!(document["golden"][0]["output"]["class"]["label"], 0);
    let json = if pointer.is_empty() {
        model.sha256 = Some("0".repeat(64));
        document.to_string()
    } else {
        replaced(document, pointer, text)
    };
    std::fs::write(&path, json).unwrap();
    check(model, reason);
}

#[test]
fn half_a_file_is_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json.gz");
    let packed = &sample(Task::Regression, Algorithm::Svm).packed;
    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    check(at(&path), Corrupt);
}
