//! The few shapes of PromQL that rules are made of. Every text from outside goes through
//! [`quote`].

use crate::plan::{Identity, Window};
use contract::metrics::Metric;
use std::fmt::{self, Display};

/// Labels that tell one ModelService from all others.
pub const SERVICE: &[&str] = &["namespace", "modelservice"];

/// `text` as a PromQL string.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Selects the series of one ModelService, such as `{namespace="shop",modelservice="churn"}`.
pub fn selector(id: &Identity) -> String {
    format!(
        "{{namespace={},modelservice={}}}",
        quote(&id.namespace),
        quote(&id.name)
    )
}

/// `sum by (…) (rate(metric{…}[window]))`
pub fn rate(id: &Identity, metric: &Metric, window: Window, by: &[&str]) -> String {
    format!(
        "sum by ({}) (rate({}{}[{window}]))",
        labels(by),
        metric.name,
        selector(id)
    )
}

/// The `quantile` of a histogram over `window`, in its unit.
pub fn quantile(id: &Identity, metric: &Metric, window: Window, quantile: f64) -> String {
    format!(
        "histogram_quantile({quantile}, sum by ({}, le) (rate({}_bucket{}[{window}])))",
        labels(&[]),
        metric.name,
        selector(id)
    )
}

fn labels(further: &[&str]) -> String {
    SERVICE
        .iter()
        .chain(further)
        .copied()
        .collect::<Vec<_>>()
        .join(", ")
}

/// A length of time as Prometheus writes it, in the largest unit that leaves no rest.
impl Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            seconds if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
            seconds if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", r#""plain""#)]
    #[case(r#"a"} or up{x=""#, r#""a\"} or up{x=\"""#)]
    #[case(r"back\slash", r#""back\\slash""#)]
    #[case("new\nline", r#""new\nline""#)]
    fn quoting_leaves_no_way_out_of_the_string(#[case] text: &str, #[case] quoted: &str) {
        assert_eq!(quote(text), quoted);
    }

    #[rstest]
    #[case(60, "1m")]
    #[case(90, "90s")]
    #[case(300, "5m")]
    #[case(3600, "1h")]
    #[case(5400, "90m")]
    fn windows_are_written_in_the_largest_whole_unit(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(Window { seconds }.to_string(), text);
    }
}
