//! The binary as a person uses it.
#![allow(clippy::unwrap_used)] // Clippy does not take helpers outside of #[test] for tests.

mod common;

use common::data;
use rstest::rstest;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn inference(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inference"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a successful run prints.
fn stdout(arguments: &[&str], stdin: &str) -> String {
    let output = inference(arguments, stdin);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

/// What a failed run says.
fn stderr(arguments: &[&str], stdin: &str) -> String {
    let output = inference(arguments, stdin);
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    text(&output.stderr).to_owned()
}

fn train_wine(out: &Path, more: &[&str]) -> Vec<String> {
    let data = data("wine.csv").display().to_string();
    let all = ["train", "--data", &data, "--target", "target", "--out"];
    let mut all: Vec<String> = all.map(str::to_owned).to_vec();
    all.push(out.display().to_string());
    all.extend(more.iter().map(ToString::to_string));
    all
}

fn run_training(out: &Path, more: &[&str]) -> Output {
    let arguments = train_wine(out, more);
    inference(
        &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
        "",
    )
}

const FOREST: [&str; 4] = ["--algorithm", "random-forest", "--param", "trees=10"];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn training_reports_quality_and_the_sha256_of_the_file_it_writes() {
    let folder = folder();
    let out = folder.path().join("wine.json.gz");
    let output = run_training(&out, &FOREST);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // No terminal, no progress bar.
    assert!(output.stderr.is_empty());
    let said = text(&output.stdout);
    let sha256 = inference::train::save::sha256(&std::fs::read(&out).unwrap());
    for expected in [
        "classification (derived",
        "142 trained on, 36 held out",
        "accuracy",
        "ROC AUC",
        "confusion",
        &sha256,
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[test]
fn an_existing_file_is_replaced_by_the_same_bytes_and_nothing_else_is_left() {
    let folder = folder();
    let out = folder.path().join("wine.json");
    std::fs::write(&out, "old").unwrap();
    assert!(run_training(&out, &FOREST).status.success());
    let first = std::fs::read(&out).unwrap();
    assert!(first.starts_with(b"{\"format\":1"));
    assert!(run_training(&out, &FOREST).status.success());
    assert_eq!(std::fs::read(&out).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[rstest]
#[case(&["--algorithm", "lasso"], "lasso does not exist for classification")]
#[case(&["--algorithm", "knn", "--param", "n=3"], "--param n: there is no such hyper-parameter; the algorithm has k")]
#[case(&["--algorithm", "knn", "--target-typo", "x"], "unexpected argument")]
#[case(&["--algorithm", "magic"], "possible values: logistic-regression")]
#[case(&["--algorithm", "knn", "--param", "k"], "expected KEY=VALUE")]
#[case(&["--algorithm", "knn", "--test-share", "1"], "expected a number from 0.01 to 0.9")]
#[case(&["--algorithm", "knn", "--name", "a b"], "letters, digits")]
fn a_bad_option_is_refused_and_leaves_no_file(#[case] more: &[&str], #[case] message: &str) {
    let folder = folder();
    let output = run_training(&folder.path().join("wine.json"), more);
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains(message), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[rstest]
#[case("absent/wine.json", "No such file or directory")]
#[case("", "is not a regular file")]
fn a_destination_that_cannot_be_written_is_refused_before_the_data_is_read(
    #[case] out: &str,
    #[case] message: &str,
) {
    let folder = folder();
    let out = folder.path().join(out).display().to_string();
    let more = ["--algorithm", "knn", "--name", "wine", "--out", &out];
    let mut all = vec!["train", "--data", "absent.csv", "--target", "target"];
    all.extend(more);
    let said = stderr(&all, "");
    assert!(said.contains(&out) && said.contains(message), "{said}");
}

#[test]
fn the_hyper_parameters_of_every_algorithm_are_in_the_help() {
    let said = stdout(&["train", "--help"], "");
    for expected in [
        "  random-forest\n    trees=100: a whole number from 1 to 65535\n        Number of trees.\n",
        "  svm, regression\n    kernel=rbf: linear or rbf\n",
        "  gaussian-nb\n    none\n",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[test]
fn a_missing_target_names_the_columns_there_are() {
    let data = data("diabetes.csv").display().to_string();
    let folder = folder();
    let out = folder.path().join("model.json").display().to_string();
    let said = stderr(
        &[
            "train",
            "--data",
            &data,
            "--target",
            "outcome",
            "--algorithm",
            "knn",
            "--out",
            &out,
        ],
        "",
    );
    assert!(
        said.contains("no column \"outcome\"") && said.contains("Age, Outcome"),
        "{said}"
    );
}

#[test]
fn a_cause_is_told_once() {
    let said = stderr(&["predict", "--data", "absent.csv"], "");
    let cause = "No such file or directory (os error 2)";
    assert_eq!(said, format!("error: failed to open absent.csv: {cause}\n"));
}

#[test]
fn rows_are_predicted_by_column_name_whatever_the_order() {
    let header = "Age,Outcome,BMI,Glucose,Insulin,BloodPressure,Pregnancies,SkinThickness,DiabetesPedigreeFunction";
    let rows = format!("{header}\n50,1,33.6,148,0,72,6,35,0.627\n31,0,26.6,85,0,66,1,29,0.351\n");
    let output = inference(&["predict", "--data", "-"], &rows);
    assert_eq!(text(&output.stderr), "ignored columns: Outcome\n");
    let said: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&said[0]["outcome"], &said[1]["outcome"]),
        (&1.into(), &0.into())
    );
    let (yes, no) = (
        said[0]["probabilities"]["1"].as_f64(),
        said[0]["probabilities"]["0"].as_f64(),
    );
    assert!((yes.unwrap() + no.unwrap() - 1.0).abs() < 1e-12);
}

#[rstest]
#[case("Age,BMI\n1,2\n", "the data lacks Pregnancies, Glucose")]
#[case("Age;BMI\n1;2\n", "separated by ';'")]
#[case(
    "Pregnancies,Glucose,BloodPressure,SkinThickness,Insulin,BMI,DiabetesPedigreeFunction,Age\n1,,3,4,5,6,7,8\n",
    "line 2, column \"Glucose\": the cell is empty"
)]
fn rows_that_cannot_be_predicted_are_refused(#[case] rows: &str, #[case] message: &str) {
    let said = stderr(&["predict", "--data", "-"], rows);
    assert!(said.contains(message), "{said}");
}

#[test]
fn columns_that_are_missing_are_told_with_those_there_are_however_many() {
    let header: Vec<String> = (0..5000).map(|at| format!("column {at}")).collect();
    let rows = format!("{}\n{}1\n", header.join(","), "1,".repeat(4999));
    let said = stderr(&["predict", "--data", "-"], &rows);
    assert!(said.contains("the model needs Pregnancies, Glucose, BloodPressure"));
    assert!(said.ends_with("column 19 and 4980 more\n"), "{said}");
    let folder = folder();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, rows).unwrap();
    let file = file.display().to_string();
    assert_eq!(stderr(&["evaluate", "--data", &file], ""), said);
}

#[test]
fn a_regression_predicts_values_and_is_evaluated_in_the_target_s_unit() {
    let folder = folder();
    let model = folder.path().join("progression.json").display().to_string();
    let data = data("diabetes-progression.csv").display().to_string();
    stdout(
        &[
            "train",
            "--data",
            &data,
            "--target",
            "target",
            "--algorithm",
            "ridge",
            "--out",
            &model,
        ],
        "",
    );
    let said = stdout(&["evaluate", "--model", &model, "--data", &data], "");
    assert!(said.starts_with("model     progression version "), "{said}");
    assert!(said.contains("rows      442\nRMSE      5"), "{said}");
    let said = stdout(&["predict", "--model", &model, "--data", &data], "");
    assert_eq!(said.lines().count(), 442);
    assert!(said.starts_with("{\"value\":"), "{said}");
}

#[test]
fn a_class_that_the_model_does_not_know_is_named() {
    let rows = "Pregnancies,Glucose,BloodPressure,SkinThickness,Insulin,BMI,DiabetesPedigreeFunction,Age,Outcome\n\
                1,2,3,4,5,6,7,8,maybe\n";
    let folder = folder();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, rows).unwrap();
    let said = stderr(&["evaluate", "--data", &file.display().to_string()], "");
    assert!(
        said.contains(
            "\"maybe\" in column \"Outcome\" is no class of the model; its classes are: 0, 1"
        ),
        "{said}"
    );
}

#[rstest]
#[case("absent.json", "error: NotFound: absent.json: No such file")]
#[case("diabetes", "error: NotFound: diabetes: No such file")]
#[case("", "error: NotFound: the path of the model file is empty")]
fn a_model_that_does_not_load_says_why(#[case] model: &str, #[case] message: &str) {
    let said = stderr(&["predict", "--model", model, "--data", "-"], "");
    assert!(said.starts_with(message), "{said}");
}
