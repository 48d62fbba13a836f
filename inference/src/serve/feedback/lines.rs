//! Ground truth as a stream of lines, each a row of its own (NDJSON, JSON Lines): what a job exports
//! can be sent as it is, and a bad line is in nobody's way.

use super::{Batch, Refusal, respond, score};
use crate::serve::error::Error;
use crate::serve::job::Job;
use axum::response::Response;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use std::time::{Instant, SystemTime};

/// Media types of such a stream.
const KINDS: [&str; 4] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

/// Refused lines that an answer shows.
const MOST_SHOWN: usize = 20;

/// Lines that are judged before it is asked whether anybody still waits.
const LINES_PER_CHECK: usize = 1000;

/// What became of the lines.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    accepted: usize,
    rejected: usize,
    /// The first of those that were refused.
    rejected_lines: Vec<Rejected>,
}

/// A refused line.
#[derive(Debug, Serialize)]
struct Rejected {
    /// From 1, as editors count.
    line: usize,
    reason: &'static str,
    message: String,
}

/// Whether `headers` announce lines.
pub(super) fn expected(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let essence = essence.trim();
    KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(essence))
}

/// Judges each line of `body` alone; blank ones are none. Nothing is counted before all are judged: who
/// gave up waiting sends them all again.
///
/// # Errors
/// `Invalid` if there is no line; `Cancelled` or `Deadline`.
pub(super) fn answer(served: &Job, body: &[u8]) -> Result<Response, Error> {
    let now = SystemTime::now();
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
    let mut judged = Vec::new();
    for (at, line) in lines {
        if judged.len() % LINES_PER_CHECK == 0 {
            served.check(Instant::now())?;
        }
        judged.push((at, score(served, line, now)));
    }
    served.check(Instant::now())?;
    let mut verdict = Verdict::default();
    let mut batch = Batch::new(served, now);
    for (at, judged) in judged {
        if let Err(refusal) = batch.count(judged) {
            verdict.refuse(at + 1, refusal);
        }
    }
    verdict.accepted = batch.finish();
    verdict.error = verdict.failure()?;
    Ok(respond(&verdict, verdict.error.clone()))
}

impl Verdict {
    fn refuse(&mut self, line: usize, Refusal { reason, message }: Refusal) {
        self.rejected += 1;
        if self.rejected <= MOST_SHOWN {
            let reason = reason.as_str();
            self.rejected_lines.push(Rejected {
                line,
                reason,
                message,
            });
        }
    }

    /// What to say if no line was accepted.
    fn failure(&self) -> Result<Option<String>, Error> {
        match &self.rejected_lines[..] {
            _ if self.accepted > 0 => Ok(None),
            [] => Err(Error::Invalid("no lines".to_owned())),
            [Rejected { line, message, .. }, ..] => Ok(Some(format!(
                "no line was accepted; line {line}: {message}"
            ))),
        }
    }
}
