//! Compressed bodies: what is accepted is no longer than the limit, takes no more memory, and is
//! refused under a smaller limit; what is refused is the client's fault.
//!
//! The first byte of an input chooses the coding.
#![cfg_attr(fuzzing, no_main)]

use inference::serve::compression::{Coding, inflate};
use inference::serve::error::Error;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const LIMIT: u64 = 64 * 1024;

pub(crate) fn run(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let coding = Coding::ALL[usize::from(*first) % Coding::ALL.len()];
    match inflate(coding, body, LIMIT) {
        Ok(whole) => check(coding, body, &whole),
        Err(Error::BodyTooLarge(limit)) => assert_eq!(limit, LIMIT),
        Err(Error::Invalid(said)) => {
            assert_eq!(said, format!("the body is not {}", coding.as_str()));
        }
        Err(other) => panic!("{other}"),
    }
}

fn check(coding: Coding, body: &[u8], whole: &Vec<u8>) {
    let length = whole.len() as u64;
    assert!(whole.capacity() as u64 <= LIMIT);
    assert_eq!(&inflate(coding, body, length).unwrap(), whole);
    if let Some(less) = length.checked_sub(1) {
        let refused = inflate(coding, body, less).unwrap_err();
        assert_eq!(refused, Error::BodyTooLarge(less));
    }
}
