//! Reference distributions that live traffic is compared with.

use crate::artifact::Profile;
use crate::model::Predictions;
use contract::limits::MOST_BINS;

/// Fewer rows in a bin make its share so uncertain that drift seems to be where there is none.
const ROWS_PER_BIN: usize = 20;

impl Profile {
    /// Bins of about equal shares of `values`: at most ten, and about twenty values or more in each.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let bins = (sorted.len() / ROWS_PER_BIN).clamp(2, MOST_BINS);
        let quantile =
            |number: usize| Self::edge(sorted[(number * sorted.len()).div_ceil(bins) - 1]);
        let mut edges: Vec<f64> = (1..bins).map(quantile).collect();
        edges.dedup();
        // Nothing is beyond the smallest and largest values: an edge there would make an empty bin.
        edges.retain(|edge| (sorted[0]..sorted[sorted.len() - 1]).contains(edge));
        let mut profile = Self {
            shares: vec![0.0; edges.len() + 1],
            edges,
        };
        for value in sorted {
            let bin = profile.bin(value);
            profile.shares[bin] += 1.0;
        }
        let total = values.len() as f64;
        profile.shares.iter_mut().for_each(|share| *share /= total);
        profile
    }
}

/// The number per row that is watched for drift: the predicted value, the probability of the class
/// at index 1, or without probabilities 1 if that class is predicted and 0 if not.
pub fn watched(predictions: &Predictions) -> Vec<f64> {
    match predictions {
        Predictions::Values(values) => values.clone(),
        Predictions::Classes {
            labels,
            probabilities: None,
        } => labels
            .iter()
            .map(|label| f64::from(u8::from(*label == 1)))
            .collect(),
        Predictions::Classes {
            labels,
            probabilities: Some(probabilities),
        } => {
            let classes = probabilities.len() / labels.len().max(1);
            probabilities
                .chunks(classes.max(2))
                .map(|row| row[1])
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_distinct_values_make_ten_bins_of_equal_share() {
        let values: Vec<f64> = (1..=1000).map(f64::from).collect();
        let profile = Profile::of(&values);
        assert_eq!(
            profile.edges,
            [
                100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0
            ]
        );
        assert!(profile.shares.iter().all(|share| *share == 0.1));
    }

    #[test]
    fn a_constant_has_one_bin_and_two_values_have_two() {
        assert!(Profile::of(&[3.0; 500]).edges.is_empty());
        let flags = [[0.0; 300].as_slice(), &[1.0; 100]].concat();
        let profile = Profile::of(&flags);
        assert_eq!(
            (profile.edges, profile.shares),
            (vec![0.0], vec![0.75, 0.25])
        );
    }

    #[test]
    fn edges_are_no_longer_than_a_label_value_can_show() {
        let values = [[1e-200; 100], [-1e-200; 100], [1e300; 100], [1e301; 100]];
        assert_eq!(Profile::of(&values.concat()).edges, [0.0, 1e100]);
        assert!(Profile::of(&[1e-200; 100]).edges.is_empty());
    }

    proptest! {
        #[test]
        fn edges_rise_strictly_and_no_bin_is_empty(values in prop::collection::vec(-5_i32..5, 1..300)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let profile = Profile::of(&values);
            prop_assert!(profile.edges.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(profile.shares.iter().all(|share| *share > 0.0));
            prop_assert!((profile.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }
}
