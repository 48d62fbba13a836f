//! The body of a request as it was before the client compressed it.

use super::Coding;
use crate::serve::error::Error;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// Bytes that are inflated at once.
const STEP: usize = 16 * 1024;

/// Inflates `body`; of what is longer than `limit`, nothing beyond it is kept or even read.
///
/// # Errors
/// `BodyTooLarge`, or `Invalid` if `body` is not what its coding says.
pub fn inflate(coding: Coding, body: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let malformed = |_| Error::Invalid(format!("the body is not {}", coding.as_str()));
    match coding {
        Coding::Gzip => read(MultiGzDecoder::new(body), most),
        Coding::Deflate if is_zlib(body) => read(ZlibDecoder::new(body), most),
        // Some clients leave out the frame that the name asks for.
        Coding::Deflate => read(DeflateDecoder::new(body), most),
    }
    .map_err(malformed)?
    .ok_or(Error::BodyTooLarge(limit))
}

/// None if there is more than `most`.
fn read(mut stream: impl Read, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut step = [0; STEP];
    let mut whole = Vec::new();
    loop {
        let piece = match stream.read(&mut step)? {
            0 => return Ok(Some(whole)),
            length => &step[..length],
        };
        let left = most - whole.len();
        if piece.len() > left {
            return Ok(None);
        }
        if whole.capacity() - whole.len() < piece.len() {
            // Twice as much each time, but never more than the limit.
            whole.reserve_exact(whole.capacity().max(piece.len()).min(left));
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
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use rstest::rstest;
    use std::io::Write as _;

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
            let inflated = inflate(coding, &packed, limit).unwrap();
            assert_eq!(inflated, text);
            assert!(inflated.capacity() <= length);
            if length > 0 {
                let error = inflate(coding, &packed, limit - 1).unwrap_err();
                assert_eq!(error, Error::BodyTooLarge(limit - 1));
            }
            for end in [0, 1, packed.len() / 2, packed.len() - 1] {
                let error = inflate(coding, &packed[..end], limit).unwrap_err();
                assert!(matches!(error, Error::Invalid(_)), "{length} {end}");
            }
        }
    }

    #[test]
    fn gzip_may_come_in_parts_and_nothing_else_may_follow() {
        let parts = [gzip(b"[[1,"), gzip(b" 2]]")].concat();
        assert_eq!(inflate(Coding::Gzip, &parts, 100).unwrap(), b"[[1, 2]]");
        let trailed = [gzip(b"[[1, 2]]"), b"nonsense".to_vec()].concat();
        assert!(inflate(Coding::Gzip, &trailed, 100).is_err());
    }
}
