//! The body of a request as it was before the client compressed it.

use super::Coding;
use crate::serve::budget::Share;
use crate::serve::error::Error;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// Bytes that are inflated at once.
const STEP: usize = 16 * 1024;

/// Inflates `body`, for which `share` is grown; of what is longer than `limit`, nothing beyond it
/// is kept or even read.
///
/// # Errors
/// `BodyTooLarge`, `Crowded`, or `Invalid` if `body` is not what its coding says.
pub fn inflate(
    coding: Coding,
    body: &[u8],
    limit: u64,
    share: &mut Share,
) -> Result<Vec<u8>, Error> {
    match coding {
        Coding::Gzip => read(MultiGzDecoder::new(body), coding, limit, share),
        Coding::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), coding, limit, share),
        // Some clients leave out the frame that the name asks for.
        Coding::Deflate => read(DeflateDecoder::new(body), coding, limit, share),
    }
}

fn read(
    mut stream: impl Read,
    coding: Coding,
    limit: u64,
    share: &mut Share,
) -> Result<Vec<u8>, Error> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let malformed = |_| Error::Invalid(format!("the body is not {}", coding.as_str()));
    let mut step = [0; STEP];
    let mut whole = Vec::new();
    loop {
        let piece = match stream.read(&mut step).map_err(malformed)? {
            0 => return Ok(whole),
            length => &step[..length],
        };
        let left = most - whole.len();
        if piece.len() > left {
            return Err(Error::BodyTooLarge(limit));
        }
        if whole.capacity() - whole.len() < piece.len() {
            // Twice as much each time, but never more than the limit.
            let more = whole.capacity().max(piece.len()).min(left);
            share.grow(more)?;
            whole.reserve_exact(more);
        }
        whole.extend_from_slice(piece);
    }
}

/// Whether `body` begins as RFC 1950 says.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::budget::Budget;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use rstest::rstest;
    use std::io::Write as _;

    fn unpacked(coding: Coding, body: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
        inflate(coding, body, limit, &mut Budget::new(None, 0).share())
    }

    #[test]
    fn what_is_unpacked_takes_a_share() {
        let packed = gzip(&[b' '; 100_000]);
        let mut share = Budget::new(Some(0), 99_999).share();
        let refused = inflate(Coding::Gzip, &packed, 200_000, &mut share);
        assert_eq!(refused, Err(Error::Crowded(99_999)));
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn raw(text: &[u8]) -> Vec<u8> {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    #[rstest]
    #[case(Coding::Gzip, gzip)]
    #[case(Coding::Deflate, zlib)]
    #[case(Coding::Deflate, raw)]
    fn what_was_packed_comes_back_up_to_the_limit(
        #[case] coding: Coding,
        #[case] pack: fn(&[u8]) -> Vec<u8>,
    ) {
        for length in [0, 1, STEP, STEP + 1, 1_000_000] {
            let text = b"0.5,".repeat(length.div_ceil(4))[..length].to_vec();
            let packed = pack(&text);
            let limit = length as u64;
            let inflated = unpacked(coding, &packed, limit).unwrap();
            assert_eq!(inflated, text);
            assert!(inflated.capacity() <= length);
            if length > 0 {
                let error = unpacked(coding, &packed, limit - 1).unwrap_err();
                assert_eq!(error, Error::BodyTooLarge(limit - 1));
            }
            for end in [0, 1, packed.len() / 2, packed.len() - 1] {
                let error = unpacked(coding, &packed[..end], limit).unwrap_err();
                assert!(matches!(error, Error::Invalid(_)), "{length} {end}");
            }
        }
    }

    #[test]
    fn gzip_may_come_in_parts_and_nothing_else_may_follow() {
        let parts = [gzip(b"[[1,"), gzip(b" 2]]")].concat();
        assert_eq!(unpacked(Coding::Gzip, &parts, 100).unwrap(), b"[[1, 2]]");
        let trailed = [gzip(b"[[1, 2]]"), b"nonsense".to_vec()].concat();
        assert!(unpacked(Coding::Gzip, &trailed, 100).is_err());
    }
}
