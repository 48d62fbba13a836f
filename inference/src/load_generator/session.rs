//! What all connections of a run share: requests to make, and the tally of their answers.

use super::pace::LATE;
use super::request::Mix;
use super::tally::{Exchange, Tally};
use super::transport::{Client, Failure};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Session {
    mix: Mix,
    timeout: Duration,
    tally: Mutex<Tally>,
}

impl Session {
    /// Requests of `mix`, given up after `timeout`, counted in `tally`.
    pub const fn new(mix: Mix, timeout: Duration, tally: Tally) -> Self {
        Self {
            mix,
            timeout,
            tally: Mutex::new(tally),
        }
    }

    /// What has been counted so far.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        // Counters are never half written.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes request `number`, which was due at `due`, and counts what comes of it. Says whether
    /// there was an answer.
    pub(super) async fn ask(&self, client: &mut impl Client, number: u64, due: Instant) -> bool {
        let late = due.elapsed() > LATE;
        let request = self.mix.request(number);
        let answer = tokio::time::timeout(self.timeout, client.ask(&request)).await;
        let outcome = answer.unwrap_or(Err(Failure::Timeout(self.timeout)));
        let answered = outcome.is_ok();
        self.tally().count(Exchange {
            request: &request,
            outcome,
            latency: due.elapsed(),
            late,
        });
        answered
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load_generator::request::{Blend, Request};
    use crate::load_generator::rows::Rows;
    use crate::load_generator::transport::{Answer, Verdict};
    use crate::table::Table;

    /// A server that takes this long, or refuses connections.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::load_generator) enum Fake {
        Takes(Duration),
        Refuses,
    }

    impl Client for Fake {
        fn another(&self) -> Self {
            *self
        }

        async fn ask(&mut self, _: &Request) -> Result<Answer, Failure> {
            match self {
                Self::Refuses => Err(Failure::Refused),
                Self::Takes(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(Answer {
                        status: "200".to_owned(),
                        verdict: Verdict::Accepted,
                        said: None,
                    })
                }
            }
        }
    }

    pub(in crate::load_generator) fn session(timeout: Duration) -> Session {
        let table = Table::read("a\n1\n2\n".as_bytes()).unwrap();
        let rows = Rows::new(&table, None, &["a".to_owned()]).unwrap();
        let blend = Blend {
            rows: 1,
            drift: 0.0,
            drift_by: 2.0,
            broken: 0.0,
            seed: 42,
        };
        let mix = Mix::new(rows, blend).unwrap();
        Session::new(mix, timeout, Tally::new().unwrap())
    }

    #[tokio::test]
    async fn a_request_without_an_answer_in_time_is_given_up() {
        let session = session(Duration::from_millis(20));
        let mut server = Fake::Takes(Duration::from_secs(60));
        assert!(!session.ask(&mut server, 0, Instant::now()).await);
        assert_eq!(session.tally().unanswered["timeout"], 1);
        let mut server = Fake::Takes(Duration::ZERO);
        assert!(session.ask(&mut server, 1, Instant::now()).await);
        assert_eq!(session.tally().answers["200"], 1);
    }
}
