//! Answers → counts.

use super::pace::{Limit, Progress};
use super::request::Request;
use super::transport::{Answer, Failure, Verdict};
use hdrhistogram::{CreationError, Histogram};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest latency that is told apart from longer ones, in microseconds: that of the longest run.
const LONGEST: u64 = 24 * 3_600 * 1_000_000;
/// Decimal digits to which latencies are exact.
const DIGITS: u8 = 3;

/// One request and what came of it.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// What was sent.
    pub request: &'a Request,
    /// What came back.
    pub outcome: Result<Answer, Failure>,
    /// From when the request was due to the end of its answer.
    pub latency: Duration,
    /// Whether it was made late.
    pub late: bool,
}

/// What has been counted.
#[derive(Debug)]
pub struct Tally {
    /// Requests that have ended.
    pub requests: u64,
    /// Latencies of all answers in microseconds.
    pub latencies: Histogram<u64>,
    /// Answers by status.
    pub answers: BTreeMap<String, u64>,
    /// What the first answer of each status says that was not expected.
    pub said: BTreeMap<String, String>,
    /// Requests without an answer, by kind of failure.
    pub unanswered: BTreeMap<&'static str, u64>,
    /// Rows predicted.
    pub rows: u64,
    /// Those of them that had drifted.
    pub drifted: u64,
    /// Sound requests that were accepted.
    pub accepted: u64,
    /// Broken requests that were refused.
    pub refused: u64,
    /// Broken requests that were accepted all the same.
    pub tolerated: u64,
    /// Requests made late.
    pub late: u64,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// If there can be no such histogram.
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self {
            requests: 0,
            latencies: Histogram::new_with_max(LONGEST, DIGITS)?,
            answers: BTreeMap::new(),
            said: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            rows: 0,
            drifted: 0,
            accepted: 0,
            refused: 0,
            tolerated: 0,
            late: 0,
        })
    }

    /// Counts one more.
    pub fn count(&mut self, exchange: Exchange<'_>) {
        self.requests += 1;
        self.late += u64::from(exchange.late);
        match exchange.outcome {
            Ok(answer) => {
                let micros = exchange.latency.as_micros().try_into().unwrap_or(LONGEST);
                self.latencies.saturating_record(micros);
                self.answered(exchange.request, answer);
            }
            Err(failure) => *self.unanswered.entry(failure.kind()).or_default() += 1,
        }
    }

    fn answered(&mut self, request: &Request, answer: Answer) {
        match (answer.verdict, request.fault) {
            (Verdict::Accepted, fault) => {
                self.rows += request.rows() as u64;
                self.drifted += request.drifted;
                match fault {
                    None => self.accepted += 1,
                    Some(_) => self.tolerated += 1,
                }
            }
            (Verdict::Refused, Some(_)) => self.refused += 1,
            (Verdict::Refused | Verdict::Failed, _) => {
                let said = answer.said.unwrap_or_default();
                self.said.entry(answer.status.clone()).or_insert(said);
            }
        }
        *self.answers.entry(answer.status).or_default() += 1;
    }

    /// How far a run with this limit has come.
    pub fn progress(&self, limit: Limit, elapsed: Duration) -> Progress {
        Progress {
            share: limit.share(elapsed, self.requests),
            requests: self.requests,
            per_second: self.requests as f64 / elapsed.as_secs_f64(),
            unanswered: self.unanswered.values().sum(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load_generator::request::{Cell, Fault};

    fn request(fault: Option<Fault>) -> Request {
        Request {
            width: 1,
            cells: vec![Cell::Number(1.0); 3],
            drifted: 2,
            fault,
        }
    }

    fn answer(status: &str, verdict: Verdict, said: Option<&str>) -> Result<Answer, Failure> {
        Ok(Answer {
            status: status.to_owned(),
            verdict,
            said: said.map(str::to_owned),
        })
    }

    /// One request of every kind of ending, 1 to 7 ms long.
    pub(in crate::load_generator) fn one_of_each() -> Tally {
        let (sound, broken) = (request(None), request(Some(Fault::Null)));
        let exchanges = [
            (&sound, answer("200", Verdict::Accepted, None)),
            (&broken, answer("200", Verdict::Accepted, None)),
            (&broken, answer("400", Verdict::Refused, Some("is null"))),
            (&sound, answer("413", Verdict::Failed, Some("too large"))),
            (&sound, answer("413", Verdict::Failed, Some("larger still"))),
            (&sound, Err(Failure::Refused)),
            (&broken, Err(Failure::Timeout(Duration::from_secs(1)))),
        ];
        let mut tally = Tally::new().unwrap();
        for (index, (request, outcome)) in exchanges.into_iter().enumerate() {
            tally.count(Exchange {
                request,
                outcome,
                latency: Duration::from_millis(index as u64 + 1),
                late: index == 0,
            });
        }
        tally
    }

    #[test]
    fn what_was_expected_depends_on_the_request() {
        let tally = one_of_each();
        let counts = (
            tally.requests,
            tally.accepted,
            tally.refused,
            tally.tolerated,
        );
        assert_eq!(counts, (7, 1, 1, 1));
        assert_eq!((tally.rows, tally.drifted, tally.late), (6, 4, 1));
        let statuses: Vec<_> = tally
            .answers
            .iter()
            .map(|(k, v)| (k.as_str(), *v))
            .collect();
        assert_eq!(statuses, [("200", 2), ("400", 1), ("413", 2)]);
        let unanswered: Vec<_> = tally.unanswered.into_iter().collect();
        assert_eq!(unanswered, [("refused", 1), ("timeout", 1)]);
    }

    #[test]
    fn only_an_unexpected_answer_is_quoted_and_only_the_first() {
        let said: Vec<_> = one_of_each().said.into_iter().collect();
        assert_eq!(said, [("413".to_owned(), "too large".to_owned())]);
    }

    #[test]
    fn only_answers_have_a_latency() {
        let latencies = one_of_each().latencies;
        assert_eq!((latencies.len(), latencies.min()), (5, 1_000));
    }
}
