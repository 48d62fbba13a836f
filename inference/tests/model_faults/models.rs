//! One small model of every algorithm for each of its tasks.

use crate::common::{encode, options, train};
use inference::artifact::{Algorithm, Task};
use inference::table::Table;
use inference::train::save;
use serde_json::Value;
use std::sync::LazyLock;

/// A trained model.
pub(crate) struct Sample {
    pub(crate) task: Task,
    pub(crate) algorithm: Algorithm,
    pub(crate) plain: Vec<u8>,
    pub(crate) packed: Vec<u8>,
}

impl Sample {
    fn new(task: Task, algorithm: Algorithm) -> Self {
        let mut options = options("y", algorithm);
        if matches!(algorithm, Algorithm::RandomForest | Algorithm::ExtraTrees) {
            options.parameters = vec![("trees".to_owned(), "3".to_owned())];
        }
        let table = Table::read(csv(task).as_bytes()).unwrap();
        let file = train(&table, &options).unwrap();
        assert_eq!(file.manifest.task, task);
        Self {
            task,
            algorithm,
            plain: encode(&file),
            packed: save::encode(&file, true).unwrap(),
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} of {}", self.algorithm, self.task)
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.plain).unwrap()
    }
}

/// 40 rows of three features; the target is a number, or one of three classes.
fn csv(task: Task) -> String {
    let mut text = "a,b,c,y\n".to_owned();
    for row in 0..40 {
        let [a, b, c] = [row % 7, row * 37 % 11, row * row % 13].map(f64::from);
        let sum = 1.5 * a - b + 0.25 * c;
        let target = match task {
            Task::Regression => (sum + f64::from(row % 5) / 8.0).to_string(),
            Task::Classification if sum < -1.0 => "low".to_owned(),
            Task::Classification if sum < 3.0 => "middle".to_owned(),
            Task::Classification => "high".to_owned(),
        };
        text += &format!("{a},{b},{},{target}\n", c / 3.0);
    }
    text
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let all = Algorithm::ALL.iter();
    all.flat_map(|(algorithm, _, tasks)| tasks.iter().map(|task| Sample::new(*task, *algorithm)))
        .collect()
});

/// All of them.
pub(crate) fn samples() -> &'static [Sample] {
    &SAMPLES
}

/// That of `algorithm` for `task`.
pub(crate) fn sample(task: Task, algorithm: Algorithm) -> &'static Sample {
    let mut samples = SAMPLES.iter();
    let found = samples.find(|sample| (sample.task, sample.algorithm) == (task, algorithm));
    found.unwrap()
}
