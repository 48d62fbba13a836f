//! Disk → bytes → JSON, never more of either than the limits.

use super::LoadError;
use contract::labels::LoadFailure;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a file as stored.
pub const LARGEST_PACKED: u64 = 256 * 1024 * 1024;
/// Bytes of a file once unpacked.
pub const LARGEST_UNPACKED: u64 = 1024 * 1024 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a regular file. Its kind is looked at before it is opened: opening a pipe would wait for
/// a writer for ever.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => LoadFailure::NotFound,
            _ => LoadFailure::Unreadable,
        };
        LoadError::new(reason, format!("{}: {error}", path.display()))
    };
    if path.as_os_str().is_empty() {
        let message = "the path of the model file is empty; leave it out for the built-in model";
        return Err(LoadError::new(LoadFailure::NotFound, message));
    }
    regular(path, &fs::metadata(path).map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    regular(path, &metadata)?;
    check_packed_size(metadata.len())?;
    let mut bytes = Vec::new();
    file.take(LARGEST_PACKED + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn regular(path: &Path, metadata: &Metadata) -> Result<(), LoadError> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(LoadError::new(
        LoadFailure::Unreadable,
        format!("{} is not a regular file", path.display()),
    ))
}

pub(super) fn check_packed_size(size: u64) -> Result<(), LoadError> {
    if size <= LARGEST_PACKED {
        return Ok(());
    }
    Err(LoadError::new(
        LoadFailure::TooLarge,
        format!("the file has {size} bytes, at most {LARGEST_PACKED} are read"),
    ))
}

/// The JSON text, unpacked if it starts as gzip does.
pub(super) fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    unpack_within(bytes, LARGEST_UNPACKED)
}

fn unpack_within(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, LoadError> {
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes.into());
    }
    let mut json = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit + 1)
        .read_to_end(&mut json)
        .map_err(|error| LoadError::corrupt(format!("failed to unpack the file: {error}")))?;
    if json.len() as u64 > limit {
        return Err(LoadError::new(
            LoadFailure::TooLarge,
            format!("the file unpacks to more than {limit} bytes"),
        ));
    }
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn unpacking_stops_at_the_limit() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&[b' '; 4096]).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(bomb.len() < 100);
        assert_eq!(unpack_within(&bomb, 4096).unwrap().len(), 4096);
        let error = unpack_within(&bomb, 4095).unwrap_err();
        assert_eq!(error.reason, LoadFailure::TooLarge);
    }
}
