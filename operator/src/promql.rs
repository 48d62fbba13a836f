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
    selector_with(id, &[])
}

/// The same with further `matchers`, as written: `status=~"5.."`.
pub fn selector_with(id: &Identity, matchers: &[&str]) -> String {
    let service = format!(
        "namespace={},modelservice={}",
        quote(&id.namespace),
        quote(&id.name)
    );
    let all: Vec<&str> = [service.as_str()].iter().chain(matchers).copied().collect();
    format!("{{{}}}", all.join(","))
}

/// `sum by (…) (function(name{…}[window]))`
pub fn sum_over(
    id: &Identity,
    function: &str,
    series: (&str, &[&str]),
    window: Window,
    by: &[&str],
) -> String {
    let (name, matchers) = series;
    format!(
        "sum by ({}) ({function}({name}{}[{window}]))",
        labels(by),
        selector_with(id, matchers)
    )
}

/// `sum by (…) (rate(metric{…}[window]))`
pub fn rate(id: &Identity, metric: &Metric, window: Window, by: &[&str]) -> String {
    sum_over(id, "rate", (metric.name, &[]), window, by)
}

/// `sum by (…) (increase(metric{…}[window]))`
pub fn increase(id: &Identity, metric: &Metric, window: Window, by: &[&str]) -> String {
    sum_over(id, "increase", (metric.name, &[]), window, by)
}

/// The `quantile` of a histogram over `window`, in its unit.
pub fn quantile(
    id: &Identity,
    (metric, matchers): (&Metric, &[&str]),
    window: Window,
    quantile: f64,
) -> String {
    format!(
        "histogram_quantile({quantile}, sum by ({}, le) (rate({}_bucket{}[{window}])))",
        labels(&[]),
        metric.name,
        selector_with(id, matchers)
    )
}

/// Labels of a ModelService and `further` ones, as `by` and `on` want them.
pub fn labels(further: &[&str]) -> String {
    SERVICE
        .iter()
        .chain(further)
        .copied()
        .collect::<Vec<_>>()
        .join(", ")
}

/// A number without the digits that only binary fractions have.
pub fn number(value: f64) -> f64 {
    let rounded = (value * 1e9).round() / 1e9;
    if rounded.is_finite() { rounded } else { value }
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
