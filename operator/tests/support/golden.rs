//! What several test binaries share.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Fails unless the file holds `text`; with UPDATE_GOLDEN set, makes it hold it.
pub(crate) fn assert_golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let line = found
        .lines()
        .zip(text.lines())
        .position(|(old, new)| old != new);
    assert!(
        found == text,
        "{} is stale from line {}: run `make gen` and look at the difference",
        path.display(),
        line.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1
    );
}
