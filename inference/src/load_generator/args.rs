//! The command line of `load`.

use super::pace::{Limit, Pace, Schedule};
use super::request::Blend;
use super::transport::rest::Url;
use clap::{Args as ClapArgs, ValueEnum, value_parser};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// For how long requests are made if nothing else is said.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// Requests per second, up to more than any client reaches.
const RATES: RangeInclusive<f64> = 0.001..=1e6;
/// Standard deviations beyond which a shift means nothing any more.
const FARTHEST_DRIFT: f64 = 1e6;
/// A run that is forgotten should end some day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Options of `load`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// The server: http://HOST[:PORT][/PATH]; for gRPC its port is 8081 if not told.
    #[arg(
        long,
        default_value = "http://127.0.0.1:8080",
        default_value_if("protocol", "grpc", "http://127.0.0.1:8081")
    )]
    pub url: Url,
    /// CSV file with a header line and the features in any order; - reads standard input. An empty
    /// cell is sent as null.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Column to leave out. Columns that the model does not take are ignored anyway.
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,
    /// How to ask.
    #[arg(long, value_enum, default_value_t = Protocol::Predict)]
    pub protocol: Protocol,
    /// Connections of the closed loop: each asks again as soon as it is answered.
    #[arg(long, value_name = "N", default_value_t = 16, conflicts_with = "rate",
          value_parser = value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Requests per second whatever the server does, such as 500/s, instead of a closed loop.
    /// Latency then counts from when a request was due.
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub rate: Option<f64>,
    /// Stop after this time: a number and ms, s, m or h [default: 10s without --requests].
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Stop after this many requests.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Rows in each request.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rows: u32,
    /// Share of the rows whose features are all shifted, such as 20%.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = parse_share)]
    pub drift: f64,
    /// How far they are shifted, in standard deviations of each column.
    #[arg(long, value_name = "DEVIATIONS", default_value_t = 2.0, requires = "drift",
          allow_negative_numbers = true, value_parser = parse_drift_by)]
    pub drift_by: f64,
    /// Share of the requests that the server should refuse, such as 5%: a missing feature, text,
    /// null, a number beyond all numbers, and no JSON take turns.
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = parse_share)]
    pub broken: f64,
    /// Seed of the order of the rows and of which of them drift.
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Give up a request after this time.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// POST /predict with an object of named features, or a list of them.
    Predict,
    /// Open Inference Protocol: POST /v2/models/NAME/infer with one FP64 tensor.
    V2,
    /// Open Inference Protocol: ModelInfer with one FP64 tensor.
    Grpc,
}

impl Args {
    /// When requests are made.
    pub fn pace(&self) -> Pace {
        match self.rate {
            Some(rate) => Pace::Open(Schedule { rate }),
            None => Pace::Closed {
                connections: self.connections,
            },
        }
    }

    /// When to stop.
    pub fn limit(&self) -> Limit {
        let default = self.requests.is_none().then_some(DEFAULT_DURATION);
        Limit {
            duration: self.duration.or(default),
            requests: self.requests,
        }
    }

    /// What requests are made of.
    pub const fn blend(&self) -> Blend {
        Blend {
            rows: self.rows as usize,
            drift: self.drift,
            drift_by: self.drift_by,
            broken: self.broken,
            seed: self.seed,
        }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(finite);
    let percent = number.filter(|percent: &f64| (0.0..=100.0).contains(percent));
    let share = percent.map(|percent| percent / 100.0);
    share.ok_or_else(|| "expected a percentage from 0% to 100%, such as 5%".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = finite(text.strip_suffix("/s").unwrap_or(text));
    let admitted = rate.filter(|rate| RATES.contains(rate));
    admitted.ok_or_else(|| {
        "expected requests per second from 0.001/s to 1000000/s, such as 500/s".to_owned()
    })
}

fn parse_drift_by(text: &str) -> Result<f64, String> {
    let admitted = finite(text).filter(|by| by.abs() <= FARTHEST_DRIFT && *by != 0.0);
    admitted.ok_or_else(|| "expected a number other than 0, within ±1000000".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        let number = finite(text.strip_suffix(unit)?)?;
        Some(number * seconds)
    });
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let admitted = duration.filter(|duration| !duration.is_zero() && *duration <= LONGEST);
    admitted.ok_or_else(|| {
        "expected a number and one of ms, s, m, h, such as 10s, at most 24h".to_owned()
    })
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0%", 0.0)]
    #[case("2.5%", 0.025)]
    #[case("100%", 1.0)]
    fn a_share_is_a_percentage(#[case] text: &str, #[case] share: f64) {
        assert_eq!(parse_share(text), Ok(share));
    }

    #[rstest]
    #[case("5")]
    #[case("0.05")]
    #[case("101%")]
    #[case("-1%")]
    #[case("NaN%")]
    #[case("%")]
    fn anything_else_is_no_share(#[case] text: &str) {
        assert!(parse_share(text).unwrap_err().contains("from 0% to 100%"));
    }

    #[rstest]
    #[case("500/s", 500.0)]
    #[case("0.5", 0.5)]
    fn a_rate_is_per_second(#[case] text: &str, #[case] rate: f64) {
        assert_eq!(parse_rate(text), Ok(rate));
    }

    #[rstest]
    #[case("0/s")]
    #[case("-1")]
    #[case("5/m")]
    #[case("inf")]
    #[case("2e6")]
    fn anything_else_is_no_rate(#[case] text: &str) {
        assert!(parse_rate(text).unwrap_err().contains("500/s"));
    }

    #[rstest]
    #[case("500ms", 500)]
    #[case("1.5s", 1_500)]
    #[case("2m", 120_000)]
    #[case("1h", 3_600_000)]
    fn a_duration_has_a_unit(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("10")]
    #[case("0s")]
    #[case("-1s")]
    #[case("25h")]
    #[case("s")]
    #[case("1e400s")]
    fn anything_else_is_no_duration(#[case] text: &str) {
        assert!(parse_duration(text).unwrap_err().contains("such as 10s"));
    }
}
