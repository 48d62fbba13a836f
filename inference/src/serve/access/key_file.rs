//! The file of API keys, which holds hashes only: `KEY_ID:SHA256_HEX_OF_THE_KEY` on each line.

use crate::load::is_name;
use crate::serve::secret_file::{self, Digest, ReadError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::labels::UNKNOWN_KEY;
use contract::limits::MOST_KEYS;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHash {
    /// Who has the key, as metrics say it.
    pub id: String,
    /// Hash of the key.
    pub digest: Digest,
}

/// Why a file of API keys is refused. No message repeats a line: somebody may have put the key
/// itself there.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A line that cannot be used.
    #[error("{path}: line {line}: {problem}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// Nobody could ask for anything.
    #[error("{0} has no key")]
    Empty(String),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// No line of the format.
    #[error("expected KEY_ID:SHA256_HEX_OF_THE_KEY")]
    Format,
    /// No id that a label can carry.
    #[error("a key id has 1 to 128 letters, digits, '.', '_' or '-', and is not {UNKNOWN_KEY:?}")]
    Id,
    /// No sha256.
    #[error("expected the 64 hex digits of a sha256 after the key id")]
    Digest,
    /// An id for the second time.
    #[error("the key id is that of a line above")]
    RepeatedId,
    /// A key for the second time.
    #[error("the key is that of a line above")]
    RepeatedKey,
    /// A line too many.
    #[error("more than {MOST_KEYS} keys")]
    TooMany,
}

/// Reads the file at `path`.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &str) -> Result<Vec<KeyHash>, KeyFileError> {
    let bytes = secret_file::read(path)?;
    let keys = parse(&String::from_utf8_lossy(&bytes));
    let keys = keys.map_err(|(line, problem)| KeyFileError::Line {
        path: path.to_owned(),
        line,
        problem,
    })?;
    match keys.is_empty() {
        false => Ok(keys),
        true => Err(KeyFileError::Empty(path.to_owned())),
    }
}

/// The keys in `text`, or the first line that cannot be used, from 1.
fn parse(text: &str) -> Result<Vec<KeyHash>, (usize, LineProblem)> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse_line(line).and_then(|key| check_new(key, &keys));
        keys.push(key.map_err(|problem| (number, problem))?);
    }
    Ok(keys)
}

fn parse_line(line: &str) -> Result<KeyHash, LineProblem> {
    let (id, digest) = line.split_once(':').ok_or(LineProblem::Format)?;
    let digest = Digest::from_hex(digest.trim()).ok_or(LineProblem::Digest)?;
    match is_key_id(id) {
        true => Ok(KeyHash {
            id: id.to_owned(),
            digest,
        }),
        false => Err(LineProblem::Id),
    }
}

fn check_new(key: KeyHash, above: &[KeyHash]) -> Result<KeyHash, LineProblem> {
    if above.iter().any(|other| other.id == key.id) {
        return Err(LineProblem::RepeatedId);
    }
    if above.iter().any(|other| other.digest == key.digest) {
        return Err(LineProblem::RepeatedKey);
    }
    match above.len() < MOST_KEYS {
        true => Ok(key),
        false => Err(LineProblem::TooMany),
    }
}

/// Whether `text` can say whose key it is: it becomes the value of a label.
pub fn is_key_id(text: &str) -> bool {
    is_name(text) && text != UNKNOWN_KEY
}

/// A new key of 256 random bits.
///
/// # Errors
/// If the operating system has no randomness to give.
pub fn random_key() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

/// The line of `key`, which `id` is to have.
pub fn line(id: &str, key: &str) -> String {
    format!("{id}:{}", Digest::of(key.as_bytes()).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn lines_comments_and_blanks_are_read() {
        let (alice, bob) = (line("alice", "one"), line("bob.2", "two"));
        let text = format!("# who\n\n{alice}\r\n  {bob}  \n#{bob}");
        let keys = parse(&text).unwrap();
        let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["alice", "bob.2"]);
        assert_eq!(keys[1].digest, Digest::of(b"two"));
    }

    #[rstest]
    #[case("secret", LineProblem::Format)]
    #[case("alice:secret", LineProblem::Digest)]
    #[case("alice:", LineProblem::Digest)]
    #[case(&line("", "x"), LineProblem::Id)]
    #[case(&line("a b", "x"), LineProblem::Id)]
    #[case(&line("unknown", "x"), LineProblem::Id)]
    #[case(&line(&"a".repeat(129), "x"), LineProblem::Id)]
    #[case(&line("first", "x"), LineProblem::RepeatedId)]
    #[case(&line("other", "1"), LineProblem::RepeatedKey)]
    fn the_first_wrong_line_is_named(#[case] wrong: &str, #[case] problem: LineProblem) {
        let text = format!("{}\n\n{wrong}\nnonsense", line("first", "1"));
        assert_eq!(parse(&text), Err((3, problem)));
    }

    #[test]
    fn a_hundred_keys_are_enough() {
        let lines = |count: usize| -> String {
            let lines = (0..count).map(|at| line(&format!("k{at}"), &at.to_string()) + "\n");
            lines.collect()
        };
        assert_eq!(parse(&lines(100)).unwrap().len(), 100);
        assert_eq!(parse(&lines(101)), Err((101, LineProblem::TooMany)));
    }

    #[test]
    fn keys_are_random_and_their_lines_are_read_back() {
        let (key, other) = (random_key().unwrap(), random_key().unwrap());
        assert_ne!(key, other);
        assert_eq!(key.len(), 43);
        let keys = parse(&line("alice", &key)).unwrap();
        assert_eq!(keys[0].digest, Digest::of(key.as_bytes()));
    }
}
