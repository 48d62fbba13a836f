//! An estimator without the golden rows around it, which few changes of a model file get past: what
//! is built predicts any row, each alone as in company. The first byte tells the algorithm and task.
#![cfg_attr(fuzzing, no_main)]

use inference::artifact::{Algorithm, Task};
use inference::engine::{Shape, build};
use inference::model::{Batch, Model, Predictions};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const FEATURES: usize = 2;
const CLASSES: usize = 3;
const FAR: [f64; 6] = [0.0, 1.5, -1.0, 1e30, f64::MAX, f64::MIN];

pub(crate) fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let (Some(shape), Ok(json)) = (shape(*first), std::str::from_utf8(rest)) else {
        return;
    };
    if let Ok(model) = build(shape, None, json) {
        check(shape, &*model);
    }
}

/// Letters in the order of the algorithms: capitals for classes, the others for numbers.
fn shape(letter: u8) -> Option<Shape> {
    let at = letter.to_ascii_lowercase().checked_sub(b'a')?;
    let (algorithm, ..) = Algorithm::ALL.get(usize::from(at))?;
    let (task, classes) = match letter.is_ascii_uppercase() {
        true => (Task::Classification, CLASSES),
        false => (Task::Regression, 0),
    };
    Some(Shape {
        task,
        algorithm: *algorithm,
        features: FEATURES,
        classes,
    })
}

fn check(shape: Shape, model: &dyn Model) {
    let pairs = FAR.iter().flat_map(|a| FAR.iter().map(move |b| [*a, *b]));
    let batch = Batch::new(pairs.flatten().collect(), FEATURES).unwrap();
    let together = one_by_one(shape, &model.predict(&batch));
    let alone = batch.iter().flat_map(|row| {
        let row = Batch::new(row.to_vec(), FEATURES).unwrap();
        one_by_one(shape, &model.predict(&row))
    });
    assert_eq!(together, alone.collect::<Vec<_>>());
}

/// Each prediction as text: NaN is then equal to itself.
fn one_by_one(shape: Shape, predictions: &Predictions) -> Vec<String> {
    match predictions {
        Predictions::Values(values) => {
            assert_eq!(shape.task, Task::Regression);
            values.iter().map(f64::to_string).collect()
        }
        Predictions::Classes {
            labels,
            probabilities,
        } => {
            assert!(labels.iter().all(|label| *label < shape.classes));
            let shares = probabilities.as_deref().unwrap_or_default();
            assert!([0, labels.len() * shape.classes].contains(&shares.len()));
            let mut shares = shares.chunks(CLASSES);
            let row = |label| format!("{label} {:?}", shares.next());
            labels.iter().map(row).collect()
        }
    }
}
