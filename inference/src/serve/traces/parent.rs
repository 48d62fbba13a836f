//! `traceparent` and `tracestate`, by the [Trace Context](https://www.w3.org/TR/trace-context/) of W3C.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Bytes of a `tracestate`: as many as everybody must pass on. What it says waits with the span to
/// be sent.
const LONGEST_STATE: usize = 512;
/// Bytes of a `traceparent` of version 00; those of later ones may go on after a dash.
const LENGTH: usize = 55;

/// The span of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// Whether the client records it.
    pub(super) recorded: bool,
}

impl Parent {
    /// The one that `headers` name; None unless they do so once and rightly.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        parse(value.as_bytes())
    }

    /// The same with what else `headers` say about the trace.
    pub(super) fn with_state(self, headers: &HeaderMap) -> SpanContext {
        let state = state(headers).unwrap_or_default();
        let flags = TraceFlags::SAMPLED;
        SpanContext::new(self.trace_id, self.span_id, flags, true, state)
    }
}

fn parse(text: &[u8]) -> Option<Parent> {
    let (head, rest) = text.split_at_checked(LENGTH)?;
    let mut fields = head.split(|byte| *byte == b'-');
    let version = hex(fields.next()?, 2)?;
    let trace_id = hex(fields.next()?, 32)?;
    let span_id = hex(fields.next()?, 16)?;
    let flags = hex(fields.next()?, 2)?;
    let goes_on = version > 0 && rest.first() == Some(&b'-');
    let known = version != 0xff && (rest.is_empty() || goes_on);
    let named = trace_id != 0 && span_id != 0;
    (known && named).then(|| Parent {
        trace_id: TraceId::from(trace_id),
        span_id: SpanId::from(span_id as u64),
        recorded: flags & 1 == 1,
    })
}

/// A number of so many lower-case digits.
fn hex(digits: &[u8], many: usize) -> Option<u128> {
    let right = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let sound = digits.len() == many && digits.iter().all(right);
    let text = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    u128::from_str_radix(text, 16).ok()
}

fn state(headers: &HeaderMap) -> Option<TraceState> {
    let lines = headers.get_all("tracestate").iter();
    let lines: Vec<&str> = lines
        .map(|line| line.to_str())
        .collect::<Result<_, _>>()
        .ok()?;
    let all = lines.join(",");
    let short = all.len() <= LONGEST_STATE;
    short.then(|| all.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use rstest::rstest;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let value = |text: &&str| HeaderValue::from_str(text).unwrap();
        values
            .iter()
            .map(|text| (name.parse().unwrap(), value(text)))
            .collect()
    }

    #[rstest]
    #[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true)]
    #[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false)]
    #[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", true)]
    #[case("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", false)]
    #[case("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", true)]
    fn a_parent_is_read(#[case] text: &str, #[case] recorded: bool) {
        let parent = Parent::of(&headers("traceparent", &[text])).unwrap();
        assert_eq!(parent.trace_id.to_string(), TRACE);
        assert_eq!(parent.span_id.to_string(), SPAN);
        assert_eq!(parent.recorded, recorded);
    }

    #[rstest]
    #[case("")]
    #[case("00-1-1-1")]
    #[case("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    #[case("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    #[case("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")]
    #[case("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")]
    #[case("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    #[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-")]
    #[case("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0")]
    #[case("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what")]
    #[case("00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01")]
    fn what_is_no_parent_begins_a_trace(#[case] text: &str) {
        assert_eq!(Parent::of(&headers("traceparent", &[text])), None);
    }

    #[test]
    fn two_parents_are_none() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let found = Parent::of(&headers("traceparent", &[&text, &text]));
        assert_eq!(found, None);
    }

    #[test]
    fn a_state_may_have_several_lines_and_must_not_be_long() {
        let said =
            |lines: &[&str]| state(&headers("tracestate", lines)).map(|state| state.header());
        assert_eq!(said(&["a=1", "b=2"]).as_deref(), Some("a=1,b=2"));
        assert_eq!(said(&[&format!("a={}", "x".repeat(LONGEST_STATE))]), None);
        assert_eq!(said(&["no pair"]), None);
    }
}
