//! CSV → a table whose every cell can be named in an error.

use crate::names;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

/// Numbers beyond this are refused: their squares would overflow while fitting.
const LARGEST: f64 = 1e100;

/// Named columns and rows of text; every row has one cell per column.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    /// Line of the file that the row starts on, from 1.
    line: u64,
    cells: Vec<String>,
}

/// Why a file is no table, or a column not what it has to be.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be opened.
    #[error("failed to open {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not CSV, or reading it failed.
    #[error("failed to read CSV")]
    Csv(#[from] csv::Error),
    /// The text is in another encoding.
    #[error("line {line} is not UTF-8: text in UTF-8 is expected")]
    Encoding {
        /// Line of the file, from 1.
        line: u64,
    },
    /// Nothing but a header, or not even that.
    #[error("the file has no rows: a header line and at least one row are expected")]
    NoRows,
    /// The header has one column with a separator of another kind in it.
    #[error("columns seem to be separated by {found:?}: commas are expected")]
    Separator {
        /// The character found.
        found: char,
    },
    /// A column without a name.
    #[error("column {number} has no name in the header")]
    Unnamed {
        /// Column, from 1.
        number: usize,
    },
    /// A name used twice.
    #[error("two columns are named {name:?}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A row with too few or too many cells.
    #[error("line {line} has {found} cells, the header has {expected}")]
    Ragged {
        /// Line of the file, from 1.
        line: u64,
        /// Cells found.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// No such column.
    #[error("there is no column {name:?}; the columns are: {columns}")]
    NoColumn {
        /// The name asked for.
        name: String,
        /// The names there are.
        columns: String,
    },
    /// A cell that cannot be used.
    #[error("line {line}, column {column:?}: {problem}")]
    Cell {
        /// Line of the file, from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What is wrong with it.
        problem: CellProblem,
    },
}

/// What is wrong with a cell.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellProblem {
    /// Nothing in it.
    #[error("the cell is empty")]
    Empty,
    /// Text.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// NaN or an infinity.
    #[error("{0:?} is not a finite number")]
    NotFinite(String),
    /// Too large to compute with.
    #[error("{0:?} is beyond ±1e100")]
    TooLarge(String),
}

impl Table {
    /// Reads a CSV file with a header line; a byte-order mark, quotes and either kind of line end
    /// are understood.
    ///
    /// # Errors
    /// [`TableError`] if the file cannot be read or is not rectangular.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let file = std::fs::File::open(path).map_err(|source| TableError::Open {
            path: path.display().to_string(),
            source,
        })?;
        Self::read(file)
    }

    /// Reads CSV text; see [`Table::open`].
    ///
    /// # Errors
    /// [`TableError`] if the text is not a rectangular table.
    pub fn read(mut text: impl Read) -> Result<Self, TableError> {
        let mut bytes = Vec::new();
        text.read_to_end(&mut bytes).map_err(csv::Error::from)?;
        check_encoding(&bytes)?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes.as_slice());
        let columns = header(reader.headers()?)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            rows.push(row(&record, line(&bytes, &record), columns.len())?);
        }
        if rows.is_empty() {
            return Err(TableError::NoRows);
        }
        Ok(Self { columns, rows })
    }

    /// The column names, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Position of the column `name`.
    ///
    /// # Errors
    /// [`TableError::NoColumn`], which names the columns there are.
    pub fn column(&self, name: &str) -> Result<usize, TableError> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| TableError::NoColumn {
            name: name.to_owned(),
            columns: names::listed(self.columns.iter().map(String::as_str)),
        })
    }

    /// The cells of a column, top to bottom.
    ///
    /// # Errors
    /// The first empty cell.
    pub fn text(&self, column: usize) -> Result<Vec<&str>, TableError> {
        (0..self.rows())
            .map(|row| match self.cell(row, column) {
                "" => Err(self.bad_cell(row, column, CellProblem::Empty)),
                text => Ok(text),
            })
            .collect()
    }

    /// The numbers of a column, top to bottom; None where the cell is empty.
    ///
    /// # Errors
    /// The first cell that is not a finite number within ±1e100.
    pub fn numbers(&self, column: usize) -> Result<Vec<Option<f64>>, TableError> {
        (0..self.rows())
            .map(|row| {
                number(self.cell(row, column))
                    .map_err(|problem| self.bad_cell(row, column, problem))
            })
            .collect()
    }

    /// The error that names a cell.
    pub fn bad_cell(&self, row: usize, column: usize, problem: CellProblem) -> TableError {
        TableError::Cell {
            line: self.rows[row].line,
            column: self.columns[column].clone(),
            problem,
        }
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row].cells[column]
    }
}

fn header(header: &csv::StringRecord) -> Result<Vec<String>, TableError> {
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    if let [only] = columns.as_slice()
        && let Some(found) = only.chars().find(|char| [';', '\t', '|'].contains(char))
    {
        return Err(TableError::Separator { found });
    }
    let mut seen = HashSet::new();
    for (index, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(TableError::Unnamed { number: index + 1 });
        }
        if !seen.insert(name) {
            return Err(TableError::Duplicate { name: name.clone() });
        }
    }
    Ok(columns)
}

fn check_encoding(text: &[u8]) -> Result<(), TableError> {
    let Err(error) = std::str::from_utf8(text) else {
        return Ok(());
    };
    let line = 1 + line_ends(text.iter().take(error.valid_up_to()));
    Err(TableError::Encoding { line })
}

/// Line that `record` starts on. The reader's position is in front of the line ends that it skips:
/// blank lines, and the second half of a Windows line end.
fn line(text: &[u8], record: &csv::StringRecord) -> u64 {
    let Some(position) = record.position() else {
        return 0;
    };
    let rest = text.iter().skip(position.byte() as usize);
    position.line() + line_ends(rest.take_while(|byte| b"\r\n".contains(byte)))
}

fn line_ends<'a>(text: impl Iterator<Item = &'a u8>) -> u64 {
    text.filter(|byte| **byte == b'\n').count() as u64
}

fn row(record: &csv::StringRecord, line: u64, expected: usize) -> Result<Row, TableError> {
    if record.len() != expected {
        return Err(TableError::Ragged {
            line,
            found: record.len(),
            expected,
        });
    }
    let cells = record.iter().map(str::to_owned).collect();
    Ok(Row { line, cells })
}

fn number(text: &str) -> Result<Option<f64>, CellProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Err(_) => Err(CellProblem::NotANumber(text.to_owned())),
        Ok(value) if !value.is_finite() => Err(CellProblem::NotFinite(text.to_owned())),
        Ok(value) if value.abs() > LARGEST => Err(CellProblem::TooLarge(text.to_owned())),
        Ok(value) => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_byte_order_mark_quotes_and_windows_line_ends_are_understood() {
        let table = Table::read("\u{feff}a,\"b, c\"\r\n1,\"2\"\r\n".as_bytes()).unwrap();
        assert_eq!(table.columns(), ["a", "b, c"]);
        assert_eq!(table.numbers(1).unwrap(), [Some(2.0)]);
    }

    #[rstest]
    #[case("", "the file has no rows")]
    #[case("a,b\n", "the file has no rows")]
    #[case("a;b\n1;2\n", "separated by ';'")]
    #[case("a,\n1,2\n", "column 2 has no name")]
    #[case("a,b,a\n1,2,3\n", "two columns are named \"a\"")]
    #[case("a,b\n1,2\n3\n", "line 3 has 1 cells, the header has 2")]
    #[case("a,b\n1,2,3\n", "line 2 has 3 cells, the header has 2")]
    fn text_that_is_no_table_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = Table::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[rstest]
    #[case("x", "\"x\" is not a number")]
    #[case("1,5", "\"1,5\" is not a number")]
    #[case("NaN", "\"NaN\" is not a finite number")]
    #[case("-inf", "\"-inf\" is not a finite number")]
    #[case("1e101", "\"1e101\" is beyond")]
    fn a_cell_that_is_no_number_is_named_with_its_text(#[case] cell: &str, #[case] problem: &str) {
        let text = format!("a,b\n1,2\n3,\"{cell}\"\n");
        let table = Table::read(text.as_bytes()).unwrap();
        let error = table.numbers(1).unwrap_err().to_string();
        assert!(error.starts_with("line 3, column \"b\": "), "{error}");
        assert!(error.contains(problem), "{error}");
    }

    #[rstest]
    #[case("a,b\n1,2\n\n3,x\n", 4)]
    #[case("\n\na,b\n\n\n3,x\n", 6)]
    #[case("a,b\r\n1,2\r\n3,x\r\n", 3)]
    #[case("a,b\r\n\r\n1,2\r\n\r\n\r\n3,x", 6)]
    #[case("\u{feff}a,b\n1,2\n\n3,x\n", 4)]
    #[case("a,b\n\"1\n\",2\n3,x\n", 4)]
    #[case("a,b\n1,2\n\"3\n\",x\n", 3)]
    fn lines_are_counted_as_an_editor_does(#[case] text: &str, #[case] line: u64) {
        let table = Table::read(text.as_bytes()).unwrap();
        let error = table.numbers(1).unwrap_err().to_string();
        let expected = format!("line {line}, column \"b\": \"x\" is not a number");
        assert_eq!(error, expected);
    }

    #[test]
    fn text_in_another_encoding_is_refused_with_its_line() {
        let error = Table::read(b"a,b\n\n1,2\n3,\xfc\n".as_slice()).unwrap_err();
        assert!(error.to_string().starts_with("line 4 is not UTF-8"));
    }

    #[test]
    fn a_missing_column_names_those_there_are() {
        let table = Table::read("a,b\n1,2\n".as_bytes()).unwrap();
        let error = table.column("c").unwrap_err().to_string();
        assert_eq!(error, "there is no column \"c\"; the columns are: a, b");
    }

    #[test]
    fn an_empty_cell_is_no_number() {
        let table = Table::read("a,b\n1,\n".as_bytes()).unwrap();
        assert_eq!(table.numbers(1).unwrap(), [None]);
        let error = table.text(1).unwrap_err().to_string();
        assert_eq!(error, "line 2, column \"b\": the cell is empty");
    }
}
