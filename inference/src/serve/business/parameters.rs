//! Parameters of requests: those that metrics read, as text, wherever a protocol has them.

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use url::form_urlencoded;

/// Bytes of a parameter that are kept: more than any number has digits, or any label value letters.
const LONGEST_TEXT: usize = 512;

/// Names of the parameters that metrics read, and the place of each.
#[derive(Debug)]
pub(super) struct Names(HashMap<String, usize>);

/// Values of one request by the place of their name; the last of several counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Box<[Option<Box<str>>]>);

impl Names {
    /// `names`, each of which may come more than once.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut places = HashMap::new();
        for name in names {
            let next = places.len();
            places.entry(name.to_owned()).or_insert(next);
        }
        Self(places)
    }

    /// The place of `name`, if any metric reads it.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// What `query` has of them.
    pub(super) fn of_query(&self, query: Option<&str>) -> Parameters {
        let mut parameters = Parameters(vec![None; self.0.len()].into());
        if self.0.is_empty() {
            return parameters;
        }
        let query = query.unwrap_or_default().as_bytes();
        for (name, value) in form_urlencoded::parse(query) {
            self.note(&mut parameters, &name, &value);
        }
        parameters
    }

    /// Notes that `name` is `value`, if any metric reads it.
    pub(super) fn note(&self, parameters: &mut Parameters, name: &str, value: &str) {
        if let Some(place) = self.place(name) {
            parameters.0[place] = Some(kept(value));
        }
    }

    /// Notes what the object called `field` in `body` has of them.
    ///
    /// # Errors
    /// If `body` does not begin with a JSON object; what comes before the fault is noted.
    pub(super) fn note_json(
        &self,
        parameters: &mut Parameters,
        body: &[u8],
        field: &str,
    ) -> serde_json::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        // What comes after the object, as tensors may, is not looked at.
        Deserializer::from_slice(body).deserialize_map(Fields(|name: &str, value: &RawValue| {
            if name == field {
                self.note_object(parameters, value);
            }
        }))
    }

    fn note_object(&self, parameters: &mut Parameters, object: &RawValue) {
        let fields = Fields(|name: &str, value: &RawValue| {
            if self.place(name).is_some()
                && let Some(text) = scalar(value.get())
            {
                self.note(parameters, name, &text);
            }
        });
        // Anything but an object has no parameters; whether that is allowed, the protocol says.
        let _ = Deserializer::from_str(object.get()).deserialize_map(fields);
    }
}

impl Parameters {
    /// The value in `place`.
    pub(super) fn at(&self, place: usize) -> Option<&str> {
        self.0.get(place)?.as_deref()
    }
}

/// As much of `text` as tells that it is too long.
fn kept(text: &str) -> Box<str> {
    match text.len() > LONGEST_TEXT {
        false => text.into(),
        // No number ends like this.
        true => format!("{}…", &text[..text.floor_char_boundary(LONGEST_TEXT)]).into(),
    }
}

/// The text of a JSON string, number or boolean.
fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).ok().map(Cow::Owned),
        None | Some(b'[' | b'{' | b'n') => None,
        Some(_) => Some(Cow::Borrowed(json)),
    }
}

/// Hands the fields of an object to a function, their values unread.
struct Fields<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            (self.0)(&name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn names() -> Names {
        Names::new(["a", "b c", "a"].into_iter())
    }

    #[rstest]
    #[case(None, [None, None])]
    #[case(Some("a=1&x=2"), [Some("1"), None])]
    #[case(Some("a=1&b+c=2&a=3"), [Some("3"), Some("2")])]
    #[case(Some("b%20c=%C3%A4%26%3d"), [None, Some("ä&=")])]
    #[case(Some("a&b c"), [Some(""), Some("")])]
    #[case(Some("a=%FF%zz"), [Some("\u{fffd}%zz"), None])]
    #[case(Some("A=1&%61=2"), [Some("2"), None])]
    fn a_query_is_decoded_and_the_last_counts(
        #[case] query: Option<&str>,
        #[case] expected: [Option<&str>; 2],
    ) {
        let found = names().of_query(query);
        assert_eq!([found.at(0), found.at(1)], expected);
    }

    #[rstest]
    #[case(r#"{"p": {"a": "x", "b c": 7.50}}"#, [Some("x"), Some("7.50")])]
    #[case(r#"{"q": {"a": 1}, "p": {"a": true}, "a": 3}"#, [Some("true"), None])]
    #[case(r#"{"p": {"a": null, "b c": [1]}}"#, [Some("query"), None])]
    #[case(r#"{"p": {"a": {"a": 1}}} more"#, [Some("query"), None])]
    #[case(r#"{"p": {"a": "\u00e4\n"}}"#, [Some("ä\n"), None])]
    #[case(r#"{"p": {"a": 1}, "p": {"a": 2}}"#, [Some("2"), None])]
    #[case(r#"{"p": [1], "p": 1, "p": null}"#, [Some("query"), None])]
    #[case(r#"{"p": {"a": 1}, "x": NaN}"#, [Some("1"), None])]
    #[case("[1]", [Some("query"), None])]
    #[case("", [Some("query"), None])]
    fn a_body_comes_before_the_query(#[case] body: &str, #[case] expected: [Option<&str>; 2]) {
        let names = names();
        let mut found = names.of_query(Some("a=query"));
        let _ = names.note_json(&mut found, body.as_bytes(), "p");
        assert_eq!([found.at(0), found.at(1)], expected);
    }

    #[test]
    fn a_long_text_is_cut_and_no_number() {
        let names = names();
        let long = format!("a={}", "1".repeat(100_000));
        let found = names.of_query(Some(&long));
        let text = found.at(0).unwrap();
        assert!(text.len() < 600 && text.parse::<f64>().is_err());
    }
}
