//! Lists that end somewhere: what a client sends decides how many elements there are, but not how
//! many are kept.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A list of at most `MOST` elements.
#[derive(Debug, Default)]
pub struct Capped<T, const MOST: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Capped<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AtMost::new(MOST).deserialize(deserializer).map(Self)
    }
}

/// Reads a list that may have so many elements.
#[derive(Debug)]
pub struct AtMost<T> {
    most: usize,
    element: PhantomData<T>,
}

impl<T> AtMost<T> {
    /// `most` elements.
    pub const fn new(most: usize) -> Self {
        let element = PhantomData;
        Self { most, element }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} elements", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            if elements.len() == self.most {
                return Err(A::Error::invalid_length(self.most + 1, &self));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_full_and_no_fuller() {
        let read = serde_json::from_str::<Capped<u8, 3>>;
        assert_eq!(read("[1, 2, 3]").unwrap().0, [1, 2, 3]);
        let refused = read("[1, 2, 3, 4]").unwrap_err().to_string();
        let expected = "invalid length 4, expected a list of at most 3 elements";
        assert!(refused.starts_with(expected), "{refused}");
    }
}
