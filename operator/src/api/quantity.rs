use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubeQuantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// An amount as Kubernetes writes it: `250m`, `1`, `64Mi`. A bare number may stay unquoted.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(from = "IntOrText", into = "String")]
pub struct Quantity(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum IntOrText {
    Int(i64),
    Text(String),
}

impl From<IntOrText> for Quantity {
    fn from(value: IntOrText) -> Self {
        match value {
            IntOrText::Int(number) => Self(number.to_string()),
            IntOrText::Text(text) => Self(text),
        }
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// As the API server would write it: what stands is then what is wanted, word for word.
impl From<&Quantity> for KubeQuantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.canonical().unwrap_or_else(|| quantity.0.clone()))
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 20,
            "pattern": r"^[0-9]+(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        })
    }
}

/// A text that is no [`Quantity`] of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an amount such as 250m, 1, 64Mi or 1.5Gi")]
pub struct QuantityError(pub String);

/// Suffixes and what they multiply by, in thousandths; longer ones first.
const SUFFIXES: [(&str, u128); 14] = [
    ("Ki", 1000 << 10),
    ("Mi", 1000 << 20),
    ("Gi", 1000 << 30),
    ("Ti", 1000 << 40),
    ("Pi", 1000 << 50),
    ("Ei", 1000 << 60),
    ("m", 1),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("", 1000),
];

impl Quantity {
    /// The amount in thousandths, rounded down.
    pub fn thousandths(&self) -> Result<u128, QuantityError> {
        let millionths = self.millionths();
        let thousandths = millionths.map(|millionths| millionths / 1000);
        thousandths.ok_or_else(|| QuantityError(self.0.clone()))
    }

    fn millionths(&self) -> Option<u128> {
        let mut suffixes = SUFFIXES.iter();
        suffixes.find_map(|(suffix, factor)| scaled(self.0.strip_suffix(suffix)?, *factor))
    }

    /// The amount in whole units, such as bytes, rounded down.
    pub fn units(&self) -> Result<u64, QuantityError> {
        u64::try_from(self.thousandths()? / 1000).map_err(|_| QuantityError(self.0.clone()))
    }
}

/// Beyond that many units Kubernetes rounds down.
const MOST: u128 = i64::MAX as u128;

impl Quantity {
    /// The form that the API server stores for a container: in thousandths, rounded up, without a fraction,
    /// and with the largest suffix for that, which is binary if it was and the amount is at least 1,024
    /// whole units. None for what is no amount, or more than Kubernetes counts.
    ///
    /// Source: `CanonicalizeBytes` in Kubernetes' `apimachinery/pkg/api/resource/quantity.go`, and
    /// `SetDefaults_ResourceList` in its `pkg/apis/core/v1/defaults.go`.
    fn canonical(&self) -> Option<String> {
        let thousandths = self.millionths()?.div_ceil(1000);
        let (units, rest) = (thousandths / 1000, thousandths % 1000);
        let is_binary = self.0.ends_with('i') && rest == 0 && units >= 1024;
        match thousandths {
            0 => Some("0".to_owned()),
            _ if units >= MOST => None,
            _ => shortest(thousandths, is_binary),
        }
    }
}

/// So many thousandths, with the suffix of the largest factor that leaves a whole number.
fn shortest(thousandths: u128, is_binary: bool) -> Option<String> {
    let is_of_form = |suffix: &str| suffix.is_empty() || suffix.ends_with('i') == is_binary;
    let fitting = SUFFIXES
        .iter()
        .filter(|(suffix, factor)| is_of_form(suffix) && thousandths.is_multiple_of(*factor));
    let (suffix, factor) = fitting.max_by_key(|(_, factor)| *factor)?;
    Some(format!("{}{suffix}", thousandths / factor))
}

/// `number × factor`, in thousandths of the factor's unit, for a decimal number with at most three places.
fn scaled(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u128>().ok()?;
    let value = whole
        .parse::<u128>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(thousandths)?;
    value.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("250m", 250)]
    #[case("1", 1_000)]
    #[case("1.5", 1_500)]
    #[case("0.25", 250)]
    #[case("64Mi", 64 * 1024 * 1024 * 1000)]
    #[case("1.5Gi", 1536 * 1024 * 1024 * 1000)]
    #[case("2k", 2_000_000)]
    fn amounts_are_read_as_kubernetes_reads_them(#[case] text: &str, #[case] thousandths: u128) {
        assert_eq!(Quantity::from(text).thousandths(), Ok(thousandths));
    }

    #[rstest]
    #[case("0", "0")]
    #[case("0Mi", "0")]
    #[case("0.5", "500m")]
    #[case("1000m", "1")]
    #[case("1.0", "1")]
    #[case("1500m", "1500m")]
    #[case("1000", "1k")]
    #[case("1024", "1024")]
    #[case("1024Mi", "1Gi")]
    #[case("1.5Gi", "1536Mi")]
    #[case("0.5Ki", "512")]
    #[case("1.001Ki", "1025024m")]
    #[case("1000Ki", "1000Ki")]
    #[case("2048Ti", "2Pi")]
    #[case("0.5m", "1m")]
    #[case("1.5m", "2m")]
    #[case("9999999P", "9999999P")]
    fn amounts_are_written_as_kubernetes_writes_them(#[case] text: &str, #[case] canonical: &str) {
        assert_eq!(KubeQuantity::from(&Quantity::from(text)).0, canonical);
    }

    #[rstest]
    #[case("")]
    #[case("Mi")]
    #[case("-1")]
    #[case("1e3")]
    #[case("1.2345")]
    #[case("1 Gi")]
    #[case("99999999999999999999999999999999999999Ti")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert!(Quantity::from(text).thousandths().is_err());
    }

    #[test]
    fn a_bare_number_needs_no_quotes() {
        assert_eq!(
            serde_json::from_str::<Quantity>("2").unwrap(),
            Quantity::from("2")
        );
    }
}
