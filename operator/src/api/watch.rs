//! What is watched about the model itself: drift, data quality, ground truth.

use super::{Duration, cel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares what is watched: all alike, but for what the threshold means and the defaults.
macro_rules! watched {
    ($(
        #[doc = $doc:literal]
        $name:ident {
            window: $window:literal,
            #[doc = $threshold_doc:literal]
            threshold: $threshold:literal in $least:literal..=$most:literal,
            minimum_samples: $samples:literal,
        }
    )+) => {$(
        #[doc = $doc]
        #[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
        #[serde(rename_all = "camelCase", default)]
        #[schemars(extend("x-kubernetes-validations" = cel(
            // The API server compares whole numbers with the bound cut off to one.
            concat!(
                "duration(self.window) >= duration('1m') && duration(self.window) <= duration('168h')",
                " && self.threshold >= double(", $least, ")"
            ),
            concat!("window must be between 1m and 168h, and threshold at least ", $least)
        )))]
        pub struct $name {
            /// False takes its rules and its alert away.
            pub enabled: bool,
            /// How far back it looks.
            pub window: Duration,
            #[doc = $threshold_doc]
            #[schemars(range(min = $least, max = $most))]
            pub threshold: f64,
            /// Fewer values than this in the window are no reason for an alert.
            #[serde(rename = "minimumSamples")]
            #[schemars(range(min = 1, max = 1_000_000_000))]
            pub minimum_samples: u32,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    enabled: true,
                    window: $window.into(),
                    threshold: $threshold,
                    minimum_samples: $samples,
                }
            }
        }
    )+};
}

watched! {
    /// FeatureDrift and PredictionDrift: whether values are spread as they were in training.
    DriftSpec {
        window: "1h",
        /// Population stability index, noise of small samples taken off: below 0.1 is stable, above 0.2 is not.
        threshold: 0.2 in 0.01..=100.0,
        minimum_samples: 500,
    }
    /// DataQuality: whether values are missing, of a wrong type or outside of what training saw.
    QualitySpec {
        window: "1h",
        /// Share of a feature's values that may be so, 0 to 1, on top of the share that was missing in training.
        threshold: 0.05 in 0.0..=1.0,
        minimum_samples: 100,
    }
    /// ModelPerformanceDegraded: whether ground truth agrees with the predictions as well as it did in training.
    PerformanceSpec {
        window: "24h",
        /// How much lower the accuracy, or higher the root mean squared error, may be than in training: 0.1 is a tenth.
        threshold: 0.1 in 0.0..=10.0,
        minimum_samples: 100,
    }
}
