//! Parameters of requests and tensors: a flat map, of which a few keys mean something here and all
//! others are ignored.

use crate::serve::error::Error;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Parameters of one request, tensor or output.
const MOST: usize = 256;

/// Parameters by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(BTreeMap<String, Parameter>);

/// Whether an output is to be bytes after the JSON.
pub const BINARY_DATA: &str = "binary_data";
/// The same for all outputs that do not say it themselves.
pub const BINARY_DATA_OUTPUT: &str = "binary_data_output";
/// Bytes of an input, or of an output, that are not in the JSON.
pub const BINARY_DATA_SIZE: &str = "binary_data_size";
/// How many of the likeliest classes an output is to name.
pub const CLASSIFICATION: &str = "classification";

/// Value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parameter {
    /// true or false.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// Anything else that is allowed: no parameter that means something has such a value.
    Other,
}

/// The truth value of `key`, if it is given.
///
/// # Errors
/// `Invalid` if it is something else.
pub fn flag(parameters: &Parameters, key: &str) -> Result<Option<bool>, Error> {
    match parameters.0.get(key) {
        None => Ok(None),
        Some(Parameter::Flag(flag)) => Ok(Some(*flag)),
        Some(Parameter::Whole(_) | Parameter::Other) => Err(Error::Invalid(format!(
            "parameter {key} must be true or false"
        ))),
    }
}

/// The number that `key` is, if it is given.
///
/// # Errors
/// `Invalid` if it is something else.
pub fn count(parameters: &Parameters, key: &str) -> Result<Option<usize>, Error> {
    match parameters.0.get(key) {
        None => Ok(None),
        Some(Parameter::Whole(count)) if *count >= 0 => {
            Ok(Some(usize::try_from(*count).unwrap_or(usize::MAX)))
        }
        Some(_) => Err(Error::Invalid(format!(
            "parameter {key} must be a whole number, 0 or more"
        ))),
    }
}

impl FromIterator<(String, Parameter)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, Parameter)>>(parameters: I) -> Self {
        Self(parameters.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AllParameters)
    }
}

struct AllParameters;

impl<'de> Visitor<'de> for AllParameters {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MOST} parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if parameters.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            parameters.insert(name, value);
        }
        Ok(Parameters(parameters))
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneParameter)
    }
}

struct OneParameter;

impl Visitor<'_> for OneParameter {
    type Value = Parameter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a parameter: a string, a number or a boolean")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Parameter, E> {
        Ok(Parameter::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Parameter, E> {
        Ok(Parameter::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Parameter, E> {
        Ok(Parameter::Whole(number.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Parameter, E> {
        Ok(Parameter::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Parameter, E> {
        Ok(Parameter::Other)
    }
}
