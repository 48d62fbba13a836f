//! CSV: every row of a table has as many cells as there are columns, a column of numbers has only
//! finite ones and holes, and says the same when it is written and read again.
#![cfg_attr(fuzzing, no_main)]

use inference::table::Table;
use std::collections::HashSet;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// A column of numbers.
type Column<'a> = (&'a str, Vec<Option<f64>>);

pub(crate) fn run(data: &[u8]) {
    let Ok(table) = Table::read(data) else {
        return;
    };
    let names = table.columns();
    assert!(table.rows() > 0);
    assert!(names.iter().all(|name| !name.is_empty()));
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    let columns = names.iter().filter_map(|name| numbers(&table, name));
    let columns: Vec<Column<'_>> = columns.collect();
    // The name of a column that stands alone is searched for separators.
    if columns.len() > 1 {
        check_again(&columns, table.rows());
    }
}

fn numbers<'a>(table: &Table, name: &'a str) -> Option<Column<'a>> {
    let column = table.column(name).unwrap();
    let text = table.text(column).ok();
    assert!(text.is_none_or(|text| text.len() == table.rows()));
    let values = table.numbers(column).ok()?;
    assert_eq!(values.len(), table.rows());
    assert!(values.iter().flatten().all(|value| value.abs() <= 1e100));
    Some((name, values))
}

fn check_again(columns: &[Column<'_>], rows: usize) {
    let cell = |row: usize| move |column: &Column<'_>| column.1[row].map(|value| value.to_string());
    let mut text = line(columns.iter().map(|(name, _)| (*name).to_owned()));
    for row in 0..rows {
        text += &line(columns.iter().map(cell(row)).map(Option::unwrap_or_default));
    }
    let again = Table::read(text.as_bytes()).unwrap();
    assert_eq!(again.rows(), rows);
    for (index, (name, values)) in columns.iter().enumerate() {
        assert_eq!(again.column(name).unwrap(), index);
        assert_eq!(again.numbers(index).unwrap(), *values);
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(",") + "\n"
}
