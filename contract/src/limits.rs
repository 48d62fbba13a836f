//! How much of a model becomes label values and time series, and how much of that Prometheus is
//! told to take.
//!
//! Prometheus drops a scrape that is beyond its limits whole, and with it every alert on the model.
//! So no model is trained or loaded that could get there: the server's tests scrape the largest one,
//! beside as many metrics of the user's own as there may be, and all names of other systems.

/// Samples in one scrape.
pub const SAMPLE_LIMIT: u64 = 30_000;
/// Bytes in a label value: a range of two numbers needs the most.
pub const LABEL_VALUE_LENGTH_LIMIT: u64 = 256;

/// Features of a model: each has 23 time series, that is [`MOST_BINS`] bins in two metrics, and three
/// reasons to be invalid.
pub const MOST_FEATURES: usize = 300;
/// Classes of a model: each has a time series with each, in the confusion matrix.
pub const MOST_CLASSES: usize = 80;
/// Bins of a reference profile.
pub const MOST_BINS: usize = 10;
/// Bytes in the name of a model, version, feature or class.
pub const LONGEST_NAME: usize = 128;
/// API keys in one file: each has time series of its own, and is compared on every request.
pub const MOST_KEYS: usize = 100;
