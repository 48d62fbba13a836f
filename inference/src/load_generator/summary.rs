//! Counts → what a person, or a script, is told at the end.

use super::pace::LATE;
use super::tally::Tally;
use indicatif::HumanCount;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// Share of requests up to which being late says nothing about the rate: a computer has other
/// things to do, too.
const FEW: f64 = 0.05;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Requests made.
    pub requests: u64,
    /// Requests answered, whatever the answer.
    pub answered: u64,
    /// Rows predicted.
    pub rows: u64,
    /// Those of them that had drifted.
    pub drifted_rows: u64,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Answers per second.
    pub requests_per_second: f64,
    /// Rows predicted per second.
    pub rows_per_second: f64,
    /// Of all answers; None if there are none.
    pub latency_seconds: Option<Latency>,
    /// Answers by status.
    pub answers: BTreeMap<String, u64>,
    /// What the first answer of each status says that was not expected.
    pub unexpected: BTreeMap<String, String>,
    /// Sound requests that were accepted.
    pub accepted: u64,
    /// Broken requests that were refused, as they should be.
    pub refused_as_expected: u64,
    /// Broken requests that were accepted all the same.
    pub accepted_though_broken: u64,
    /// Requests without an answer, by kind of failure.
    pub errors: BTreeMap<&'static str, u64>,
    /// Requests of an open loop that were made over 10 ms after they were due.
    pub late: u64,
    /// Requests of an open loop that were not made before its end.
    pub unsent: u64,
    /// Whether Ctrl-C ended the run.
    pub interrupted: bool,
}

/// Seconds from when a request was due to the end of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    pub max: f64,
}

impl Summary {
    /// Sums up a run of `seconds`, in which `planned` requests should have been made, or any
    /// number if that is 0.
    pub fn new(tally: &Tally, seconds: f64, planned: u64, interrupted: bool) -> Self {
        let answered = tally.latencies.len();
        Self {
            requests: tally.requests,
            answered,
            rows: tally.rows,
            drifted_rows: tally.drifted,
            seconds,
            requests_per_second: answered as f64 / seconds,
            rows_per_second: tally.rows as f64 / seconds,
            latency_seconds: Latency::of(tally),
            answers: tally.answers.clone(),
            unexpected: tally.said.clone(),
            accepted: tally.accepted,
            refused_as_expected: tally.refused,
            accepted_though_broken: tally.tolerated,
            errors: tally.unanswered.clone(),
            late: tally.late,
            unsent: planned.saturating_sub(tally.requests),
            interrupted,
        }
    }

    /// Whether any request did what it should.
    pub const fn is_success(&self) -> bool {
        self.accepted + self.refused_as_expected > 0
    }
}

impl Latency {
    fn of(tally: &Tally) -> Option<Self> {
        let latencies = &tally.latencies;
        let seconds = |micros: u64| micros as f64 / 1e6;
        let quantile = |quantile| seconds(latencies.value_at_quantile(quantile));
        (!latencies.is_empty()).then(|| Self {
            min: seconds(latencies.min()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: seconds(latencies.max()),
        })
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_amounts(f)?;
        self.write_latency(f)?;
        self.write_answers(f)?;
        self.write_errors(f)
    }
}

impl Summary {
    fn write_amounts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interrupted = if self.interrupted {
            ", interrupted"
        } else {
            ""
        };
        let (requests, seconds) = (HumanCount(self.requests), self.seconds);
        writeln!(f, "requests  {requests} in {seconds:.1} s{interrupted}")?;
        write!(f, "rows      {} predicted", HumanCount(self.rows))?;
        if self.drifted_rows > 0 {
            write!(f, ", {} of them drifted", HumanCount(self.drifted_rows))?;
        }
        let (requests, rows) = (self.requests_per_second, self.rows_per_second);
        writeln!(f, "\nrate      {requests:.1} answers/s, {rows:.1} rows/s")
    }

    fn write_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(latency) = &self.latency_seconds else {
            return writeln!(f, "latency   no answers");
        };
        let shown = [
            ("min", latency.min),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p99_9),
            ("max", latency.max),
        ];
        let shown = shown.map(|(name, seconds)| format!("{name} {:.3}", seconds * 1e3));
        writeln!(f, "latency   {} ms", shown.join("  "))
    }

    fn write_answers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (status, count) in &self.answers {
            write!(f, "answers   {status}: {}", HumanCount(*count))?;
            match self.unexpected.get(status) {
                Some(said) => writeln!(f, ", such as: {said}")?,
                None => writeln!(f)?,
            }
        }
        let broken = [
            (self.refused_as_expected, "refused as expected"),
            (self.accepted_though_broken, "accepted all the same"),
        ];
        for (count, what) in broken.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "broken    {} {what}", HumanCount(count))?;
        }
        Ok(())
    }

    fn write_errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.errors {
            writeln!(f, "errors    {kind}: {}", HumanCount(*count))?;
        }
        if self.late + self.unsent == 0 {
            return Ok(());
        }
        let (late, unsent) = (HumanCount(self.late), HumanCount(self.unsent));
        write!(f, "late      {late} made over {} ms", LATE.as_millis())?;
        write!(f, " after they were due, {unsent} not at all")?;
        match self.is_behind() {
            true => writeln!(f, ": this client or the server cannot keep up"),
            false => writeln!(f),
        }
    }

    /// Whether the rate was not kept, other than in moments.
    fn is_behind(&self) -> bool {
        let share = self.late as f64 / self.requests as f64;
        self.unsent > 0 || share > FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_generator::tally::tests::one_of_each;

    #[test]
    fn a_person_reads_everything_that_happened() {
        let text = Summary::new(&one_of_each(), 2.0, 9, true).to_string();
        assert_eq!(
            text,
            "requests  7 in 2.0 s, interrupted\n\
             rows      6 predicted, 4 of them drifted\n\
             rate      2.5 answers/s, 3.0 rows/s\n\
             latency   min 1.000  p50 3.001  p90 5.003  p99 5.003  p99.9 5.003  max 5.003 ms\n\
             answers   200: 2\n\
             answers   400: 1\n\
             answers   413: 2, such as: too large\n\
             broken    1 refused as expected\n\
             broken    1 accepted all the same\n\
             errors    refused: 1\n\
             errors    timeout: 1\n\
             late      1 made over 10 ms after they were due, 2 not at all: \
             this client or the server cannot keep up\n"
        );
    }

    #[test]
    fn a_script_reads_the_same() {
        let summary = Summary::new(&one_of_each(), 2.0, 9, true);
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["answers"]["413"], 2);
        assert_eq!(json["errors"]["refused"], 1);
        assert_eq!(json["latency_seconds"]["min"], 0.001);
        assert!(json["latency_seconds"]["p99.9"].is_number());
        assert_eq!(json["requests_per_second"], 2.5);
    }

    #[test]
    fn without_an_answer_there_is_no_latency_and_no_success() {
        let nothing = Summary::new(&Tally::new().unwrap(), 1.0, 0, false);
        assert!(nothing.to_string().contains("latency   no answers\n"));
        assert!(!nothing.is_success());
        assert!(Summary::new(&one_of_each(), 1.0, 0, false).is_success());
    }
}
