//! What Python's `json` writes for numbers that JSON has not.

/// `body` with `null` for every `NaN` outside of strings, and for every `Infinity` a number beyond
/// the range; None if there is none of them.
pub fn as_json(body: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = false;
    let mut out = Vec::with_capacity(body.len());
    let mut in_string = false;
    let mut rest = body;
    while let Some(first) = rest.first() {
        let word = if in_string { None } else { word(rest) };
        let (taken, written) = match (word, first) {
            (Some((word, json)), _) => (word.len(), json),
            // What is escaped ends no string.
            (None, b'\\') if rest.len() > 1 => (2, &rest[..2]),
            (None, _) => (1, &rest[..1]),
        };
        replaced |= word.is_some();
        in_string ^= *first == b'"';
        out.extend_from_slice(written);
        rest = &rest[taken..];
    }
    replaced.then_some(out)
}

/// The word that `rest` begins with, and what stands for it.
fn word(rest: &[u8]) -> Option<(&'static [u8], &'static [u8])> {
    let words: [(&[u8], &[u8]); 2] = [(b"NaN", b"null"), (b"Infinity", b"1e999")];
    words.into_iter().find(|(word, _)| rest.starts_with(word))
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
    #[case("[Infinity,-Infinity]", Some("[1e999,-1e999]"))]
    #[case(r#"{"Infinity": NaN}"#, Some(r#"{"Infinity": null}"#))]
    #[case("[1, 2]", None)]
    #[case(r#"["NaN", "-Infinity"]"#, None)]
    #[case("Na", None)]
    #[case("Infinit", None)]
    #[case("\\", None)]
    #[case("", None)]
    fn only_values_are_replaced(#[case] body: &str, #[case] expected: Option<&str>) {
        let found = as_json(body.as_bytes());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes));
    }
}
