//! The engines against smartcore itself: bit for bit, on random data and models.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

use inference::artifact::{Algorithm, Scaling, Task};
use inference::engine::{self, Kernel, Machines, Matrix, Shape};
use inference::model::{Batch, Model, Predictions};
use inference::train::data::{Data, Target};
use inference::train::fit::{Fitted, fit};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use smartcore::api::Predictor;
use smartcore::ensemble::extra_trees_regressor::ExtraTreesRegressor;
use smartcore::ensemble::random_forest_classifier::RandomForestClassifier;
use smartcore::ensemble::random_forest_regressor::RandomForestRegressor;
use smartcore::linalg::basic::arrays::{Array, Array2};
use smartcore::linear::elastic_net::ElasticNet;
use smartcore::linear::lasso::Lasso;
use smartcore::linear::linear_regression::LinearRegression;
use smartcore::linear::logistic_regression::LogisticRegression;
use smartcore::linear::ridge_regression::RidgeRegression;
use smartcore::metrics::distance::euclidian::Euclidian;
use smartcore::naive_bayes::gaussian::GaussianNB;
use smartcore::neighbors::knn_classifier::KNNClassifier;
use smartcore::neighbors::knn_regressor::KNNRegressor;
use smartcore::svm::Kernels;
use smartcore::svm::svc::{SVC, SVCParameters};
use smartcore::svm::svr::{SVR, SVRParameters};
use smartcore::tree::decision_tree_classifier::DecisionTreeClassifier;
use smartcore::tree::decision_tree_regressor::DecisionTreeRegressor;

type Labels = Vec<u32>;
type Values = Vec<f64>;

/// A fitted estimator and rows to predict.
struct Case {
    fitted: Fitted,
    model: Box<dyn Model>,
    queries: Vec<f64>,
    features: usize,
    classes: usize,
}

impl Case {
    /// None if the data cannot be learnt by the algorithm, which is no matter of the engine.
    fn new(
        algorithm: Algorithm,
        data: &Data,
        parameters: &[(String, String)],
        queries: &[f64],
    ) -> Option<Self> {
        let fitted = fit(algorithm, data, parameters, 7).ok()?;
        let shape = Shape {
            task: data.target.task(),
            algorithm,
            features: data.features.len(),
            classes: data.target.names().len(),
        };
        let model = engine::build(shape, fitted.scaling.as_ref(), fitted.estimator.get()).ok()?;
        // Rows of the training data meet thresholds and neighbours exactly.
        let queries = [queries, &data.values].concat();
        let queries = queries[..queries.len() / shape.features * shape.features].to_vec();
        Some(Self {
            fitted,
            model,
            queries,
            features: shape.features,
            classes: shape.classes,
        })
    }

    /// The rows as smartcore is given them.
    fn matrix(&self) -> Matrix {
        let values = match &self.fitted.scaling {
            None => self.queries.clone(),
            Some(scaling) => scaling.apply(&self.queries),
        };
        Matrix::new(values.len() / self.features, self.features, values, false).unwrap()
    }

    fn smartcore<E: DeserializeOwned>(&self) -> E {
        serde_json::from_str(self.fitted.estimator.get()).unwrap()
    }

    fn oracle<E: DeserializeOwned + Predictor<Matrix, Y>, Y>(&self) -> Y {
        self.smartcore::<E>().predict(&self.matrix()).unwrap()
    }

    /// Predictions of the engine, which must not depend on how rows are put into batches.
    fn predictions(&self) -> Predictions {
        let all = Batch::new(self.queries.clone(), self.features).unwrap();
        let together = self.model.predict(&all);
        for (index, row) in all.iter().enumerate() {
            let alone = Batch::new(row.to_vec(), self.features).unwrap();
            let alone = self.model.predict(&alone);
            match (&alone, &together) {
                (Predictions::Values(one), Predictions::Values(all)) => {
                    assert_eq!(one[0].to_bits(), all[index].to_bits());
                }
                (
                    Predictions::Classes {
                        labels: one,
                        probabilities: shares,
                    },
                    Predictions::Classes {
                        labels: all,
                        probabilities: all_shares,
                    },
                ) => {
                    assert_eq!(one[0], all[index]);
                    let bits = |shares: &[f64]| -> Vec<u64> {
                        shares.iter().map(|share| share.to_bits()).collect()
                    };
                    let row = index * self.classes..(index + 1) * self.classes;
                    assert_eq!(
                        shares.as_ref().map(|shares| bits(shares)),
                        all_shares.as_ref().map(|shares| bits(&shares[row]))
                    );
                }
                _ => panic!("one row and many are predicted differently"),
            }
        }
        together
    }

    fn labels(&self) -> Labels {
        let Predictions::Classes {
            labels,
            probabilities,
        } = self.predictions()
        else {
            panic!("not a classifier");
        };
        for row in probabilities
            .iter()
            .flat_map(|shares| shares.chunks(self.classes))
        {
            let sum: f64 = row.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "the probabilities sum to {sum}");
        }
        labels.into_iter().map(|label| label as u32).collect()
    }

    fn values(&self) -> Vec<u64> {
        let Predictions::Values(values) = self.predictions() else {
            panic!("not a regression");
        };
        bits(&values)
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    // All NaN are one: nothing promises which one an operation gives.
    let canonical = |value: &f64| if value.is_nan() { f64::NAN } else { *value };
    values
        .iter()
        .map(|value| canonical(value).to_bits())
        .collect()
}

/// Numbers to learn from: many equal, some extreme.
fn trained_on() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-3_i8..4).prop_map(f64::from),
        3 => -100.0..100.0_f64,
        1 => Just(-0.0),
        1 => prop_oneof![Just(1e-300), Just(-5e-324), Just(1e9), Just(-1e9)],
    ]
}

/// Numbers to predict: any that the server lets through.
fn predicted() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => trained_on(),
        1 => any::<f64>().prop_filter("finite", |value| value.is_finite()),
        1 => prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(1e200), Just(-1e200)],
    ]
}

fn data(
    target: impl Fn(usize, &mut dyn FnMut() -> f64) -> Target,
    features: usize,
    cells: &[f64],
) -> Data {
    let rows = cells.len() / (features + 1);
    let values = cells[..rows * features].to_vec();
    let mut rest = cells[rows * features..].iter().copied();
    Data {
        features: (0..features).map(|feature| format!("f{feature}")).collect(),
        values,
        target: target(rows, &mut || rest.next().unwrap_or(0.0)),
    }
}

fn classes(count: usize, features: usize, cells: &[f64]) -> Data {
    data(
        |rows, next| Target::Classes {
            // Every class occurs: the first rows go round.
            labels: (0..rows)
                .map(|row| {
                    if row < 2 * count {
                        row % count
                    } else {
                        next().abs() as usize % count
                    }
                })
                .map(|label| label as u32)
                .collect(),
            names: (0..count).map(|class| class.to_string()).collect(),
        },
        features,
        cells,
    )
}

fn values(features: usize, cells: &[f64]) -> Data {
    data(
        |rows, next| Target::Values((0..rows).map(|_| next()).collect()),
        features,
        cells,
    )
}

fn parameters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Whether there was anything to compare.
fn check_classifier(algorithm: Algorithm, data: &Data, queries: &[f64]) -> bool {
    let given = match algorithm {
        Algorithm::RandomForest => parameters(&[("trees", "13")]),
        Algorithm::Knn => parameters(&[("k", "4")]),
        _ => Vec::new(),
    };
    let Some(case) = Case::new(algorithm, data, &given, queries) else {
        return false;
    };
    let expected: Labels = match algorithm {
        Algorithm::LogisticRegression => {
            case.oracle::<LogisticRegression<f64, u32, Matrix, Labels>, _>()
        }
        Algorithm::DecisionTree => {
            case.oracle::<DecisionTreeClassifier<f64, u32, Matrix, Labels>, _>()
        }
        Algorithm::RandomForest => {
            case.oracle::<RandomForestClassifier<f64, u32, Matrix, Labels>, _>()
        }
        Algorithm::Knn => {
            case.oracle::<KNNClassifier<f64, u32, Matrix, Labels, Euclidian<f64>>, _>()
        }
        Algorithm::GaussianNb => case.oracle::<GaussianNB<f64, u32, Matrix, Labels>, _>(),
        Algorithm::Svm => one_versus_one(&case, data),
        _ => panic!("not a classifier"),
    };
    assert_eq!(case.labels(), expected);
    true
}

/// Whether there was anything to compare.
fn check_regressor(algorithm: Algorithm, data: &Data, queries: &[f64]) -> bool {
    let given = match algorithm {
        Algorithm::RandomForest | Algorithm::ExtraTrees => parameters(&[("trees", "13")]),
        Algorithm::Knn => parameters(&[("k", "4")]),
        _ => Vec::new(),
    };
    let Some(case) = Case::new(algorithm, data, &given, queries) else {
        return false;
    };
    let expected: Values = match algorithm {
        Algorithm::LinearRegression => {
            case.oracle::<LinearRegression<f64, f64, Matrix, Values>, _>()
        }
        Algorithm::Ridge => case.oracle::<RidgeRegression<f64, f64, Matrix, Values>, _>(),
        Algorithm::Lasso => case.oracle::<Lasso<f64, f64, Matrix, Values>, _>(),
        Algorithm::ElasticNet => case.oracle::<ElasticNet<f64, f64, Matrix, Values>, _>(),
        Algorithm::DecisionTree => {
            case.oracle::<DecisionTreeRegressor<f64, f64, Matrix, Values>, _>()
        }
        Algorithm::RandomForest => {
            case.oracle::<RandomForestRegressor<f64, f64, Matrix, Values>, _>()
        }
        Algorithm::ExtraTrees => case.oracle::<ExtraTreesRegressor<f64, f64, Matrix, Values>, _>(),
        Algorithm::Knn => {
            case.oracle::<KNNRegressor<f64, f64, Matrix, Values, Euclidian<f64>>, _>()
        }
        Algorithm::Svm => support_vector_regression(&case, data),
        _ => panic!("not a regression"),
    };
    assert_eq!(case.values(), bits(&expected));
    true
}

fn scaled(scaling: Option<&Scaling>, data: &Data) -> Matrix {
    let features = data.features.len();
    let values = scaling.unwrap().apply(&data.values);
    Matrix::new(values.len() / features, features, values, false).unwrap()
}

fn kernel(case: &Case) -> Kernels {
    match case.smartcore::<Machines>().kernel {
        Kernel::Linear => Kernels::linear(),
        Kernel::Rbf { gamma } => Kernels::rbf().with_gamma(gamma),
    }
}

/// smartcore's own machines, fitted again since they cannot be saved; the most wins, the lowest
/// class among equals.
fn one_versus_one(case: &Case, data: &Data) -> Labels {
    let Target::Classes { labels, .. } = &data.target else {
        panic!("not a classifier");
    };
    let x = scaled(case.fitted.scaling.as_ref(), data);
    let queries = case.matrix();
    let parameters = SVCParameters::default()
        .with_epoch(2)
        .with_kernel(kernel(case))
        .with_seed(Some(7));
    let mut wins = vec![vec![0; case.classes]; queries.shape().0];
    for lower in 0..case.classes as u32 {
        for higher in lower + 1..case.classes as u32 {
            let of_pair = |row: &usize| [lower, higher].contains(&labels[*row]);
            let rows: Vec<usize> = (0..labels.len()).filter(of_pair).collect();
            let (x, y) = (
                x.take(&rows, 0),
                rows.iter().map(|row| labels[*row]).collect::<Labels>(),
            );
            let machine = SVC::fit(&x, &y, &parameters).unwrap();
            for (row, winner) in machine.predict(&queries).unwrap().into_iter().enumerate() {
                wins[row][winner as usize] += 1;
            }
        }
    }
    let most = |wins: &Vec<i32>| {
        let best = wins.iter().max().unwrap();
        wins.iter().position(|count| count == best).unwrap() as u32
    };
    wins.iter().map(most).collect()
}

fn support_vector_regression(case: &Case, data: &Data) -> Values {
    let Target::Values(y) = &data.target else {
        panic!("not a regression");
    };
    let x = scaled(case.fitted.scaling.as_ref(), data);
    let parameters = SVRParameters::default()
        .with_c(10.0)
        .with_kernel(kernel(case));
    SVR::fit(&x, y, &parameters)
        .unwrap()
        .predict(&case.matrix())
        .unwrap()
}

fn cells() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>)> {
    let trained_on = prop::collection::vec(trained_on(), 60..240);
    let predicted = prop::collection::vec(predicted(), 5..100);
    (1_usize..5, trained_on, predicted)
}

#[test]
fn ordinary_data_is_compared_for_every_algorithm() {
    let cells: Vec<f64> = (0..200)
        .map(|cell| f64::from((cell * 37) % 101) / 10.0)
        .collect();
    let queries: Vec<f64> = (0..30).map(f64::from).collect();
    for (algorithm, name, tasks) in Algorithm::ALL {
        for task in *tasks {
            let compared = match task {
                Task::Classification => {
                    check_classifier(*algorithm, &classes(3, 3, &cells), &queries)
                }
                Task::Regression => check_regressor(*algorithm, &values(3, &cells), &queries),
            };
            assert!(compared, "{name} for {task}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn classifiers_answer_as_smartcore_does((features, cells, queries) in cells(), count in 2_usize..5) {
        let data = classes(count, features, &cells);
        for (algorithm, _, tasks) in Algorithm::ALL {
            if tasks.contains(&Task::Classification) {
                check_classifier(*algorithm, &data, &queries);
            }
        }
    }

    #[test]
    fn regressions_answer_as_smartcore_does((features, cells, queries) in cells()) {
        let data = values(features, &cells);
        for (algorithm, _, tasks) in Algorithm::ALL {
            if tasks.contains(&Task::Regression) {
                check_regressor(*algorithm, &data, &queries);
            }
        }
    }
}

/// Row of zeros through an estimator written by hand.
fn predict_zeros(algorithm: Algorithm, estimator: &serde_json::Value) -> Predictions {
    let shape = Shape {
        task: Task::Classification,
        algorithm,
        features: 2,
        classes: 3,
    };
    let shape = match algorithm {
        Algorithm::LogisticRegression => Shape {
            classes: 2,
            ..shape
        },
        _ => shape,
    };
    let model = engine::build(shape, None, &estimator.to_string()).unwrap();
    model.predict(&Batch::new(vec![0.0; 2], 2).unwrap())
}

#[test]
fn a_probability_of_one_half_is_class_0_as_in_smartcore() {
    let estimator = serde_json::json!({
        "coefficients": {"nrows": 1, "ncols": 2, "values": [1.0, 2.0], "column_major": false},
        "intercept": {"nrows": 1, "ncols": 1, "values": [0.0], "column_major": false},
        "classes": [0, 1], "num_attributes": 2, "num_classes": 2,
        "solver": null, "_phantom_tx": null, "_phantom_y": null,
    });
    let predictions = predict_zeros(Algorithm::LogisticRegression, &estimator);
    let oracle: LogisticRegression<f64, u32, Matrix, Labels> =
        serde_json::from_value(estimator).unwrap();
    let zeros = Matrix::new(1, 2, vec![0.0; 2], false).unwrap();
    assert_eq!(oracle.predict(&zeros).unwrap(), [0]);
    assert_eq!(
        predictions,
        Predictions::Classes {
            labels: vec![0],
            probabilities: Some(vec![0.5, 0.5]),
        }
    );
}

#[test]
fn trees_in_disagreement_elect_the_lowest_class_as_in_smartcore() {
    let tree = |class: usize| {
        serde_json::json!({
            "nodes": [{
                "output": class, "n_node_samples": 1, "split_feature": 0, "split_value": null,
                "split_score": null, "true_child": null, "false_child": null, "impurity": null,
            }],
            "parameters": null, "num_classes": 3, "classes": [0, 1, 2], "depth": 1,
            "num_features": 2, "_phantom_tx": null, "_phantom_x": null, "_phantom_y": null,
        })
    };
    let estimator = serde_json::json!({
        "trees": [tree(2), tree(1), tree(2), tree(1)], "classes": [0, 1, 2], "samples": null,
    });
    let predictions = predict_zeros(Algorithm::RandomForest, &estimator);
    let oracle: RandomForestClassifier<f64, u32, Matrix, Labels> =
        serde_json::from_value(estimator).unwrap();
    let zeros = Matrix::new(1, 2, vec![0.0; 2], false).unwrap();
    assert_eq!(oracle.predict(&zeros).unwrap(), [1]);
    assert_eq!(
        predictions,
        Predictions::Classes {
            labels: vec![1],
            probabilities: Some(vec![0.0, 0.5, 0.5]),
        }
    );
}

#[test]
fn an_undecided_machine_chooses_the_lower_class() {
    let undecided = serde_json::json!({"instances": [[1.0, 1.0]], "w": [0.0], "b": 0.0});
    let estimator =
        serde_json::json!({"kernel": "linear", "machines": [undecided, undecided, undecided]});
    let predictions = predict_zeros(Algorithm::Svm, &estimator);
    assert_eq!(
        predictions,
        Predictions::Classes {
            labels: vec![0],
            probabilities: None,
        }
    );
}
