//! Disk → bytes → JSON, never more of either than the limits.

use super::LoadError;
use crate::memory_limit::memory_limit;
use contract::labels::LoadFailure;
use flate2::bufread::GzDecoder;
use rustix::fs::OFlags;
use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Bytes of a file as stored.
pub const LARGEST_PACKED: u64 = 256 * 1024 * 1024;
/// Bytes of a file once unpacked.
pub const LARGEST_UNPACKED: u64 = 1024 * 1024 * 1024;
/// Bytes that any file may unpack to, however tightly it is packed. More must come from a file that
/// is not too small for it: forests shrink to a tenth, a bomb to a thousandth.
const SMALL_UNPACKED: u64 = 4 * 1024 * 1024;
const MOST_EXPANSION: u64 = 32;

/// Without it, opening a pipe would wait for a writer.
const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a regular file. It is opened in a way that does not wait: a pipe may never have a writer.
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
    let open = File::options().read(true).custom_flags(NONBLOCK).open(path);
    let file = open.map_err(failed)?;
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
    if bytes.starts_with(&GZIP_MAGIC) {
        let most = most_unpacked(bytes.len() as u64, memory_limit());
        return unpack_within(bytes, most).map(Cow::from);
    }
    Ok(bytes.into())
}

/// Never more than half of the memory: what is served meanwhile needs some, too.
fn most_unpacked(packed: u64, memory: Option<u64>) -> u64 {
    let most = (packed * MOST_EXPANSION).clamp(SMALL_UNPACKED, LARGEST_UNPACKED);
    memory.map_or(most, |memory| most.min(memory / 2))
}

/// Unpacks one member and expects no others: a file could consist of millions of empty ones, which
/// no limit on what comes out of them would stop.
fn unpack_within(bytes: &[u8], limit: u64) -> Result<Vec<u8>, LoadError> {
    let (mut rest, mut json) = (bytes, Vec::new());
    GzDecoder::new(&mut rest)
        .take(limit + 1)
        .read_to_end(&mut json)
        .map_err(|error| LoadError::corrupt(format!("failed to unpack the file: {error}")))?;
    if json.len() as u64 > limit {
        let message = format!("{} bytes unpack to more than {limit}", bytes.len());
        return Err(LoadError::new(LoadFailure::TooLarge, message));
    }
    if !rest.is_empty() {
        let message = format!("{} bytes follow the packed ones", rest.len());
        return Err(LoadError::corrupt(message));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rstest::rstest;
    use std::io::Write;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn unpacking_stops_at_the_limit() {
        let bomb = pack(&[b' '; 4096]);
        assert!(bomb.len() < 100);
        assert_eq!(unpack_within(&bomb, 4096).unwrap().len(), 4096);
        let error = unpack_within(&bomb, 4095).unwrap_err();
        assert_eq!(error.reason, LoadFailure::TooLarge);
    }

    #[rstest]
    #[case(1, None, SMALL_UNPACKED)]
    #[case(1_000_000, None, 32_000_000)]
    #[case(LARGEST_PACKED, None, LARGEST_UNPACKED)]
    #[case(LARGEST_PACKED, Some(64 << 20), 32 << 20)]
    fn a_small_file_may_not_unpack_to_as_much_as_a_large_one(
        #[case] packed: u64,
        #[case] memory: Option<u64>,
        #[case] most: u64,
    ) {
        assert_eq!(most_unpacked(packed, memory), most);
    }

    #[test]
    fn nothing_may_follow_what_is_packed() {
        for more in [pack(b"").as_slice(), b"\0"] {
            let error = unpack(&[&pack(b"{}"), more].concat()).unwrap_err();
            assert_eq!(error.reason, LoadFailure::Corrupt);
            let message = format!("{} bytes follow the packed ones", more.len());
            assert_eq!(error.message, message);
        }
    }
}
