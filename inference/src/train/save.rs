//! Model file → bytes → disk, so that a reader sees the old file or the new one, never half of one.

use crate::artifact::ModelFile;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The model cannot be put into JSON.
    #[error("failed to encode the model")]
    Encode(#[from] serde_json::Error),
    /// A folder, a device or the like, which a file must not replace.
    #[error("{path} is not a regular file: the path of a new or existing one is expected")]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The disk.
    #[error("failed to write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The bytes of a model file: one line of JSON; gzip if `gzip`. The same model gives the same bytes.
///
/// # Errors
/// [`SaveError::Encode`]
pub fn encode(file: &ModelFile, gzip: bool) -> Result<Vec<u8>, SaveError> {
    let mut json = serde_json::to_vec(file)?;
    json.push(b'\n');
    if !gzip {
        return Ok(json);
    }
    let mut packer = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::best());
    let packed = packer.write_all(&json).and_then(|()| packer.finish());
    packed.map_err(|error| SaveError::Encode(serde_json::Error::io(error)))
}

/// Whether [`write`] can put a file at `path`; what is there stays as it is.
///
/// # Errors
/// [`SaveError::NotAFile`] or [`SaveError::Write`]
pub fn check(path: &Path) -> Result<(), SaveError> {
    let path = path.to_owned();
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return Err(SaveError::NotAFile { path });
    }
    let temporary = temporary(&path);
    let tried = File::create(&temporary).and_then(|_| fs::remove_file(&temporary));
    tried.map_err(|source| SaveError::Write { path, source })
}

/// Puts `bytes` at `path`, whole or not at all.
///
/// # Errors
/// [`SaveError::Write`]
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let temporary = temporary(path);
    let written = put(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // Whether or not it was made, the error to tell is the first one.
        let _ = fs::remove_file(&temporary);
        SaveError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_a_destination_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "old").unwrap();
        assert!(check(&old).is_ok() && check(&new).is_ok());
        assert_eq!(fs::read(&old).unwrap(), b"old");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_is_told_once_with_its_cause() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/model.json");
        let error = anyhow::Error::new(write(&path, b"model").unwrap_err());
        let expected = format!(
            "failed to write {}: No such file or directory (os error 2)",
            path.display()
        );
        assert_eq!(format!("{error:#}"), expected);
    }
}
