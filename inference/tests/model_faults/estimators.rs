//! Estimators that would loop, read out of bounds or answer nonsense if they were believed.

use crate::judge::load;
use crate::models::{sample, samples};
use contract::labels::LoadFailure;
use inference::artifact::Algorithm::{self, *};
use inference::artifact::Task::{self, Classification, Regression};
use rstest::rstest;
use serde_json::{Value, json};

/// Stands in a document for text that no document can have.
const PLACEHOLDER: &str = "@here";
/// In the place of a value: the field is not there.
const GONE: &str = "";

/// The JSON of `document` with `text` in the place of the value at `pointer`.
pub(crate) fn replaced(mut document: Value, pointer: &str, text: &str) -> String {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    if text == GONE {
        parent.as_object_mut().unwrap().remove(key).unwrap();
        return document.to_string();
    }
    let place = match parent {
        Value::Array(list) => &mut list[key.parse::<usize>().unwrap()],
        other => other.get_mut(key).unwrap(),
    };
    *place = json!(PLACEHOLDER);
    let quoted = json!(PLACEHOLDER).to_string();
    document.to_string().replace(&quoted, text)
}

/// Puts each of `texts` at `pointer` below the estimator; each must be refused with `message`.
fn refused(task: Task, algorithm: Algorithm, pointer: &str, texts: &[&str], message: &str) {
    let document = sample(task, algorithm).document();
    for text in texts {
        let json = replaced(document.clone(), &format!("/estimator{pointer}"), text);
        let error = load(json.as_bytes()).unwrap_err();
        assert_eq!(error.reason, LoadFailure::Corrupt, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

/// What no number may be: NaN as JSON writers put it, infinities, other types.
const NO_NUMBERS: [&str; 8] = [
    GONE, "null", "1e999", "-1e999", "\"1\"", "[1]", "{}", "true",
];
/// What no index and no size may be.
const NO_SIZES: [&str; 6] = ["-1", "1.5", "1e3", "18446744073709551616", "null", "\"1\""];
/// Sizes that lie.
const HUGE: [&str; 4] = ["7", "65536", "4294967296", "18446744073709551615"];

const TREE: &str = "/nodes";
const REGRESSION_TREE: &str = "/tree_regressor/nodes";
const FOREST: &str = "/trees/2/nodes";
const REGRESSION_FOREST: &str = "/forest_regressor/trees/2/nodes";

#[rstest]
#[case(Classification, DecisionTree, TREE)]
#[case(Regression, DecisionTree, REGRESSION_TREE)]
#[case(Classification, RandomForest, FOREST)]
#[case(Regression, RandomForest, REGRESSION_FOREST)]
#[case(Regression, ExtraTrees, REGRESSION_FOREST)]
fn a_tree_that_cannot_be_followed_is_refused(
    #[case] task: Task,
    #[case] algorithm: Algorithm,
    #[case] nodes: &str,
) {
    let refused = |at: &str, texts: &[&str], message: &str| {
        refused(task, algorithm, &format!("{nodes}{at}"), texts, message);
    };
    let not = format!("is not a {algorithm}");
    refused("", &["[]"], "which has no nodes");
    for child in ["true_child", "false_child"] {
        let child = format!("/0/{child}");
        refused(&child, &["0"], "its child 0 does not come after it");
        refused(
            &child,
            &["65536", "4294967296", "18446744073709551615"],
            "there is no node",
        );
        refused(&child, &["null", GONE], "it has one child");
        refused(&child, &NO_SIZES[..4], &not);
    }
    refused("/0/true_child", &["2"], "node 0: node 2 has two parents");
    refused("/1/true_child", &["0", "1"], "does not come after it");
    refused(
        "/0/split_feature",
        &["3", "65536", "65537", "18446744073709551615"],
        "there is no feature",
    );
    refused("/0/split_feature", &NO_SIZES, &not);
    refused("/0/split_feature", &[GONE], &not);
    refused(
        "/0/split_value",
        &["null", GONE],
        "its threshold is not a finite number",
    );
    refused("/0/split_value", &["1e999", "-1e999", "\"1\""], &not);
    let outputs: &[&str] = match task {
        Regression => &NO_NUMBERS,
        Classification => &NO_SIZES,
    };
    refused("/0/output", outputs, &not);
    let children =
        json!({"output": 1, "split_feature": 0, "true_child": 1, "false_child": 2}).to_string();
    refused("/0", &["{}", "[]", "0", "null"], &not);
    refused("/0", &[&children], "its threshold is not a finite number");
}

#[rstest]
#[case(Classification, DecisionTree, "/nodes/0/output", &["3", "18446744073709551615"], "the output is no class")]
#[case(Classification, DecisionTree, "/classes", &["[]", "[0,1]", "[0,1,2,3]", "[0,2,1]", "[0,0,0]"], "classes are not 0 to 2")]
#[case(Classification, RandomForest, "/trees/1/nodes/0/output", &["3"], "tree 1, node 0: the output is no class")]
#[case(Classification, RandomForest, "/trees/1/classes", &["[]", "[1,2,3]"], "classes are not 0 to 2")]
#[case(Classification, RandomForest, "/classes", &["[]", "[1,2,3]"], "classes are not 0 to 2")]
#[case(Classification, RandomForest, "/trees", &["[]"], "a forest of no trees")]
#[case(Regression, RandomForest, "/forest_regressor/trees", &["[]"], "a forest of no trees")]
#[case(Regression, ExtraTrees, "/forest_regressor/trees", &["null", GONE], "is not a extra-trees")]
fn a_forest_that_contradicts_itself_is_refused(
    #[case] task: Task,
    #[case] algorithm: Algorithm,
    #[case] pointer: &str,
    #[case] texts: &[&str],
    #[case] message: &str,
) {
    refused(task, algorithm, pointer, texts, message);
}

#[rstest]
#[case(Classification, LogisticRegression)]
#[case(Regression, LinearRegression)]
#[case(Regression, Ridge)]
#[case(Regression, Lasso)]
#[case(Regression, ElasticNet)]
fn weights_that_do_not_fit_are_refused(#[case] task: Task, #[case] algorithm: Algorithm) {
    let not = format!("is not a {algorithm}");
    let refused = |pointer: &str, texts: &[&str], message: &str| {
        refused(task, algorithm, pointer, texts, message);
    };
    for size in ["nrows", "ncols"] {
        let size = format!("/coefficients/{size}");
        refused(&size, &HUGE, "coefficients are");
        refused(&size, &["0"], "coefficients are");
        refused(&size, &NO_SIZES, &not);
    }
    refused(
        "/coefficients/values",
        &["[]", "[1]", "[1,2,3,4,5,6,7,8,9,10]"],
        "coefficients are",
    );
    refused("/coefficients/values/0", &NO_NUMBERS[1..], &not);
    refused("/coefficients/column_major", &["null", "1"], &not);
    refused("/coefficients", &NO_NUMBERS, &not);
    refused("/intercept", &NO_NUMBERS, &not);
}

#[rstest]
#[case(LogisticRegression, Classification, "/intercept/values", &["[]", "[1]"], "intercepts are")]
#[case(LogisticRegression, Classification, "/intercept/nrows", &HUGE, "intercepts are")]
#[case(LogisticRegression, Classification, "/classes", &["[]", "[0,1]", "[1,2,3]"], "classes are not 0 to 2")]
#[case(LinearRegression, Regression, "/intercept/values", &["[]", "[1,2]"], "intercept are")]
#[case(GaussianNb, Classification, "/inner/distribution/class_labels", &["[]", "[0,1]", "[1,2,3]"], "classes are not 0 to 2")]
#[case(GaussianNb, Classification, "/inner/distribution/class_priors", &["[]", "[0.5,0.5]"], "class priors:")]
#[case(GaussianNb, Classification, "/inner/distribution/class_priors/0", &["0", "-1", "1.5"], "a class prior is")]
#[case(GaussianNb, Classification, "/inner/distribution/class_priors/0", &NO_NUMBERS[1..], "is not a gaussian-nb")]
#[case(GaussianNb, Classification, "/inner/distribution/theta", &["[]", "[[1,2,3]]"], "classes with means:")]
#[case(GaussianNb, Classification, "/inner/distribution/theta/0", &["[]", "[1,2,3,4]"], "means:")]
#[case(GaussianNb, Classification, "/inner/distribution/theta/0/0", &NO_NUMBERS[1..], "is not a gaussian-nb")]
#[case(GaussianNb, Classification, "/inner/distribution/var", &["[]", "[[1,2,3]]"], "classes with variances:")]
#[case(GaussianNb, Classification, "/inner/distribution/var/0", &["[]", "[1,2,3,4]"], "variances:")]
#[case(GaussianNb, Classification, "/inner/distribution/var/0/0", &["0", "-0.0", "-1", "1e-999"], "a variance is not above 0")]
#[case(GaussianNb, Classification, "/inner/distribution/var/0/0", &NO_NUMBERS[1..], "is not a gaussian-nb")]
#[case(Knn, Classification, "/k", &["0", "65536", "18446744073709551615"], "expected 1 to")]
#[case(Knn, Classification, "/k", &NO_SIZES, "is not a knn")]
#[case(Knn, Classification, "/y", &["[]", "[0]"], "targets of the neighbours:")]
#[case(Knn, Classification, "/y/0", &["3", "18446744073709551615"], "of no known class")]
#[case(Knn, Classification, "/y/0", &NO_SIZES, "is not a knn")]
#[case(Knn, Classification, "/classes", &["[]", "[0,1]", "[1,2,3]"], "classes are not 0 to 2")]
#[case(Knn, Classification, "/weight", &["\"Distance\"", "null", GONE], "is not a knn")]
#[case(Knn, Classification, "/knn_algorithm", &["{\"CoverTree\":{}}", "null", "{}"], "is not a knn")]
#[case(Knn, Regression, "/k", &["0", "65536", "18446744073709551615"], "expected 1 to")]
#[case(Knn, Regression, "/y", &["[]", "[0.5]"], "targets of the neighbours:")]
#[case(Knn, Regression, "/y/0", &NO_NUMBERS[1..], "is not a knn")]
#[case(Knn, Regression, "/knn_algorithm/LinearSearch/data", &["[]"], "targets of the neighbours:")]
#[case(Knn, Regression, "/knn_algorithm/LinearSearch/data/0", &["[]", "[1,2,3,4]"], "values of a neighbour:")]
#[case(Knn, Regression, "/knn_algorithm/LinearSearch/data/0/0", &NO_NUMBERS[1..], "is not a knn")]
#[case(Svm, Classification, "/machines", &["[]"], "machines: 0 found, expected 3")]
#[case(Svm, Classification, "/machines/1/w", &["[]", "[1]"], "support vector weights:")]
#[case(Svm, Classification, "/machines/1/instances", &["[]", "[[1,2,3]]"], "support vector weights:")]
#[case(Svm, Regression, "/machines", &["[]"], "exactly one machine")]
#[case(Svm, Regression, "/machines/0/instances/0", &["[]", "[1,2,3,4]"], "values of a support vector:")]
#[case(Svm, Regression, "/machines/0/instances/0/0", &NO_NUMBERS[1..], "is not a svm")]
#[case(Svm, Regression, "/machines/0/w/0", &NO_NUMBERS[1..], "is not a svm")]
#[case(Svm, Regression, "/machines/0/b", &NO_NUMBERS, "is not a svm")]
#[case(Svm, Regression, "/kernel", &["{\"rbf\":{\"gamma\":0.0}}", "{\"rbf\":{\"gamma\":-1}}"], "gamma is not")]
#[case(Svm, Regression, "/kernel", &["{\"rbf\":{\"gamma\":1e999}}", "{\"rbf\":{}}", "\"polynomial\"", "null"], "is not a svm")]
fn an_estimator_that_contradicts_itself_is_refused(
    #[case] algorithm: Algorithm,
    #[case] task: Task,
    #[case] pointer: &str,
    #[case] texts: &[&str],
    #[case] message: &str,
) {
    refused(task, algorithm, pointer, texts, message);
}

#[test]
fn two_machines_are_too_many_for_a_regression() {
    let machines = sample(Regression, Svm).document()["estimator"]["machines"][0].clone();
    let two = json!([machines, machines]).to_string();
    refused(Regression, Svm, "/machines", &[&two], "exactly one machine");
}

#[test]
fn no_estimator_is_taken_for_that_of_another_algorithm() {
    for it in samples() {
        for other in samples() {
            let mut document = it.document();
            document["estimator"] = other.document()["estimator"].clone();
            let loaded = load(document.to_string().as_bytes());
            // Forests and penalised weights are written alike; then the golden rows tell.
            let same = (it.algorithm, it.task) == (other.algorithm, other.task);
            assert_eq!(loaded.is_ok(), same, "{} in {}", other.name(), it.name());
        }
    }
}

#[test]
fn without_its_scaling_a_model_fails_its_self_test() {
    for task in [Classification, Regression] {
        let mut document = sample(task, Knn).document();
        document.as_object_mut().unwrap().remove("scaling");
        let error = load(document.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.reason, LoadFailure::SelfTestFailed, "{error}");
    }
}

/// Every neighbour is nearer than those before it, and all of them count.
#[test]
fn many_neighbours_that_come_ever_nearer_take_no_longer_than_others() {
    let rows: Vec<[f64; 3]> = (0..50_000)
        .rev()
        .map(|at| [f64::from(at), 0.0, 0.0])
        .collect();
    let mut document = sample(Regression, Knn).document();
    document["estimator"]["y"] = json!(vec![1.0; rows.len()]);
    document["estimator"]["k"] = json!(rows.len());
    document["estimator"]["knn_algorithm"]["LinearSearch"]["data"] = json!(rows);
    let error = load(document.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.reason, LoadFailure::SelfTestFailed);
}
