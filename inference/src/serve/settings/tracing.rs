//! Where traces are sent: options and what they may be.

use anyhow::{Context as _, ensure};
use clap::Args as ClapArgs;
use contract::config::Tracing;
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use url::Url;

/// Headers for the receiver.
const MOST_HEADERS: usize = 16;

/// Options of `serve` about traces.
#[derive(Debug, Default, Clone, ClapArgs)]
pub struct TracingArgs {
    /// Send traces to this receiver of OTLP over HTTP, as http://localhost:4318.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Headers for that receiver, as key=value,key=value with values as in a URL.
    #[arg(
        long,
        value_name = "HEADERS",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true
    )]
    pub otlp_headers: Option<String>,
    /// Share of the traces that begin here which are recorded, 0 to 1 [default: 1].
    #[arg(long, value_name = "SHARE", env = "OTEL_TRACES_SAMPLER_ARG")]
    pub trace_sample_ratio: Option<String>,
}

/// Lays the command line over `config`.
///
/// # Errors
/// If the headers are no list of pairs.
pub(super) fn overlay(config: &mut Option<Tracing>, args: TracingArgs) -> anyhow::Result<()> {
    if let Some(endpoint) = said(args.otlp_endpoint) {
        match config {
            Some(tracing) => tracing.endpoint = endpoint,
            None => *config = Some(Tracing::to(endpoint)),
        }
    }
    let Some(tracing) = config else {
        return Ok(());
    };
    if let Some(headers) = said(args.otlp_headers) {
        tracing.headers = parse(&headers)?;
    }
    if let Some(ratio) = said(args.trace_sample_ratio) {
        let problem = || format!("tracing.sampleRatio must be from 0 to 1, not '{ratio}'");
        tracing.sample_ratio = ratio.parse().with_context(problem)?;
    }
    Ok(())
}

/// A variable that is empty says nothing, by OpenTelemetry's specification.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn parse(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pair = |(at, pair): (usize, &str)| {
        // What is wrong may be a key: it is not shown.
        let problem = || format!("header {} for traces is not key=value", at + 1);
        let (name, value) = pair.split_once('=').with_context(problem)?;
        let value = percent_decode_str(value.trim()).decode_utf8();
        Ok((
            name.trim().to_owned(),
            value.with_context(problem)?.into_owned(),
        ))
    };
    pairs.enumerate().map(pair).collect()
}

/// Whether traces can be sent so.
///
/// # Errors
/// What cannot work, and what is expected.
pub(super) fn check(tracing: &Tracing) -> anyhow::Result<()> {
    check_endpoint(&tracing.endpoint)?;
    let ratio = tracing.sample_ratio;
    ensure!(
        (0.0..=1.0).contains(&ratio),
        "tracing.sampleRatio must be from 0 to 1, not {ratio}"
    );
    let found = tracing.headers.len();
    ensure!(
        found <= MOST_HEADERS,
        "tracing.headers has {found} headers, expected at most {MOST_HEADERS}"
    );
    for (name, value) in &tracing.headers {
        let valid = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
        ensure!(
            valid,
            "tracing.headers: {name:?} cannot be sent as a header"
        );
    }
    Ok(())
}

fn check_endpoint(endpoint: &str) -> anyhow::Result<()> {
    let url = Url::parse(endpoint).ok();
    let plain = url.is_some_and(|url| {
        Uri::try_from(url.as_str()).is_ok()
            && matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    ensure!(
        plain,
        "tracing.endpoint must be the base URL of a receiver of OTLP over HTTP, \
         without credentials, as http://localhost:4318"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://localhost:4318", true)]
    #[case("https://otel.example.com/some/where/", true)]
    #[case("http://[::1]:4318", true)]
    #[case("http://bücher.example:4318", true)]
    #[case("localhost:4318", false)]
    #[case("grpc://localhost:4317", false)]
    #[case("http://alice:secret@localhost:4318", false)]
    #[case("http://localhost:4318?key=secret", false)]
    #[case("http://localhost:4318#there", false)]
    #[case("", false)]
    fn the_endpoint_is_a_base_url(#[case] endpoint: &str, #[case] expected: bool) {
        let checked = check(&Tracing::to(endpoint.to_owned()));
        assert_eq!(checked.is_ok(), expected, "{checked:?}");
    }

    #[rstest]
    #[case(-0.1)]
    #[case(1.1)]
    #[case(f64::NAN)]
    fn a_ratio_is_a_share(#[case] sample_ratio: f64) {
        let endpoint = Tracing::to("http://localhost:4318".to_owned());
        let problem = check(&Tracing {
            sample_ratio,
            ..endpoint
        });
        let expected = format!("tracing.sampleRatio must be from 0 to 1, not {sample_ratio}");
        assert_eq!(problem.unwrap_err().to_string(), expected);
    }

    #[test]
    fn headers_are_read_as_the_standard_variable_has_them() {
        let headers = parse("authorization=Bearer%20a%3Db, x-experiment = 1,").unwrap();
        let expected = [("authorization", "Bearer a=b"), ("x-experiment", "1")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, BTreeMap::from(expected));
    }

    #[test]
    fn no_problem_with_a_header_shows_its_value() {
        let problem = parse("a=1,secret").unwrap_err();
        assert_eq!(problem.to_string(), "header 2 for traces is not key=value");
        let mut tracing = Tracing::to("http://localhost:4318".to_owned());
        tracing.headers = parse("authorization=secret%0A").unwrap();
        let problem = check(&tracing).unwrap_err().to_string();
        assert!(!problem.contains("secret"), "{problem}");
        assert!(problem.contains("authorization"), "{problem}");
    }

    #[test]
    fn variables_that_say_nothing_or_speak_to_nobody_are_no_fault() {
        let args = |endpoint: &str, ratio: &str| TracingArgs {
            otlp_endpoint: Some(endpoint.to_owned()),
            otlp_headers: Some(String::new()),
            trace_sample_ratio: Some(ratio.to_owned()),
        };
        let mut config = None;
        overlay(&mut config, args("", "endpoint=http://localhost:14250")).unwrap();
        assert_eq!(config, None);
        overlay(&mut config, args("http://localhost:4318", "")).unwrap();
        assert_eq!(config.as_ref().unwrap().sample_ratio, 1.0);
        let problem = overlay(&mut config, args("", "half")).unwrap_err();
        let expected = "tracing.sampleRatio must be from 0 to 1, not 'half'";
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let mut config = Some(Tracing::to("http://file:4318".to_owned()));
        let args = TracingArgs {
            otlp_endpoint: Some("http://line:4318".to_owned()),
            trace_sample_ratio: Some("0.5".to_owned()),
            ..TracingArgs::default()
        };
        overlay(&mut config, args).unwrap();
        let config = config.unwrap();
        assert_eq!(config.endpoint, "http://line:4318");
        assert_eq!(config.sample_ratio, 0.5);
        let mut none = None;
        let args = TracingArgs {
            otlp_endpoint: Some(String::new()),
            trace_sample_ratio: Some("0.5".to_owned()),
            ..TracingArgs::default()
        };
        overlay(&mut none, args).unwrap();
        assert_eq!(none, None);
    }
}
