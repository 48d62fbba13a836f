//! The audit log of the control plane under test: what the API server was asked, and by whom.

use crate::installed::directory;
use serde_json::Value;

/// All requests that have ended, but for a line that is being written.
pub(crate) fn entries() -> Vec<Value> {
    let log = std::fs::read_to_string(directory().join("audit.log")).unwrap();
    let lines = log.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Whether a request was to change something.
pub(crate) fn is_write(entry: &Value) -> bool {
    let verb = entry["verb"].as_str().unwrap_or_default();
    !["get", "list", "watch"].contains(&verb)
}

/// Whether it was about a lease, which is renewed whatever happens.
pub(crate) fn is_about_a_lease(entry: &Value) -> bool {
    entry["objectRef"]["resource"] == "leases"
}

/// What the log calls the token of whoever asked.
pub(crate) fn credential(entry: &Value) -> &str {
    let id = &entry["user"]["extra"]["authentication.kubernetes.io/credential-id"][0];
    id.as_str().unwrap_or_default()
}
