//! Small files that hold secrets, and comparing without telling by the time how much was right.

use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _};
use subtle::{Choice, ConstantTimeEq as _};

/// Bytes that are read of a file of secrets.
const LARGEST: u64 = 1024 * 1024;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system says no.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: String,
        /// What it says.
        cause: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// Nobody writes so much by hand.
    #[error("{0} has more than {LARGEST} bytes")]
    TooLarge(String),
}

/// The content of a regular file. Its kind is looked at before it is opened: opening a pipe would
/// wait for a writer for ever.
///
/// # Errors
/// [`ReadError`].
pub fn read(path: &str) -> Result<Vec<u8>, ReadError> {
    let failed = |cause| ReadError::Io {
        path: path.to_owned(),
        cause,
    };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(ReadError::NotAFile(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    match read.map_err(failed)? as u64 {
        0..=LARGEST => Ok(bytes),
        _ => Err(ReadError::TooLarge(path.to_owned())),
    }
}

/// The sha256 of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of `secret`.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// From 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.chars().map(|char| char.to_digit(16));
        let digits: [u32; 64] = digits.collect::<Option<Vec<_>>>()?.try_into().ok()?;
        let byte = |at| (digits[2 * at] << 4 | digits[2 * at + 1]) as u8;
        Some(Self(std::array::from_fn(byte)))
    }

    /// As lower-case hex digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether both are the same; takes as long whatever they are.
    pub fn same(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_the_trip_through_hex_and_nothing_else_is_one() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_hex(), hex);
        assert_eq!(Digest::from_hex(hex), Some(Digest::of(b"abc")));
        assert_eq!(
            Digest::from_hex(&hex.to_uppercase()),
            Some(Digest::of(b"abc"))
        );
        let (long, short) = (format!("{hex}0"), &hex[1..]);
        for wrong in ["", "zz", short, &long, &format!("{}zz", &hex[2..])] {
            assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_small_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![b'x'; LARGEST as usize + 1]).unwrap();
        let said = |path: &str| read(path).unwrap_err().to_string();
        let folder = folder.path().to_str().unwrap();
        assert!(said(folder).ends_with("is not a regular file"));
        assert!(said(path.to_str().unwrap()).ends_with("has more than 1048576 bytes"));
        assert_eq!(
            said("/nowhere/keys"),
            "/nowhere/keys: No such file or directory (os error 2)"
        );
    }
}
