//! kubectl, and waiting.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// kubectl; Err is what it printed on failure.
pub(crate) fn kubectl(arguments: &[&str], stdin: Option<&str>) -> Result<String, String> {
    let mut process = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl is not on the PATH: run the tests with make");
    process
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.unwrap_or_default().as_bytes())
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// An object, if it exists.
pub(crate) fn get(namespace: &str, kind: &str, name: &str) -> Option<Value> {
    let arguments = [
        "--namespace",
        namespace,
        "get",
        kind,
        name,
        "-o",
        "json",
        "--ignore-not-found",
    ];
    serde_json::from_str(&kubectl(&arguments, None).ok()?).ok()
}

/// Tries until `attempt` succeeds; fails with its last error when the time is over.
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl FnMut() -> Result<T, Option<Value>>,
) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(last) if start.elapsed() > within => {
                let last = last.map_or_else(|| "nothing".to_owned(), |last| format!("{last:#}"));
                panic!("waited in vain for {what}; there is:\n{last}");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(150)),
        }
    }
}

/// A condition of a ModelService.
pub(crate) fn condition<'a>(ms: &'a Value, type_: &str) -> Option<&'a Value> {
    ms["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == type_)
}
