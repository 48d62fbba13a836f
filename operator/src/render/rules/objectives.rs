//! What users are promised, and how fast the errors that a promise allows are used up.
//!
//! Source: "Alerting on SLOs" in Google's Site Reliability Workbook: an alert holds while both a long
//! window and a short one burn the budget too fast, so that it neither fires for a blip nor goes on
//! after the fault has ended.

use super::subject::Subject;
use crate::plan::{Monitoring, Objectives, Window};
use crate::prometheus_operator::Record;
use crate::promql::{self, number};
use contract::metrics::{REQUEST_DURATION, REQUESTS};

/// Requests in an hour, or a day for slow burns, that an alert needs: a few failures are no rate.
const FEWEST_REQUESTS: u32 = 100;
/// What carries work. Probes and metadata are asked for by GET, but for those over gRPC.
pub(super) const WORK: &str =
    "method=\"POST\",endpoint!~\"grpc/(health|metadata|repository)|/v2/repository.*|other\"";
/// Share of requests beyond which an alert holds, whatever the objective: a budget of half of them could
/// not be used up many times too fast.
const HIGHEST_LIMIT: f64 = 0.9;
/// Recordings are evaluated this often within the shortest window.
const STEPS_PER_UNIT: u64 = 5;
/// A window of this many units, an hour for a period of 30 days, is what longer ones are added up of.
const HOUR: u64 = 12;
const DAY: u64 = 24 * HOUR;

/// One promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objective {
    /// Requests do not end in a fault of the server.
    Availability,
    /// Requests are answered soon enough.
    Latency,
}

/// A long and a short window, in units, and how many times too fast both burn the budget.
struct Burn {
    long: u64,
    short: u64,
    factor: f64,
}

/// 2 % of the budget within an hour, or 5 % within six.
const FAST: [Burn; 2] = [
    Burn {
        long: HOUR,
        short: 1,
        factor: 14.4,
    },
    Burn {
        long: 6 * HOUR,
        short: 6,
        factor: 6.0,
    },
];
/// 10 % of the budget within a day, or within three.
const SLOW: [Burn; 2] = [
    Burn {
        long: DAY,
        short: 2 * HOUR,
        factor: 3.0,
    },
    Burn {
        long: 3 * DAY,
        short: 6 * HOUR,
        factor: 1.0,
    },
];
/// Every window of the table above, in units: those of less than a day, and the others.
const SHORT_WINDOWS: [u64; 5] = [1, 6, HOUR, 2 * HOUR, 6 * HOUR];
const LONG_WINDOWS: [u64; 2] = [DAY, 3 * DAY];
/// What looks at days is evaluated once while the rest is evaluated this often.
const STEPS_PER_LONG_STEP: u64 = 4;
/// Recorded series must be renewed before Prometheus takes them for gone, after 5 minutes.
const LONGEST_STEP: Window = Window { seconds: 240 };

/// Series that windows are added up of: all requests, and those that break a promise.
const ALL_REQUESTS: &str = "objective_requests";

impl Objective {
    const ALL: [Self; 2] = [Self::Availability, Self::Latency];

    /// What the series of its errors are named after.
    const fn errors(self) -> &'static str {
        match self {
            Self::Availability => "availability_errors",
            Self::Latency => "latency_errors",
        }
    }

    const fn budget(self, objectives: &Objectives) -> f64 {
        match self {
            Self::Availability => objectives.unavailable,
            Self::Latency => objectives.slow,
        }
    }

    fn ratio(self, window: Window) -> String {
        format!("modelservice:{}:ratio_rate{window}", self.errors())
    }

    /// How much of the budget is left, 0 to 1, and how many times too fast it is used up.
    const fn budget_left(self) -> &'static str {
        match self {
            Self::Availability => "modelservice:availability_budget:remaining_ratio",
            Self::Latency => "modelservice:latency_budget:remaining_ratio",
        }
    }

    const fn burn_rate(self) -> &'static str {
        match self {
            Self::Availability => "modelservice:availability_budget:burn_rate",
            Self::Latency => "modelservice:latency_budget:burn_rate",
        }
    }

    /// Errors per second.
    fn rate(self, subject: &Subject<'_>, objectives: &Objectives) -> String {
        let unit = objectives.unit;
        match self {
            Self::Availability => rate(subject, (REQUESTS.name, &[WORK, "status=~\"5..\""]), unit),
            Self::Latency => {
                let count = format!("{}_count", REQUEST_DURATION.name);
                let bucket = format!("{}_bucket", REQUEST_DURATION.name);
                let bound = bound(objectives.latency_seconds);
                let soon = rate(subject, (&bucket, &[WORK, &bound]), unit);
                format!("{} - {soon}", rate(subject, (&count, &[WORK]), unit))
            }
        }
    }
}

/// Selects a bucket by its upper bound: Prometheus 3 writes whole numbers as floats, 2 does not.
fn bound(seconds: f64) -> String {
    if seconds.fract() == 0.0 {
        format!("le=~\"{seconds}([.]0)?\"")
    } else {
        format!("le=\"{seconds}\"")
    }
}

fn rate(subject: &Subject<'_>, series: (&str, &[&str]), window: Window) -> String {
    promql::sum_over(subject.id(), "rate", series, window, &[])
}

fn units(objectives: &Objectives, count: u64) -> Window {
    Window {
        seconds: count * objectives.unit.seconds,
    }
}

/// Time between evaluations.
pub(super) fn step(monitoring: &Monitoring) -> Window {
    let objectives = monitoring.objectives.as_ref();
    let unit = objectives.map_or(monitoring.window, |objectives| objectives.unit);
    Window {
        seconds: (unit.seconds / STEPS_PER_UNIT).max(1),
    }
}

/// The same of what looks at days.
pub(super) fn long_step(monitoring: &Monitoring) -> Window {
    let step = Window {
        seconds: STEPS_PER_LONG_STEP * step(monitoring).seconds,
    };
    step.min(LONGEST_STEP)
}

/// What is recorded about the last hours.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let Some(objectives) = &subject.monitoring.objectives else {
        return Vec::new();
    };
    let mut records = counts(subject, objectives);
    for objective in Objective::ALL {
        let ratio = |count: &u64| ratio(subject, objectives, objective, *count);
        records.extend(SHORT_WINDOWS.iter().map(ratio));
        let hour = objective.ratio(units(objectives, HOUR));
        let burnt = format!(
            "{} / {}",
            subject.series(&hour),
            objective.budget(objectives)
        );
        records.push(Record::from((objective.burn_rate(), burnt)));
    }
    records
}

/// What is recorded about days, and about the whole period.
pub(super) fn long_recordings(subject: &Subject<'_>) -> Vec<Record> {
    let Some(objectives) = &subject.monitoring.objectives else {
        return Vec::new();
    };
    let mut records = Vec::new();
    for objective in Objective::ALL {
        let ratio = |count: u64| ratio(subject, objectives, objective, count);
        records.extend(LONG_WINDOWS.map(ratio));
        let budget = objective.budget(objectives);
        let left = format!("1 - {} / {budget}", ratio(Objectives::PERIOD).expr);
        records.push(Record::from((objective.budget_left(), left)));
    }
    records
}

/// Requests and errors, per second and per hour.
fn counts(subject: &Subject<'_>, objectives: &Objectives) -> Vec<Record> {
    let (unit, hour) = (objectives.unit, units(objectives, HOUR));
    let requests = rate(subject, (REQUESTS.name, &[WORK]), unit);
    let errors = Objective::ALL.map(|one| (one.errors(), one.rate(subject, objectives)));
    let all = [(ALL_REQUESTS, requests)].into_iter().chain(errors);
    let records = all.flat_map(|(name, expr)| {
        let rate = format!("modelservice:{name}:rate{unit}");
        let step = step(subject.monitoring).seconds;
        let sum = format!("sum_over_time({}[{hour}]) * {step}", subject.series(&rate));
        let per_hour = format!("modelservice:{name}:increase{hour}");
        [(rate, expr), (per_hour, sum)]
    });
    records.map(Record::from).collect()
}

/// The share of requests that broke a promise within `count` units.
fn ratio(
    subject: &Subject<'_>,
    objectives: &Objectives,
    objective: Objective,
    count: u64,
) -> Record {
    let window = units(objectives, count);
    let errors = total(subject, objectives, objective.errors(), count);
    let requests = total(subject, objectives, ALL_REQUESTS, count);
    Record {
        record: objective.ratio(window),
        expr: format!("{errors} / {requests}"),
    }
}

/// How many there were of `what` within `count` units, but for a factor that is the same for all.
fn total(subject: &Subject<'_>, objectives: &Objectives, what: &str, count: u64) -> String {
    let (unit, hour) = (objectives.unit, units(objectives, HOUR));
    let window = units(objectives, count);
    let rates = subject.series(&format!("modelservice:{what}:rate{unit}"));
    let hours = subject.series(&format!("modelservice:{what}:increase{hour}"));
    match count {
        1 => rates,
        HOUR => hours,
        2..DAY => format!("sum_over_time({rates}[{window}])"),
        // A sample an hour instead of thousands.
        _ => format!("sum_over_time({hours}[{window}:{hour}])"),
    }
}

/// The budget is used up within days.
pub(super) fn fast(subject: &Subject<'_>, objective: Objective) -> Option<String> {
    let objectives = subject.monitoring.objectives.as_ref()?;
    let hour = units(objectives, HOUR);
    let requests = subject.series(&format!("modelservice:{ALL_REQUESTS}:increase{hour}"));
    Some(burn(subject, objectives, objective, &FAST, &requests))
}

/// The budget is used up before its period ends.
pub(super) fn slow(subject: &Subject<'_>, objective: Objective) -> Option<String> {
    let objectives = subject.monitoring.objectives.as_ref()?;
    let requests = total(subject, objectives, ALL_REQUESTS, DAY);
    Some(burn(subject, objectives, objective, &SLOW, &requests))
}

fn burn(
    subject: &Subject<'_>,
    objectives: &Objectives,
    objective: Objective,
    burns: &[Burn],
    requests: &str,
) -> String {
    let pair = |burn: &Burn| {
        let limit = number((burn.factor * objective.budget(objectives)).min(HIGHEST_LIMIT));
        let above = |count| {
            let ratio = objective.ratio(units(objectives, count));
            format!("{} > {limit}", subject.series(&ratio))
        };
        format!("{} and {}", above(burn.long), above(burn.short))
    };
    let pairs: Vec<_> = burns.iter().map(pair).collect();
    format!(
        "({}) and {requests} >= {FEWEST_REQUESTS}",
        pairs.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_of_an_alert_is_recorded() {
        for Burn { long, short, .. } in FAST.iter().chain(&SLOW) {
            let recorded = |count| SHORT_WINDOWS.contains(count) || LONG_WINDOWS.contains(count);
            assert!(recorded(long) && recorded(short));
        }
    }

    #[test]
    fn every_bound_that_the_definition_admits_is_a_bucket() {
        let crd = crate::cli::crd().unwrap();
        let contract::metrics::Kind::Histogram(contract::metrics::Buckets::Fixed(edges)) =
            REQUEST_DURATION.kind
        else {
            panic!("no histogram");
        };
        let (_, listed) = crd.split_once("threshold must be one of ").unwrap();
        let (listed, _) = listed.split_once(':').unwrap();
        let bounds = listed.split(", ").map(|text| {
            let bound = crate::api::Duration::from(text).millis().unwrap();
            bound as f64 / 1000.0
        });
        let missing: Vec<f64> = bounds.filter(|bound| !edges.contains(bound)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
