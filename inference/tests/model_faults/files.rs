//! What may be found at the path of a model, besides a model.

use crate::AT_ONCE;
use contract::config::{ModelConfig, ModelSource};
use contract::labels::LoadFailure;
use flate2::Compression;
use flate2::write::GzEncoder;
use inference::load::{LARGEST_PACKED, LARGEST_UNPACKED, load};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// A folder with one of each.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        symlink(folder.path("absent"), folder.path("dangling")).unwrap();
        symlink(folder.path("circle"), folder.path("circle")).unwrap();
        let pipe = Command::new("mkfifo").arg(folder.path("pipe")).status();
        assert!(pipe.unwrap().success());
        folder.sparse("sparse", 10 << 30);
        folder.sparse("just too large", LARGEST_PACKED + 1);
        std::fs::write(folder.path("bomb"), bomb()).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sparse(&self, name: &str, size: u64) {
        let file = File::create(self.path(name)).unwrap();
        file.set_len(size).unwrap();
    }
}

/// About a megabyte that unpacks to more than is ever read: one mebibyte of spaces packed, so often.
fn bomb() -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&[b' '; 1 << 20]).unwrap();
    packer.flush().unwrap();
    let start = packer.get_ref().clone();
    packer.write_all(&[b' '; 1 << 20]).unwrap();
    packer.flush().unwrap();
    let more = &packer.get_ref()[start.len()..];
    let times = (LARGEST_UNPACKED >> 20) as usize;
    [&start, more.repeat(times).as_slice()].concat()
}

fn refused(path: &Path) -> LoadFailure {
    let config = ModelConfig {
        source: ModelSource::File(path.display().to_string()),
        ..ModelConfig::default()
    };
    let begin = Instant::now();
    let error = load(&config).unwrap_err();
    assert!(begin.elapsed() < AT_ONCE, "{path:?}: {:?}", begin.elapsed());
    error.reason
}

#[test]
fn only_a_regular_file_of_bounded_size_is_read() {
    let folder = Folder::new();
    for (name, reason) in [
        ("absent", LoadFailure::NotFound),
        ("absent/model.json", LoadFailure::NotFound),
        ("dangling", LoadFailure::NotFound),
        ("circle", LoadFailure::Unreadable),
        ("", LoadFailure::Unreadable),
        ("pipe", LoadFailure::Unreadable),
        ("pipe/model.json", LoadFailure::Unreadable),
        ("nul\0", LoadFailure::Unreadable),
        ("sparse", LoadFailure::TooLarge),
        ("just too large", LoadFailure::TooLarge),
        ("bomb", LoadFailure::TooLarge),
    ] {
        assert_eq!(refused(&folder.path(name)), reason, "{name}");
    }
}

/// Devices never end; memory says that it is a regular file, and that it is empty.
#[test]
fn devices_and_files_that_cannot_be_read_are_unreadable() {
    for path in ["/dev/zero", "/dev/null", "/dev/full", "/proc/self/mem"] {
        assert_eq!(refused(path.as_ref()), LoadFailure::Unreadable, "{path}");
    }
}

#[test]
fn a_file_without_permission_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, "{}").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Root may read everything.
    let expected = match File::open(&path) {
        Ok(_) => LoadFailure::Corrupt,
        Err(_) => LoadFailure::Unreadable,
    };
    assert_eq!(refused(&path), expected);
}
