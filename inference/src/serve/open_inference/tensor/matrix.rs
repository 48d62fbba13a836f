//! The matrix that tensors are read into, and where in it an element belongs.

use crate::serve::decode::Rows;
use crate::serve::error::{Error, Problem};
use crate::serve::signature::Signature;

/// `rows × features`, row-major; NaN where nothing has been given.
pub(super) struct Matrix<'a> {
    signature: &'a Signature,
    values: Vec<f64>,
}

/// The elements of one tensor within the matrix.
pub(super) struct Place<'a> {
    signature: &'a Signature,
    values: &'a mut [f64],
    /// Where the next element belongs.
    next: usize,
    /// From one element to the next.
    step: usize,
}

impl<'a> Matrix<'a> {
    pub(super) fn new(signature: &'a Signature, rows: usize) -> Self {
        let values = vec![f64::NAN; rows * signature.width()];
        Self { signature, values }
    }

    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.signature.width()
    }

    /// Every element, row by row.
    pub(super) fn all(&mut self) -> Place<'_> {
        self.place(0, 1)
    }

    /// The elements of one feature.
    pub(super) fn column(&mut self, column: usize) -> Place<'_> {
        self.place(column, self.signature.width())
    }

    fn place(&mut self, next: usize, step: usize) -> Place<'_> {
        Place {
            signature: self.signature,
            values: &mut self.values,
            next,
            step,
        }
    }

    /// Fills what is missing, where the model can do without.
    pub(super) fn finish(mut self) -> Result<Rows, Error> {
        let width = self.signature.width();
        let mut filled = Vec::new();
        for (at, value) in self.values.iter_mut().enumerate() {
            if value.is_nan() {
                let column = at % width;
                let fill = self.signature.features[column].fill;
                let missing = || self.signature.fault(at / width, column, Problem::Missing);
                *value = fill.ok_or_else(missing)?;
                filled.push(column);
            }
        }
        let values = self.values;
        Ok(Rows { values, filled })
    }
}

impl Place<'_> {
    /// Writes the next element; NaN stands for a missing one where the model can do without.
    pub(super) fn put(&mut self, element: Result<f64, Problem>) -> Result<(), Error> {
        let value = element.map_err(|problem| self.fault(problem))?;
        let missing = value.is_nan() && self.can_fill();
        if !value.is_finite() && !missing {
            return Err(self.fault(Problem::NotFinite));
        }
        if let Some(place) = self.values.get_mut(self.next) {
            *place = value;
        }
        self.next += self.step;
        Ok(())
    }

    /// Leaves the next element out.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self.can_fill() {
            true => self.put(Ok(f64::NAN)),
            false => Err(self.fault(Problem::Null)),
        }
    }

    /// The error that the next element has `problem`.
    pub(super) fn fault(&self, problem: Problem) -> Error {
        let width = self.signature.width();
        let (row, column) = (self.next / width, self.next % width);
        self.signature.fault(row, column, problem)
    }

    fn can_fill(&self) -> bool {
        let column = self.next % self.signature.width();
        self.signature.features[column].fill.is_some()
    }
}
