//! JSON objects, and nothing else: what serde derives for a struct reads a list of its fields too.

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::marker::PhantomData;

/// A struct that is read from an object alone.
#[derive(Debug)]
pub struct Object<T>(pub T);

/// Reads `json`, which must be an object.
///
/// # Errors
/// What the parser found.
pub fn from_slice<'de, T: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).map(|Object(value)| value)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Visitor(PhantomData))
    }
}

struct Visitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[derive(Debug, Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }

    #[test]
    fn an_object_is_read_as_its_struct_and_borrows() {
        let read: Named<'_> = from_slice(br#"{"name": "a", "more": 1}"#).unwrap();
        assert!(matches!(read.name, Cow::Borrowed("a")));
    }

    #[test]
    fn a_list_is_not_an_object() {
        let refused = from_slice::<Named<'_>>(br#"["a"]"#).unwrap_err();
        let expected = "invalid type: sequence, expected an object";
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }
}
