//! Python's `json` writes a missing value as `NaN`, which is no JSON.

/// `body` with `null` for every `NaN` outside of strings; None if there is none.
pub fn as_null(body: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = false;
    let mut out = Vec::with_capacity(body.len());
    let mut in_string = false;
    let mut rest = body;
    while let Some(first) = rest.first() {
        let (taken, written) = match first {
            b'N' if !in_string && rest.starts_with(b"NaN") => (3, &b"null"[..]),
            // What is escaped ends no string.
            b'\\' if rest.len() > 1 => (2, &rest[..2]),
            _ => (1, &rest[..1]),
        };
        replaced |= taken == 3;
        in_string ^= *first == b'"';
        out.extend_from_slice(written);
        rest = &rest[taken..];
    }
    replaced.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("[[1, NaN], [NaN,2]]", Some("[[1, null], [null,2]]"))]
    #[case(r#"{"NaN": NaN}"#, Some(r#"{"NaN": null}"#))]
    #[case(r#"{"a\"NaN": NaN}"#, Some(r#"{"a\"NaN": null}"#))]
    #[case(r#"{"a\\": NaN}"#, Some(r#"{"a\\": null}"#))]
    #[case("[1, 2]", None)]
    #[case(r#"["NaN"]"#, None)]
    #[case("Na", None)]
    #[case("\\", None)]
    #[case("", None)]
    fn only_values_are_replaced(#[case] body: &str, #[case] expected: Option<&str>) {
        let found = as_null(body.as_bytes());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes));
    }
}
