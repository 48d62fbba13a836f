//! Element types of tensors.

use crate::serve::error::Problem;

/// Element type of a tensor, by the protocol's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

/// Names of [`DataType::INPUTS`], as errors list them.
pub(super) const ACCEPTED: &str =
    "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP32, FP64";

impl DataType {
    /// Those that a feature can have.
    pub const INPUTS: [Self; 11] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp32,
        Self::Fp64,
    ];

    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The type of this name that a feature can have.
    pub fn of_input(name: &str) -> Option<Self> {
        let mut inputs = Self::INPUTS.into_iter();
        inputs.find(|datatype| datatype.as_str() == name)
    }

    /// Bytes of one element; those of [`Self::Bytes`] have no fixed size, and this is the least.
    pub const fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Uint32 | Self::Int32 | Self::Fp32 | Self::Bytes => 4,
            Self::Uint64 | Self::Int64 | Self::Fp64 => 8,
        }
    }

    /// Smallest and largest whole number; None for types that are not whole numbers.
    const fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Uint8 => Some((0, u8::MAX as i128)),
            Self::Uint16 => Some((0, u16::MAX as i128)),
            Self::Uint32 => Some((0, u32::MAX as i128)),
            Self::Uint64 => Some((0, u64::MAX as i128)),
            Self::Int8 => Some((i8::MIN as i128, i8::MAX as i128)),
            Self::Int16 => Some((i16::MIN as i128, i16::MAX as i128)),
            Self::Int32 => Some((i32::MIN as i128, i32::MAX as i128)),
            Self::Int64 => Some((i64::MIN as i128, i64::MAX as i128)),
            Self::Bool | Self::Fp32 | Self::Fp64 | Self::Bytes => None,
        }
    }

    /// `value` as an element of this type.
    ///
    /// # Errors
    /// `NotOf` if it cannot be one.
    pub fn real(self, value: f64) -> Result<f64, Problem> {
        match self {
            Self::Fp32 if value.is_finite() && value.abs() > f64::from(f32::MAX) => {
                Err(Problem::NotOf(self))
            }
            Self::Fp32 | Self::Fp64 => Ok(value),
            Self::Bool | Self::Bytes => Err(Problem::NotOf(self)),
            // 3.0 is a whole number in JSON.
            _ if value.fract() == 0.0 && value.abs() < 9e15 => self.whole(value as i128),
            _ => Err(Problem::NotOf(self)),
        }
    }

    /// `value` as an element of this type.
    ///
    /// # Errors
    /// `NotOf` if it cannot be one.
    pub fn whole(self, value: i128) -> Result<f64, Problem> {
        let fits = match (self, self.range()) {
            (_, Some((low, high))) => (low..=high).contains(&value),
            (Self::Bool, None) => matches!(value, 0 | 1),
            (_, None) => matches!(self, Self::Fp32 | Self::Fp64),
        };
        match fits {
            true => Ok(value as f64),
            false => Err(Problem::NotOf(self)),
        }
    }

    /// `value` as an element of this type.
    ///
    /// # Errors
    /// `NotOf` unless the type is BOOL.
    pub fn boolean(self, value: bool) -> Result<f64, Problem> {
        match self {
            Self::Bool => Ok(f64::from(u8::from(value))),
            _ => Err(Problem::NotOf(self)),
        }
    }

    /// The element that the little-endian `bytes` are, of which there are [`Self::size`].
    ///
    /// # Errors
    /// `NotOf` for a BOOL that is neither 0 nor 1.
    pub fn element(self, bytes: &[u8]) -> Result<f64, Problem> {
        Ok(match self {
            Self::Bool => return self.whole(u8::from_le_bytes(array(bytes)).into()),
            Self::Uint8 => u8::from_le_bytes(array(bytes)).into(),
            Self::Uint16 => u16::from_le_bytes(array(bytes)).into(),
            Self::Uint32 => u32::from_le_bytes(array(bytes)).into(),
            Self::Uint64 => u64::from_le_bytes(array(bytes)) as f64,
            Self::Int8 => i8::from_le_bytes(array(bytes)).into(),
            Self::Int16 => i16::from_le_bytes(array(bytes)).into(),
            Self::Int32 => i32::from_le_bytes(array(bytes)).into(),
            Self::Int64 => i64::from_le_bytes(array(bytes)) as f64,
            Self::Fp32 => f32::from_le_bytes(array(bytes)).into(),
            Self::Fp64 => f64::from_le_bytes(array(bytes)),
            Self::Bytes => return Err(Problem::NotOf(self)),
        })
    }
}

/// The callers cut the bytes to size; others would read as zero.
fn array<const SIZE: usize>(bytes: &[u8]) -> [u8; SIZE]
where
    [u8; SIZE]: Default,
{
    bytes.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_in_errors_is_that_of_the_inputs() {
        assert_eq!(DataType::INPUTS.map(DataType::as_str).join(", "), ACCEPTED);
    }

    #[test]
    fn bytes_are_the_elements_that_the_standard_library_writes() {
        for (datatype, bytes, expected) in [
            (DataType::Bool, vec![1], 1.0),
            (DataType::Uint8, vec![255], 255.0),
            (DataType::Int8, vec![255], -1.0),
            (DataType::Uint16, 65_535u16.to_le_bytes().to_vec(), 65_535.0),
            (DataType::Int16, (-2i16).to_le_bytes().to_vec(), -2.0),
            (DataType::Uint32, 7u32.to_le_bytes().to_vec(), 7.0),
            (DataType::Int32, (-7i32).to_le_bytes().to_vec(), -7.0),
            (DataType::Uint64, 9u64.to_le_bytes().to_vec(), 9.0),
            (DataType::Int64, (-9i64).to_le_bytes().to_vec(), -9.0),
            (DataType::Fp32, 0.5f32.to_le_bytes().to_vec(), 0.5),
            (DataType::Fp64, 0.1f64.to_le_bytes().to_vec(), 0.1),
        ] {
            assert_eq!(bytes.len(), datatype.size());
            assert_eq!(datatype.element(&bytes), Ok(expected), "{datatype:?}");
        }
        let two = DataType::Bool.element(&[2]);
        assert_eq!(two, Err(Problem::NotOf(DataType::Bool)));
    }
}
