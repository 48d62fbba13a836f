//! Prometheus' own judge of rules.

use std::path::Path;
use std::process::Command;

/// Runs promtool, which `make test` puts on the PATH.
pub(crate) fn promtool(arguments: &[&str], directory: &Path) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("promtool is not on the PATH: run the tests with `make test`");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}:\n{text}");
}
