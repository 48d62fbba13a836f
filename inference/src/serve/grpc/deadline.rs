//! How long a client waits: header `grpc-timeout` of gRPC's `PROTOCOL-HTTP2.md`.

use crate::serve::error::{Echo, Error};
use crate::serve::job::Deadline;
use http::HeaderMap;
use std::time::Duration;

const HEADER: &str = "grpc-timeout";

/// When the client stops waiting, but at the latest `longest`.
///
/// # Errors
/// `Invalid` for a header that is not up to 8 digits and a unit.
pub(super) fn of(headers: &HeaderMap, longest: Deadline) -> Result<Deadline, Error> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(longest);
    };
    let text = value.to_str().unwrap_or_default();
    match parse(text) {
        Some(timeout) => Ok(longest.sooner(timeout)),
        None => {
            let message = format!("{HEADER} must be digits and a unit, not {}", Echo(text));
            Err(Error::Invalid(message))
        }
    }
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let all_digits = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| all_digits)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("5m", Some(Duration::from_millis(5))),
            ("5u", Some(Duration::from_micros(5))),
            ("5n", Some(Duration::from_nanos(5))),
            ("", None),
            ("S", None),
            ("5", None),
            ("+5S", None),
            ("123456789S", None),
            ("5é", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
