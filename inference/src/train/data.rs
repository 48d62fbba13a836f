//! Table → numbers to fit.

use crate::artifact::{Feature, FeatureKind, Task};
use crate::names::{self, NameError};
use crate::table::{CellProblem, Table, TableError};
use contract::limits::MOST_CLASSES;
use std::collections::BTreeSet;

/// A numeric target with at most this many distinct values, all whole, is taken for classes.
pub const MOST_CLASSES_BY_DEFAULT: usize = 10;
/// Fewer rows than this are refused: nothing is left to learn from or to report on.
const FEWEST_ROWS: usize = 10;

/// Why a table cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The table itself.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An empty cell of a feature, and no imputation asked for.
    #[error("{0}; --impute-missing puts the column's median there")]
    Missing(TableError),
    /// Columns or classes whose names a model cannot have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Too few rows.
    #[error("{found} rows are too few: at least {FEWEST_ROWS} are needed")]
    FewRows {
        /// Rows found.
        found: usize,
    },
    /// The target is the only column.
    #[error("there is no column besides the target {target:?}")]
    NoFeatures {
        /// The target.
        target: String,
    },
    /// A feature without a single value among the rows to train on.
    #[error("column {column:?} has no values to train on")]
    EmptyColumn {
        /// The feature.
        column: String,
    },
    /// One value in all rows.
    #[error("the target {target:?} is {value} in every row: there is nothing to predict")]
    ConstantTarget {
        /// The target.
        target: String,
        /// Its value.
        value: String,
    },
    /// More classes than the metrics can carry, all of them numbers.
    #[error(
        "the target {target:?} has more than {MOST_CLASSES} classes; \
         --task regression predicts a number"
    )]
    ManyClasses {
        /// The target.
        target: String,
    },
    /// More texts than can be classes.
    #[error(
        "the target {target:?} looks like an id or free text, with more than {MOST_CLASSES} \
         different texts in it: at most {MOST_CLASSES} classes, or numbers alone, are expected"
    )]
    FreeText {
        /// The target.
        target: String,
    },
    /// A class that cannot be on both sides of the split.
    #[error("class {class:?} has only 1 row: one to train on and one to hold out are needed")]
    SmallClass {
        /// The class.
        class: String,
    },
}

/// What is to be predicted, one per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Class indices below the number of `names`.
    Classes {
        /// Class index of each row.
        labels: Vec<u32>,
        /// Class names by index.
        names: Vec<String>,
    },
    /// Numbers.
    Values(Vec<f64>),
}

/// Feature columns with holes, and the target.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Feature names.
    pub names: Vec<&'a str>,
    /// Per feature its values from top to bottom; None where a cell is empty.
    pub columns: Vec<Vec<Option<f64>>>,
    /// The target.
    pub target: Target,
}

/// Rows without holes and their target.
#[derive(Debug, Clone)]
pub struct Data {
    /// Feature names.
    pub features: Vec<String>,
    /// `rows × features`, row-major.
    pub values: Vec<f64>,
    /// One per row.
    pub target: Target,
}

impl<'a> Frame<'a> {
    /// Takes `target` and, as features, all other columns of `table`.
    ///
    /// # Errors
    /// [`DataError`] if that is no problem to learn.
    pub fn new(
        table: &'a Table,
        target: &str,
        task: Option<Task>,
        impute: bool,
    ) -> Result<Self, DataError> {
        let at = table.column(target)?;
        let features = (0..table.columns().len()).filter(|column| *column != at);
        let names: Vec<&str> = features
            .clone()
            .map(|column| table.columns()[column].as_str())
            .collect();
        check(table, target, &names)?;
        let columns: Result<_, DataError> = features
            .map(|column| feature(table, column, impute))
            .collect();
        Ok(Self {
            names,
            columns: columns?,
            target: Target::new(table, at, task)?,
        })
    }

    /// What the model file says about the features, learnt from the rows to train on.
    ///
    /// # Errors
    /// [`DataError::EmptyColumn`]
    pub fn features(&self, rows: &[usize]) -> Result<Vec<Feature>, DataError> {
        let columns = self.names.iter().zip(&self.columns);
        columns
            .map(|(name, column)| describe(name, column, rows))
            .collect()
    }

    /// The given rows, holes filled as `features` say.
    pub fn rows(&self, rows: &[usize], features: &[Feature]) -> Data {
        let cell = |row: usize, column: usize| {
            let fill = features[column].fill.unwrap_or_default();
            self.columns[column][row].unwrap_or(fill)
        };
        let columns = self.columns.len();
        let values = rows
            .iter()
            .flat_map(|row| (0..columns).map(|column| cell(*row, column)));
        Data {
            features: self.names.iter().map(ToString::to_string).collect(),
            values: values.collect(),
            target: self.target.rows(rows),
        }
    }
}

fn check(table: &Table, target: &str, features: &[&str]) -> Result<(), DataError> {
    if features.is_empty() {
        let target = target.to_owned();
        return Err(DataError::NoFeatures { target });
    }
    if table.rows() < FEWEST_ROWS {
        return Err(DataError::FewRows {
            found: table.rows(),
        });
    }
    names::target(target)?;
    names::features(features)?;
    Ok(())
}

fn feature(table: &Table, column: usize, impute: bool) -> Result<Vec<Option<f64>>, DataError> {
    let values = table.numbers(column)?;
    match values.iter().position(Option::is_none) {
        Some(row) if !impute => {
            let error = table.bad_cell(row, column, CellProblem::Empty);
            Err(DataError::Missing(error))
        }
        _ => Ok(values),
    }
}

fn describe(name: &str, column: &[Option<f64>], rows: &[usize]) -> Result<Feature, DataError> {
    let mut values: Vec<f64> = rows.iter().filter_map(|row| column[*row]).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first(), values.last()) else {
        let column = name.to_owned();
        return Err(DataError::EmptyColumn { column });
    };
    let whole = values.iter().all(|value| value.fract() == 0.0);
    let holes = column.iter().any(Option::is_none);
    Ok(Feature {
        name: name.to_owned(),
        kind: if whole {
            FeatureKind::Integer
        } else {
            FeatureKind::Float
        },
        min: *min,
        max: *max,
        missing: 1.0 - values.len() as f64 / rows.len() as f64,
        fill: holes.then(|| median(&values)),
    })
}

/// Of sorted values, at least one.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return sorted[middle];
    }
    (sorted[middle - 1] + sorted[middle]) / 2.0
}

impl Target {
    fn new(table: &Table, column: usize, task: Option<Task>) -> Result<Self, DataError> {
        let text = table.text(column)?;
        let name = &table.columns()[column];
        let found = match task.unwrap_or_else(|| likely_task(&text)) {
            Task::Classification => Self::classes(name, &text)?,
            Task::Regression => {
                Self::Values(table.numbers(column)?.into_iter().flatten().collect())
            }
        };
        found.check(name, text[0])?;
        Ok(found)
    }

    fn classes(target: &str, text: &[&str]) -> Result<Self, DataError> {
        let distinct = distinct(text, MOST_CLASSES);
        let distinct = distinct.ok_or_else(|| DataError::many_classes(target, text))?;
        let mut names: Vec<String> = distinct.into_iter().collect();
        if names.iter().all(|name| is_number(name)) {
            let number = |name: &String| name.parse::<f64>().unwrap_or_default();
            names.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        let index = |class: String| names.iter().position(|name| *name == class).unwrap_or(0);
        let labels = text.iter().map(|text| index(class_name(text)) as u32);
        Ok(Self::Classes {
            labels: labels.collect(),
            names,
        })
    }

    fn check(&self, target: &str, first: &str) -> Result<(), DataError> {
        let constant = match self {
            Self::Classes { names, .. } => names.len() == 1,
            Self::Values(values) => values.iter().all(|value| *value == values[0]),
        };
        if constant {
            return Err(DataError::ConstantTarget {
                target: target.to_owned(),
                value: first.to_owned(),
            });
        }
        let Self::Classes { names, .. } = self else {
            return Ok(());
        };
        let classes: Vec<&str> = names.iter().map(String::as_str).collect();
        names::classes(&classes)?;
        let counted = self.groups().into_iter().zip(names);
        match counted.into_iter().find(|(rows, _)| rows.len() < 2) {
            None => Ok(()),
            Some((_, class)) => Err(DataError::SmallClass {
                class: class.clone(),
            }),
        }
    }

    /// Which of the two it is.
    pub fn task(&self) -> Task {
        match self {
            Self::Classes { .. } => Task::Classification,
            Self::Values(_) => Task::Regression,
        }
    }

    /// Class names by index; none for regression.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Classes { names, .. } => names,
            Self::Values(_) => &[],
        }
    }

    /// Row numbers by class; one group for regression.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Values(values) => vec![(0..values.len()).collect()],
            Self::Classes { labels, names } => {
                let mut groups = vec![Vec::new(); names.len()];
                for (row, label) in labels.iter().enumerate() {
                    groups[*label as usize].push(row);
                }
                groups
            }
        }
    }

    fn rows(&self, rows: &[usize]) -> Self {
        match self {
            Self::Values(values) => Self::Values(rows.iter().map(|row| values[*row]).collect()),
            Self::Classes { labels, names } => Self::Classes {
                labels: rows.iter().map(|row| labels[*row]).collect(),
                names: names.clone(),
            },
        }
    }
}

impl DataError {
    fn many_classes(target: &str, text: &[&str]) -> Self {
        let target = target.to_owned();
        if text.iter().all(|text| is_number(text)) {
            return Self::ManyClasses { target };
        }
        Self::FreeText { target }
    }
}

fn likely_task(text: &[&str]) -> Task {
    let whole = |name: &String| name.parse::<i64>().is_ok();
    let few = distinct(text, MOST_CLASSES_BY_DEFAULT);
    let few_whole = few.is_some_and(|names| names.iter().all(whole));
    if few_whole || !text.iter().all(|text| is_number(text)) {
        Task::Classification
    } else {
        Task::Regression
    }
}

/// The different classes in `text`; None as soon as there are more than `most`.
fn distinct(text: &[&str], most: usize) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for text in text {
        names.insert(class_name(text));
        if names.len() > most {
            return None;
        }
    }
    Some(names)
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

/// `1.0`, `01` and `1` are one class.
pub(crate) fn class_name(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() < 1e15 => (value as i64).to_string(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn table(target: &[&str]) -> Table {
        let rows = target.iter().enumerate();
        let rows: String = rows
            .map(|(row, target)| format!("{row},{target}\n"))
            .collect();
        Table::read(format!("x,y\n{rows}").as_bytes()).unwrap()
    }

    fn frame<'a>(table: &'a Table, task: Option<Task>) -> Result<Frame<'a>, DataError> {
        Frame::new(table, "y", task, false)
    }

    #[rstest]
    #[case(&["0", "1"], Task::Classification)]
    #[case(&["-1", "1.0"], Task::Classification)]
    #[case(&["yes", "no"], Task::Classification)]
    #[case(&["1", "b"], Task::Classification)]
    #[case(&["0.5", "1"], Task::Regression)]
    fn few_whole_numbers_and_text_are_classes(#[case] values: &[&str], #[case] task: Task) {
        let table = table(&values.repeat(5));
        assert_eq!(frame(&table, None).unwrap().target.task(), task);
    }

    #[test]
    fn more_than_ten_whole_numbers_are_a_regression_unless_asked_otherwise() {
        let values: Vec<String> = (0..11).map(|value| value.to_string()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let table = table(&values.repeat(2));
        assert_eq!(frame(&table, None).unwrap().target.task(), Task::Regression);
        let classes = frame(&table, Some(Task::Classification)).unwrap();
        assert_eq!(classes.target.names().last().unwrap(), "10");
    }

    #[rstest]
    #[case(&["7"; 12], None, "the target \"y\" is 7 in every row")]
    #[case(&["7"; 3], None, "3 rows are too few: at least 10")]
    #[case(&["a", "a", "a", "a", "a", "a", "a", "a", "a", "rare"], None, "class \"rare\" has only 1 row")]
    #[case(&["a", "b", "a", "b", "a", "b", "a", "b", "a", "b"], Some(Task::Regression), "\"a\" is not a number")]
    #[case(&["a", "b", "a", "", "a", "b", "a", "b", "a", "b"], None, "line 5, column \"y\": the cell is empty")]
    fn a_target_that_cannot_be_learnt_is_refused(
        #[case] values: &[&str],
        #[case] task: Option<Task>,
        #[case] message: &str,
    ) {
        let table = table(values);
        let error = frame(&table, task).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[rstest]
    #[case(
        "id",
        None,
        "looks like an id or free text, with more than 80 different texts"
    )]
    #[case(
        "",
        Some(Task::Classification),
        "has more than 80 classes; --task regression"
    )]
    fn far_too_many_classes_are_refused_at_once(
        #[case] prefix: &str,
        #[case] task: Option<Task>,
        #[case] message: &str,
    ) {
        let values: Vec<String> = (0..300_000).map(|row| format!("{prefix}{row}")).collect();
        let table = table(&values.iter().map(String::as_str).collect::<Vec<_>>());
        let error = frame(&table, task).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[rstest]
    #[case("@prediction", "a", "a feature cannot be named \"@prediction\"")]
    #[case("a\u{7}", "a", "\"a\\u{7}\" is no name for a feature: 1 to 128 bytes")]
    #[case(&"ü".repeat(65), "a", "is no name for a feature: 1 to 128 bytes")]
    #[case("x", &"a".repeat(129), "is no name for a class: 1 to 128 bytes")]
    fn names_that_no_model_can_have_are_refused_before_fitting(
        #[case] feature: &str,
        #[case] class: &str,
        #[case] message: &str,
    ) {
        let rows = format!("1,{class}\n2,b\n").repeat(5);
        let table = Table::read(format!("{feature},y\n{rows}").as_bytes()).unwrap();
        let error = frame(&table, None).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn more_features_than_a_model_can_have_are_refused_as_when_loading() {
        let header: String = (0..301).map(|column| format!("f{column},")).collect();
        let rows = format!("{}0\n", "1,".repeat(301)).repeat(10);
        let table = Table::read(format!("{header}y\n{rows}").as_bytes()).unwrap();
        let error = frame(&table, None).unwrap_err().to_string();
        assert_eq!(error, "301 features, expected 1 to 300");
    }

    #[test]
    fn holes_are_refused_with_the_way_out_or_filled_with_the_median_of_the_training_rows() {
        let rows: String = (0..11).map(|row| format!("{row},{}\n", row % 2)).collect();
        let table = Table::read(format!("x,y\n,0\n{rows}").as_bytes()).unwrap();
        let error = frame(&table, None).unwrap_err().to_string();
        assert!(error.contains("line 2, column \"x\"") && error.contains("--impute-missing"));

        let frame = Frame::new(&table, "y", None, true).unwrap();
        let features = frame.features(&[0, 1, 2, 3]).unwrap();
        assert_eq!((features[0].fill, features[0].missing), (Some(1.0), 0.25));
        assert_eq!(frame.rows(&[0, 3], &features).values, [1.0, 2.0]);
    }
}
