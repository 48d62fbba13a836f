//! Nearest neighbours. Among neighbours at equal distance smartcore chooses by the order of its
//! heap, and it sums in that order, so the heap here is laid out like smartcore's. Mending it takes
//! a walk from top to bottom, though, where smartcore looks at all of it again for every row that is
//! nearer than one before: a file with many neighbours that come ever nearer would keep it busy for
//! hours.

use super::{Defect, Shape, argmax, class_indices, fields, finite, length};
use crate::model::{Batch, Model, Predictions};
use serde::Deserialize;

/// The rows that a prediction looks for neighbours among.
#[derive(Debug)]
struct Neighbours {
    /// Row-major.
    values: Vec<f64>,
    columns: usize,
    k: usize,
}

/// A neighbour, or a place for one at an infinite distance.
#[derive(Debug, Clone, Copy)]
struct Near {
    distance: f64,
    index: usize,
}

impl Neighbours {
    /// Indices of the `k` rows nearest to `row`, in the order of the heap; those infinitely far away
    /// are no neighbours. Standard scores are bounded, so there are none of those.
    fn of(&self, row: &[f64]) -> Vec<usize> {
        let place = Near {
            distance: f64::INFINITY,
            index: 0,
        };
        let mut heap = vec![place; self.k];
        for (index, other) in self.values.chunks_exact(self.columns).enumerate() {
            let distance = distance(row, other);
            if distance < heap[0].distance {
                heap[0] = Near { distance, index };
                sink(&mut heap);
            }
        }
        let found = heap.into_iter().filter(|near| near.distance.is_finite());
        found.map(|near| near.index).collect()
    }
}

/// Euclidean, in smartcore's order of operations.
fn distance(row: &[f64], other: &[f64]) -> f64 {
    let squares = row.iter().zip(other).map(|(x, y)| (x - y) * (x - y));
    squares.sum::<f64>().sqrt()
}

/// Exchanges the first place with farther ones below it until there are none. Below place `i` are
/// `2i` and `2i + 1`: the first place is its own child, and stands above the second.
fn sink(heap: &mut [Near]) {
    let mut at = 0;
    while let Some(below) = farthest_below(heap, at) {
        if heap[at].distance >= heap[below].distance {
            break;
        }
        heap.swap(at, below);
        at = below;
    }
}

fn farthest_below(heap: &[Near], at: usize) -> Option<usize> {
    let left = heap.get(2 * at)?;
    let right = heap.get(2 * at + 1);
    let farther = right.is_some_and(|right| left.distance < right.distance);
    Some(2 * at + usize::from(farther))
}

/// Neighbours vote.
#[derive(Debug)]
struct Classification {
    neighbours: Neighbours,
    labels: Vec<usize>,
    classes: usize,
}

impl Classification {
    /// The share of each class among the neighbours; NaN without neighbours.
    fn shares(&self, row: &[f64]) -> Vec<f64> {
        let found = self.neighbours.of(row);
        let mut shares = vec![0.0; self.classes];
        for index in &found {
            shares[self.labels[*index]] += 1.0;
        }
        let each = 1.0 / found.len() as f64;
        shares.iter_mut().for_each(|share| *share *= each);
        shares
    }
}

impl Model for Classification {
    fn predict(&self, batch: &Batch) -> Predictions {
        let probabilities: Vec<f64> = batch.iter().flat_map(|row| self.shares(row)).collect();
        let labels = probabilities.chunks_exact(self.classes).map(argmax);
        Predictions::Classes {
            labels: labels.collect(),
            probabilities: Some(probabilities),
        }
    }
}

/// Mean of the neighbours.
#[derive(Debug)]
struct Regression {
    neighbours: Neighbours,
    targets: Vec<f64>,
}

impl Regression {
    /// The mean; NaN without neighbours.
    fn mean(&self, row: &[f64]) -> f64 {
        let found = self.neighbours.of(row);
        if found.is_empty() {
            return f64::NAN;
        }
        let each = 1.0 / found.len() as f64;
        let parts = found.iter().map(|index| self.targets[*index] * each);
        parts.fold(0.0, |sum, part| sum + part)
    }
}

impl Model for Regression {
    fn predict(&self, batch: &Batch) -> Predictions {
        Predictions::Values(batch.iter().map(|row| self.mean(row)).collect())
    }
}

#[derive(Deserialize)]
enum Search {
    LinearSearch { data: Vec<Vec<f64>> },
}

#[derive(Deserialize)]
enum Weight {
    Uniform,
}

#[derive(Deserialize)]
struct ClassifierFields {
    classes: Vec<u32>,
    y: Vec<usize>,
    knn_algorithm: Search,
    #[serde(rename = "weight")]
    _weight: Weight,
    k: usize,
}

#[derive(Deserialize)]
struct RegressorFields {
    y: Vec<f64>,
    knn_algorithm: Search,
    #[serde(rename = "weight")]
    _weight: Weight,
    k: usize,
}

/// Nearest neighbours vote.
pub(super) fn classifier(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: ClassifierFields = fields(shape, estimator)?;
    class_indices(&read.classes, shape.classes)?;
    if read.y.iter().any(|label| *label >= shape.classes) {
        return Err(Defect::structure("a neighbour is of no known class"));
    }
    Ok(Box::new(Classification {
        neighbours: neighbours(shape, read.knn_algorithm, read.k, read.y.len())?,
        labels: read.y,
        classes: shape.classes,
    }))
}

/// Mean of the nearest neighbours.
pub(super) fn regressor(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: RegressorFields = fields(shape, estimator)?;
    finite("targets of the neighbours", &read.y)?;
    Ok(Box::new(Regression {
        neighbours: neighbours(shape, read.knn_algorithm, read.k, read.y.len())?,
        targets: read.y,
    }))
}

fn neighbours(
    shape: Shape,
    search: Search,
    k: usize,
    targets: usize,
) -> Result<Neighbours, Defect> {
    let Search::LinearSearch { data } = search;
    let (rows, columns) = (data.len(), shape.features);
    length("targets of the neighbours", targets, rows)?;
    if !(1..=rows).contains(&k) {
        let problem = format!("k is {k}, expected 1 to {rows}");
        return Err(Defect::structure(problem));
    }
    for row in &data {
        length("values of a neighbour", row.len(), columns)?;
        finite("a neighbour", row)?;
    }
    let values = data.concat();
    Ok(Neighbours { values, columns, k })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use smartcore::algorithm::neighbour::linear_search::LinearKNNSearch;
    use smartcore::metrics::distance::euclidian::Euclidian;

    proptest! {
        /// Few distinct values, so that many neighbours are at equal distance.
        #[test]
        fn neighbours_and_their_order_are_those_of_smartcore(
            data in prop::collection::vec(prop::collection::vec(-3_i8..3, 2), 1..40),
            row in prop::collection::vec(-3_i8..3, 2),
            k in any::<prop::sample::Index>(),
        ) {
            let floats = |row: &Vec<i8>| row.iter().map(|value| f64::from(*value)).collect();
            let data: Vec<Vec<f64>> = data.iter().map(floats).collect();
            let (row, k) = (floats(&row), 1 + k.index(data.len()));
            let ours = Neighbours { values: data.concat(), columns: 2, k };
            let theirs = LinearKNNSearch::new(data, Euclidian::new()).unwrap();
            let theirs = theirs.find(&row, k).unwrap();
            let theirs: Vec<usize> = theirs.into_iter().map(|(index, ..)| index).collect();
            prop_assert_eq!(ours.of(&row), theirs);
        }
    }

    #[test]
    fn without_neighbours_there_is_no_mean() {
        let neighbours = Neighbours {
            values: vec![f64::MAX],
            columns: 1,
            k: 1,
        };
        let model = Regression {
            neighbours,
            targets: vec![1.0],
        };
        assert!(model.mean(&[f64::MIN]).is_nan());
    }
}
