use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A span of time as users write it: a whole number and one unit, `500ms`, `15s`, `5m`, `1h`.
///
/// The text is kept as written; [`Duration::millis`] reads it. Prometheus and Go read it the same
/// way.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct Duration(#[schemars(regex(pattern = "^[1-9][0-9]{0,6}(ms|s|m|h)$"))] pub String);

/// A text that is no [`Duration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration: write a whole number and one of ms, s, m, h, such as 15s")]
pub struct DurationError(pub String);

/// Units by suffix, in milliseconds; `ms` before `s`, of which it is no suffix but ends alike.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

impl Duration {
    /// Its length in milliseconds, above 0.
    pub fn millis(&self) -> Result<u64, DurationError> {
        UNITS
            .iter()
            .find_map(|(suffix, millis)| {
                let count = self.0.strip_suffix(suffix)?.parse::<u64>().ok()?;
                count.checked_mul(*millis)
            })
            .filter(|millis| *millis > 0)
            .ok_or_else(|| DurationError(self.0.clone()))
    }
}

impl From<&str> for Duration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("500ms", 500)]
    #[case("15s", 15_000)]
    #[case("5m", 300_000)]
    #[case("1h", 3_600_000)]
    fn a_number_with_a_unit_is_a_duration(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(Duration::from(text).millis(), Ok(millis));
    }

    #[rstest]
    #[case("")]
    #[case("15")]
    #[case("s")]
    #[case("-1s")]
    #[case("0s")]
    #[case("1h30m")]
    #[case("1.5s")]
    #[case("99999999999999999999h")]
    #[case("9999999999999999999h")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(
            Duration::from(text).millis(),
            Err(DurationError(text.to_owned()))
        );
    }
}
