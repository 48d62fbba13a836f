//! Every algorithm on every example: trained, saved, loaded, evaluated.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;

use common::{EXAMPLES, data, encode, load_bytes, options, train, train_example};
use inference::artifact::{Algorithm, Report, Task};
use inference::evaluate::evaluate;
use inference::table::Table;
use inference::train::{parameters, save};
use rstest::rstest;
use std::collections::BTreeSet;

/// Worse than this on the held-out rows means that something is broken, not that the split was bad.
fn good_enough(report: &Report) -> bool {
    match report {
        Report::Classification(report) => report.accuracy > 0.65,
        Report::Regression(report) => report.rmse < 80.0,
    }
}

#[test]
fn every_algorithm_learns_every_example_of_its_tasks() {
    for (index, (file, _, task)) in EXAMPLES.into_iter().enumerate() {
        let table = Table::open(&data(file)).unwrap();
        let able = Algorithm::ALL
            .iter()
            .filter(|(_, _, tasks)| tasks.contains(&task));
        for (algorithm, name, _) in able {
            let trained = train_example(index, *algorithm);
            let training = &trained.manifest.training;
            let keys = parameters::of(*algorithm, task).into_iter();
            let keys: BTreeSet<_> = keys.map(|key| key.name.to_owned()).collect();
            assert!(training.parameters.keys().eq(&keys), "{name} on {file}");
            let report = &training.report;
            assert!(good_enough(report), "{name} on {file}: {report:?}");
            let loaded = load_bytes(&encode(&trained)).unwrap();
            assert_eq!(loaded.manifest, trained.manifest);
            assert!(
                good_enough(&evaluate(&loaded, &table).unwrap()),
                "{name} on {file}"
            );
        }
    }
}

#[rstest]
#[case(Algorithm::RandomForest)]
#[case(Algorithm::Svm)]
fn the_same_seed_gives_the_same_bytes_and_another_does_not(#[case] algorithm: Algorithm) {
    let table = Table::open(&data("wine.csv")).unwrap();
    let file = |seed| {
        let options = inference::train::Options {
            seed,
            ..options("target", algorithm)
        };
        save::encode(&train(&table, &options).unwrap(), true).unwrap()
    };
    assert_eq!(file(7), file(7));
    assert_ne!(file(7), file(8));
}

#[test]
fn an_algorithm_that_the_task_does_not_have_is_refused_with_those_it_has() {
    let table = Table::open(&data("wine.csv")).unwrap();
    let mut options = options("target", Algorithm::Lasso);
    let error = train(&table, &options).unwrap_err().to_string();
    assert_eq!(
        error,
        "lasso does not exist for classification; for classification there are: \
         logistic-regression, decision-tree, random-forest, knn, gaussian-nb, svm"
    );
    options.task = Some(Task::Regression);
    assert!(train(&table, &options).is_ok());
}

/// Twelve rows of two classes; the columns after `a` are up to the case.
fn rows(header: &str, row: impl Fn(usize) -> String) -> Table {
    let rows: String = (0..12)
        .map(|index| format!("{},{}\n", row(index), index % 2))
        .collect();
    Table::read(format!("{header},y\n{rows}").as_bytes()).unwrap()
}

#[rstest]
#[case(Algorithm::Ridge, "feature \"b\" is constant: leave it out")]
#[case(Algorithm::Lasso, "feature \"b\" is constant: leave it out")]
#[case(Algorithm::ElasticNet, "feature \"b\" is constant: leave it out")]
fn a_constant_feature_is_refused_where_it_cannot_be_fitted(
    #[case] algorithm: Algorithm,
    #[case] message: &str,
) {
    let table = rows("a,b", |index| format!("{index},5"));
    let mut options = options("y", algorithm);
    options.task = Some(Task::Regression);
    let error = train(&table, &options).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_feature_constant_in_one_class_is_refused_by_naive_bayes() {
    let table = rows("a,b", |index| format!("{index},{}", index * (index % 2)));
    let error = train(&table, &options("y", Algorithm::GaussianNb)).unwrap_err();
    let message = "feature \"b\" is constant in class \"0\"";
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_constant_feature_changes_nothing_for_the_others() {
    let table = rows("a,b", |index| format!("{index},5"));
    for (algorithm, name, tasks) in Algorithm::ALL {
        use Algorithm::{GaussianNb, LogisticRegression, Ridge};
        let refused = matches!(
            algorithm,
            GaussianNb | Ridge | Algorithm::Lasso | Algorithm::ElasticNet
        );
        if refused {
            continue;
        }
        let mut options = options("y", *algorithm);
        options.task = Some(tasks[0]);
        let trained = train(&table, &options);
        assert!(trained.is_ok(), "{name}: {trained:?}");
        assert!(*algorithm != LogisticRegression || trained.unwrap().scaling.is_some());
    }
}

#[rstest]
#[case(Algorithm::LinearRegression, "too few for 20 features")]
#[case(Algorithm::Ridge, "too few for 20 features")]
#[case(Algorithm::Lasso, "too few for 20 features")]
#[case(Algorithm::Svm, "fewer than the 20 features")]
fn more_features_than_rows_are_refused_where_they_cannot_be_fitted(
    #[case] algorithm: Algorithm,
    #[case] message: &str,
) {
    let header: Vec<String> = (0..20).map(|column| format!("f{column}")).collect();
    let table = rows(&header.join(","), |row| {
        let cells = (0..20).map(|column| ((row * 7 + column * 3) % 11).to_string());
        cells.collect::<Vec<_>>().join(",")
    });
    let mut options = options("y", algorithm);
    options.task = Some(algorithm.tasks()[0]);
    if algorithm == Algorithm::Svm {
        options.task = Some(Task::Classification);
    }
    let error = train(&table, &options).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn more_neighbours_than_rows_are_refused() {
    let table = rows("a", |index| index.to_string());
    let mut options = options("y", Algorithm::Knn);
    options.parameters = vec![("k".to_owned(), "50".to_owned())];
    let error = anyhow::Error::new(train(&table, &options).unwrap_err());
    let expected = "the fitted estimator cannot be served: k is 50, expected 1 to 10";
    assert_eq!(format!("{error:#}"), expected);
}

#[test]
fn holes_are_filled_in_training_and_remembered() {
    let table = rows("a,b", |index| {
        format!(
            "{index},{}",
            if index == 3 {
                String::new()
            } else {
                index.to_string()
            }
        )
    });
    let mut options = options("y", Algorithm::DecisionTree);
    let error = train(&table, &options).unwrap_err().to_string();
    assert!(
        error.contains("line 5, column \"b\": the cell is empty; --impute-missing"),
        "{error}"
    );
    options.impute_missing = true;
    let features = train(&table, &options).unwrap().manifest.features;
    assert!(features[0].fill.is_none() && features[1].fill.is_some());
}
