//! Prediction ids: each carries version, prediction and time in itself, so that any replica can
//! score feedback without having kept anything.
//!
//! ```text
//! byte   0       1..5         5..13        13..19       19..23    23..26    26..30
//!        format  crc32 of     prediction   Unix time,   process   counter   crc32 of
//!                name, 0 and  (bits)       ms           (random)            the rest
//!                version
//! ```
//! Integers are big-endian; the prediction is a class index or the bits of a 64-bit float. The 30
//! bytes become 40 characters of base64url.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::labels::FeedbackRejection;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Age from which feedback is refused.
pub const EXPIRY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Characters of an id.
pub const LENGTH: usize = 40;

const BYTES: usize = 30;
const FORMAT: u8 = 1;
const CHECKSUM_AT: usize = 26;

/// An id as text.
pub type Text = [u8; LENGTH];

/// Makes and reads the ids of one model version.
#[derive(Debug)]
pub struct PredictionIds {
    version: [u8; 4],
    process: [u8; 4],
    counter: AtomicU32,
}

/// What an id says about the row that it was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Class index, or the bits of the predicted value.
    pub prediction: u64,
    /// Time since the prediction; zero if the clock of this process is behind.
    pub age: Duration,
}

impl PredictionIds {
    /// Ids for predictions of `version` of the model `name`.
    pub fn new(name: &str, version: &str) -> Self {
        // RandomState is seeded by the operating system: no two processes share it.
        let process = RandomState::new().hash_one(version) as u32;
        let whole = format!("{name}\0{version}");
        Self {
            version: crc32fast::hash(whole.as_bytes()).to_be_bytes(),
            process: process.to_be_bytes(),
            counter: AtomicU32::new(0),
        }
    }

    /// A new id for `prediction`, made at `time`.
    pub fn issue(&self, prediction: u64, time: SystemTime) -> Text {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; BYTES];
        bytes[0] = FORMAT;
        bytes[1..5].copy_from_slice(&self.version);
        bytes[5..13].copy_from_slice(&prediction.to_be_bytes());
        bytes[13..19].copy_from_slice(&millis(time).to_be_bytes()[2..]);
        bytes[19..23].copy_from_slice(&self.process);
        bytes[23..26].copy_from_slice(&count.to_be_bytes()[1..]);
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
        encode(&bytes)
    }

    /// What `id` says, if this model version made it less than [`EXPIRY`] before `now`.
    ///
    /// # Errors
    /// Malformed, Checksum, UnknownVersion or Expired.
    pub fn read(&self, id: &str, now: SystemTime) -> Result<Claim, FeedbackRejection> {
        let bytes = decode(id).ok_or(FeedbackRejection::Malformed)?;
        let (content, checksum) = bytes.split_at(CHECKSUM_AT);
        if crc32fast::hash(content).to_be_bytes() != *checksum {
            return Err(FeedbackRejection::Checksum);
        }
        if content[0] != FORMAT {
            return Err(FeedbackRejection::Malformed);
        }
        if content[1..5] != self.version {
            return Err(FeedbackRejection::UnknownVersion);
        }
        let made = Duration::from_millis(integer(&content[13..19]));
        let age = now
            .duration_since(UNIX_EPOCH + made)
            .unwrap_or(Duration::ZERO);
        if age >= EXPIRY {
            return Err(FeedbackRejection::Expired);
        }
        let prediction = integer(&content[5..13]);
        Ok(Claim { prediction, age })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

fn encode(bytes: &[u8; BYTES]) -> Text {
    let mut text = [b'A'; LENGTH];
    // 30 bytes always make 40 characters.
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    debug_assert!(matches!(written, Ok(LENGTH)));
    text
}

fn decode(id: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    if id.len() != LENGTH {
        return None;
    }
    let read = URL_SAFE_NO_PAD.decode_slice(id, &mut bytes).ok()?;
    (read == BYTES).then_some(bytes)
}

fn integer(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn text(id: Text) -> String {
        String::from_utf8(id.to_vec()).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn an_id_gives_back_prediction_and_age() {
        let ids = PredictionIds::new("m", "1");
        for prediction in [0, 1, u64::MAX, (-3.25f64).to_bits()] {
            let id = text(ids.issue(prediction, at(1_000)));
            let claim = ids.read(&id, at(1_060)).unwrap();
            let age = Duration::from_secs(60);
            assert_eq!(claim, Claim { prediction, age });
        }
    }

    #[test]
    fn ids_differ_within_and_between_processes() {
        let (one, other) = (PredictionIds::new("m", "1"), PredictionIds::new("m", "1"));
        let mut ids = vec![one.issue(1, NOW), one.issue(1, NOW), other.issue(1, NOW)];
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let ids = PredictionIds::new("m", "1");
        let id = text(ids.issue(1, NOW));
        for at in 0..LENGTH {
            let mut altered = id.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let verdict = ids.read(&String::from_utf8(altered).unwrap(), NOW);
            assert_eq!(verdict, Err(FeedbackRejection::Checksum), "character {at}");
        }
    }

    #[test]
    fn what_is_no_id_is_malformed() {
        let ids = PredictionIds::new("m", "1");
        for id in ["", "abc", &"é".repeat(20), &"=".repeat(40), &"A".repeat(41)] {
            assert_eq!(ids.read(id, NOW), Err(FeedbackRejection::Malformed), "{id}");
        }
    }

    #[test]
    fn ids_of_another_version_are_refused() {
        let id = text(PredictionIds::new("m", "1").issue(1, NOW));
        let verdict = PredictionIds::new("m", "2").read(&id, NOW);
        assert_eq!(verdict, Err(FeedbackRejection::UnknownVersion));
    }

    #[test]
    fn ids_expire_after_thirty_days_and_may_come_from_a_clock_ahead() {
        let ids = PredictionIds::new("m", "1");
        let id = text(ids.issue(1, at(100)));
        let edge = at(100) + EXPIRY;
        assert!(ids.read(&id, edge - Duration::from_millis(1)).is_ok());
        assert_eq!(ids.read(&id, edge), Err(FeedbackRejection::Expired));
        assert_eq!(ids.read(&id, at(0)).unwrap().age, Duration::ZERO);
    }
}
