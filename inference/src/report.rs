//! How well predictions match the truth.

use crate::artifact::{ClassificationReport, RegressionReport, Report};
use crate::model::Predictions;
use crate::train::data::Target;
use std::fmt::{self, Display, Write};

/// Compares `predictions` with the truth, row by row.
pub fn report(predictions: &Predictions, truth: &Target) -> Option<Report> {
    match (predictions, truth) {
        (Predictions::Values(predicted), Target::Values(actual)) => {
            Some(Report::Regression(regression(predicted, actual)))
        }
        (
            Predictions::Classes {
                labels,
                probabilities,
            },
            Target::Classes {
                labels: actual,
                names,
            },
        ) => {
            let mut confusion = vec![vec![0; names.len()]; names.len()];
            for (actual, predicted) in actual.iter().zip(labels) {
                confusion[*actual as usize][*predicted] += 1;
            }
            let area = |all: &Vec<f64>| mean_roc_auc(all, actual, names.len());
            let roc_auc = probabilities.as_ref().and_then(area);
            Some(Report::Classification(classification(confusion, roc_auc)))
        }
        _ => None,
    }
}

fn regression(predicted: &[f64], actual: &[f64]) -> RegressionReport {
    let rows = actual.len() as f64;
    let errors = || predicted.iter().zip(actual).map(|(p, a)| p - a);
    let mean = actual.iter().sum::<f64>() / rows;
    let squared: f64 = errors().map(|error| error * error).sum();
    let spread: f64 = actual.iter().map(|value| (value - mean).powi(2)).sum();
    let r2 = if spread > 0.0 {
        1.0 - squared / spread
    } else {
        f64::from(u8::from(squared == 0.0))
    };
    RegressionReport {
        rmse: (squared / rows).sqrt(),
        mae: errors().map(f64::abs).sum::<f64>() / rows,
        r2,
    }
}

fn classification(confusion: Vec<Vec<usize>>, roc_auc: Option<f64>) -> ClassificationReport {
    let classes = 0..confusion.len();
    let right = |class: usize| confusion[class][class];
    let share = |part: usize, whole: usize| {
        if whole == 0 {
            0.0
        } else {
            part as f64 / whole as f64
        }
    };
    let predicted = |class: usize| confusion.iter().map(|row| row[class]).sum();
    let actual = |class: usize| confusion[class].iter().sum();
    let rows = classes.clone().map(actual).sum();
    ClassificationReport {
        accuracy: share(classes.clone().map(right).sum(), rows),
        precision: classes
            .clone()
            .map(|class| share(right(class), predicted(class)))
            .collect(),
        recall: classes
            .map(|class| share(right(class), actual(class)))
            .collect(),
        roc_auc,
        confusion,
    }
}

/// Area under the ROC curve: of class 1 for two classes, else the mean of one class against the
/// rest over the classes that occur.
fn mean_roc_auc(probabilities: &[f64], actual: &[u32], classes: usize) -> Option<f64> {
    let of_class = |class: usize| {
        let scores = probabilities.iter().skip(class).step_by(classes);
        let truth = actual.iter().map(|label| *label as usize == class);
        roc_auc(scores.copied().zip(truth).collect())
    };
    let first = usize::from(classes == 2);
    let areas: Vec<f64> = (first..classes).filter_map(of_class).collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

/// Probability that a positive scores above a negative, ties counted half (Mann and Whitney, 1947);
/// None without positives or without negatives.
fn roc_auc(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0;
    let (mut wins, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let misses = tied.len() as f64 - hits;
        wins += hits * (below + misses / 2.0);
        below += misses;
        positives += hits;
        negatives += misses;
    }
    (positives * negatives > 0.0).then(|| wins / (positives * negatives))
}

/// A report as a person reads it.
#[derive(Debug)]
pub struct Readable<'a> {
    /// What to show.
    pub report: &'a Report,
    /// Class names by index; none for regression.
    pub classes: &'a [String],
}

impl Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.report {
            Report::Regression(report) => {
                writeln!(f, "RMSE      {:.4}", report.rmse)?;
                writeln!(f, "MAE       {:.4}", report.mae)?;
                writeln!(f, "R²        {:.4}", report.r2)
            }
            Report::Classification(report) => {
                writeln!(f, "accuracy  {:.4}", report.accuracy)?;
                if let Some(area) = report.roc_auc {
                    writeln!(f, "ROC AUC   {area:.4}")?;
                }
                f.write_char('\n')?;
                write_table(f, &self.per_class(report))?;
                f.write_str("\nconfusion (rows: actual, columns: predicted)\n")?;
                write_table(f, &self.confusion(report))
            }
        }
    }
}

impl Readable<'_> {
    fn per_class(&self, report: &ClassificationReport) -> Vec<Vec<String>> {
        let heading = ["class", "precision", "recall", "rows"];
        let mut table = vec![heading.map(str::to_owned).to_vec()];
        for (index, class) in self.classes.iter().enumerate() {
            let rows: usize = report.confusion[index].iter().sum();
            table.push(vec![
                class.clone(),
                format!("{:.4}", report.precision[index]),
                format!("{:.4}", report.recall[index]),
                rows.to_string(),
            ]);
        }
        table
    }

    fn confusion(&self, report: &ClassificationReport) -> Vec<Vec<String>> {
        let heading = std::iter::once(String::new()).chain(self.classes.iter().cloned());
        let mut table = vec![heading.collect::<Vec<_>>()];
        for (class, counts) in self.classes.iter().zip(&report.confusion) {
            let counts = counts.iter().map(ToString::to_string);
            table.push(std::iter::once(class.clone()).chain(counts).collect());
        }
        table
    }
}

/// First column to the left, the others to the right.
fn write_table(f: &mut fmt::Formatter<'_>, table: &[Vec<String>]) -> fmt::Result {
    let columns = table.first().map_or(0, Vec::len);
    let widest = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| widest(column).unwrap_or(0))
        .collect();
    for row in table {
        write!(f, "{:<1$}", row[0], widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        f.write_char('\n')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_under_the_curve_is_that_of_the_textbook() {
        let scored = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(roc_auc(scored.to_vec()), Some(0.75));
        assert_eq!(roc_auc(vec![(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(roc_auc(vec![(0.5, true)]), None);
    }

    #[test]
    fn a_class_never_predicted_has_no_precision_and_the_confusion_is_aligned() {
        let truth = Target::Classes {
            labels: vec![0, 0, 1],
            names: vec!["no".to_owned(), "maybe".to_owned()],
        };
        let predictions = Predictions::Classes {
            labels: vec![0, 0, 0],
            probabilities: None,
        };
        let report = report(&predictions, &truth).unwrap();
        let classes = truth.names();
        let text = Readable {
            report: &report,
            classes,
        }
        .to_string();
        assert_eq!(
            text,
            "accuracy  0.6667\n\n\
             class  precision  recall  rows\n\
             no        0.6667  1.0000     2\n\
             maybe     0.0000  0.0000     1\n\n\
             confusion (rows: actual, columns: predicted)\n\
             \u{20}      no  maybe\n\
             no      2      0\n\
             maybe   1      0\n"
        );
    }

    #[test]
    fn a_perfect_regression_explains_everything() {
        let report = regression(&[1.0, 2.0], &[1.0, 2.0]);
        assert_eq!((report.rmse, report.mae, report.r2), (0.0, 0.0, 1.0));
        assert_eq!(regression(&[2.0, 2.0], &[1.0, 1.0]).r2, 0.0);
    }
}
