//! Rows → requests: some of them drifted, some broken.

use super::rows::{Rows, RowsError};
use fastrand::Rng;

/// What is sent for one feature of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// A finite number.
    Number(f64),
    /// Nothing, though the feature is named.
    Null,
    /// Not even its name.
    Absent,
    /// Text instead of a number.
    Text,
    /// A number beyond the range of 64-bit floats.
    Infinite,
}

/// How a request is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A feature is missing.
    Missing,
    /// A feature is text.
    Text,
    /// A feature is null.
    Null,
    /// A feature is beyond all numbers.
    Infinite,
    /// The whole is not of the protocol's language.
    Unreadable,
}

impl Fault {
    /// Every fault, in the order in which they take turns.
    pub const ALL: [Self; 5] = [
        Self::Missing,
        Self::Text,
        Self::Null,
        Self::Infinite,
        Self::Unreadable,
    ];

    /// What stands where a number was; None if the whole request is to blame.
    const fn cell(self) -> Option<Cell> {
        match self {
            Self::Missing => Some(Cell::Absent),
            Self::Text => Some(Cell::Text),
            Self::Null => Some(Cell::Null),
            Self::Infinite => Some(Cell::Infinite),
            Self::Unreadable => None,
        }
    }
}

/// Rows to send together.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Cells of a row.
    pub width: usize,
    /// `rows × width`, row-major.
    pub cells: Vec<Cell>,
    /// How many of the rows have drifted.
    pub drifted: u64,
    /// What is wrong, if anything is.
    pub fault: Option<Fault>,
}

impl Request {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.cells.len() / self.width
    }

    /// Puts a fault into the first row. `turn` counts the broken requests, from 0: faults take
    /// turns, and then columns.
    fn spoil(&mut self, turn: u64) {
        let turn = turn as usize;
        let fault = Fault::ALL[turn % Fault::ALL.len()];
        if let Some(cell) = fault.cell() {
            let column = turn / Fault::ALL.len() % self.width;
            self.cells[column] = cell;
        }
        self.fault = Some(fault);
    }
}

/// What requests are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    /// Rows in each request, at least 1.
    pub rows: usize,
    /// Share of the rows that drift, 0 to 1.
    pub drift: f64,
    /// How far, in standard deviations of each column.
    pub drift_by: f64,
    /// Share of the requests that are broken, 0 to 1.
    pub broken: f64,
    /// Seed of the order of the rows, and of which of them drift.
    pub seed: u64,
}

/// Makes requests. Which connection sends them, and when, changes nothing about them.
#[derive(Debug)]
pub struct Mix {
    rows: Rows,
    /// Row numbers, shuffled: files are often sorted by what is to be predicted.
    order: Vec<usize>,
    blend: Blend,
    /// Seed of request 0; the next one has the next.
    first_seed: u64,
}

impl Mix {
    /// Requests made of `rows`.
    ///
    /// # Errors
    /// [`RowsError::NoSpread`] if rows are to drift and no column varies.
    pub fn new(rows: Rows, blend: Blend) -> Result<Self, RowsError> {
        if blend.drift > 0.0 && rows.spreads.iter().all(|spread| *spread == 0.0) {
            return Err(RowsError::NoSpread);
        }
        let mut random = Rng::with_seed(blend.seed);
        let mut order: Vec<usize> = (0..rows.count()).collect();
        random.shuffle(&mut order);
        Ok(Self {
            rows,
            order,
            blend,
            first_seed: random.u64(..),
        })
    }

    /// Request `number`, from 0: every row of the data gets its turn.
    pub fn request(&self, number: u64) -> Request {
        let rows = self.blend.rows;
        let mut random = Rng::with_seed(self.first_seed.wrapping_add(number));
        let mut request = Request {
            width: self.rows.width,
            cells: Vec::with_capacity(rows * self.rows.width),
            drifted: 0,
            fault: None,
        };
        for row in 0..rows as u64 {
            let turn = number.wrapping_mul(rows as u64).wrapping_add(row);
            let index = self.order[(turn % self.order.len() as u64) as usize];
            let drifts = random.f64() < self.blend.drift;
            request.drifted += u64::from(drifts);
            request.cells.extend(self.cells(index, drifts));
        }
        if let Some(turn) = turn(self.blend.broken, number) {
            request.spoil(turn);
        }
        request
    }

    fn cells(&self, index: usize, drifts: bool) -> impl Iterator<Item = Cell> {
        let by = if drifts { self.blend.drift_by } else { 0.0 };
        let columns = self.rows.row(index).iter().zip(&self.rows.spreads);
        columns.map(move |(value, spread)| match value {
            Some(value) => Cell::Number(value + by * spread),
            None => Cell::Null,
        })
    }
}

/// Which of the things with this share of all numbers `number` is, from 0, if it is one of them:
/// they are spread evenly.
fn turn(share: f64, number: u64) -> Option<u64> {
    let before = (number as f64 * share) as u64;
    let after = ((number + 1) as f64 * share) as u64;
    (after > before).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    const BLEND: Blend = Blend {
        rows: 1,
        drift: 0.0,
        drift_by: 2.0,
        broken: 0.0,
        seed: 42,
    };

    fn mix(blend: Blend) -> Mix {
        let table = Table::read("a,b\n1,5\n3,5\n1,\n3,5\n".as_bytes()).unwrap();
        let rows = Rows::new(&table, None, &["a", "b"].map(str::to_owned)).unwrap();
        Mix::new(rows, blend).unwrap()
    }

    #[test]
    fn every_row_gets_its_turn_in_an_order_that_the_seed_decides() {
        let cells = |seed| -> Vec<Cell> {
            let mix = mix(Blend { seed, ..BLEND });
            (0..4)
                .flat_map(|number| mix.request(number).cells)
                .collect()
        };
        let (first, again) = (cells(1), cells(1));
        assert_eq!(first, again);
        let ones = first.iter().filter(|cell| **cell == Cell::Number(1.0));
        assert_eq!(ones.count(), 2);
        assert_eq!(first.iter().filter(|cell| **cell == Cell::Null).count(), 1);
        assert!((2..9).any(|seed| cells(seed) != first));
    }

    #[test]
    fn a_request_of_several_rows_goes_on_where_the_last_one_ended() {
        let two = mix(Blend { rows: 2, ..BLEND });
        let one = mix(BLEND);
        let single = [one.request(2).cells, one.request(3).cells].concat();
        assert_eq!(two.request(1).cells, single);
        assert_eq!(two.request(1).rows(), 2);
    }

    #[test]
    fn a_drifted_row_is_shifted_by_its_columns_standard_deviations() {
        let drifted = mix(Blend {
            drift: 1.0,
            ..BLEND
        });
        let sound = mix(BLEND);
        for number in 0..4 {
            let (drifted, sound) = (drifted.request(number), sound.request(number));
            assert_eq!((drifted.drifted, sound.drifted), (1, 0));
            let Cell::Number(before) = sound.cells[0] else {
                panic!("{sound:?}");
            };
            assert_eq!(drifted.cells[0], Cell::Number(before + 2.0));
            // A column that does not vary, and an empty cell.
            assert_eq!(drifted.cells[1], sound.cells[1]);
        }
    }

    #[test]
    fn the_share_of_drifted_rows_is_met_on_average() {
        let mix = mix(Blend {
            rows: 10,
            drift: 0.2,
            ..BLEND
        });
        let drifted: u64 = (0..1_000).map(|number| mix.request(number).drifted).sum();
        assert!((1_800..2_200).contains(&drifted), "{drifted}");
    }

    #[test]
    fn broken_requests_are_spread_evenly_and_their_faults_take_turns() {
        let mix = mix(Blend {
            broken: 0.25,
            ..BLEND
        });
        let faults: Vec<_> = (0..40)
            .filter_map(|number| mix.request(number).fault)
            .collect();
        assert_eq!(faults, Fault::ALL.repeat(2));
        // The second round breaks the second column.
        assert_eq!(mix.request(3).cells[0], Cell::Absent);
        assert_eq!(mix.request(23).cells[1], Cell::Absent);
        assert_eq!(turn(1.0, 7), Some(7));
        assert_eq!(turn(0.0, 7), None);
    }

    #[test]
    fn rows_that_are_all_the_same_cannot_drift() {
        let table = Table::read("a\n1\n1\n".as_bytes()).unwrap();
        let rows = Rows::new(&table, None, &["a".to_owned()]).unwrap();
        let blend = Blend {
            drift: 0.1,
            ..BLEND
        };
        let error = Mix::new(rows, blend).unwrap_err();
        assert!(matches!(error, RowsError::NoSpread));
    }
}
