//! How requests are answered, and how the pods are that answer them.

use super::objectives::WORK;
use super::subject::Subject;
use crate::api::Quantity;
use crate::plan::{Identity, Thresholds, Window};
use crate::prometheus_operator::Record;
use crate::promql::{self, labels, number};
use contract::labels::{ErrorType, Memory};
use contract::metrics::{
    ACTIVE_REQUESTS, APP_MEMORY, ERRORS, INFERENCE_DURATION, MODEL_LOADED, Metric, PREDICTIONS,
    REQUEST_DURATION, REQUESTS,
};

/// Share of requests that may be refused because a pod is at its limits.
const MOST_REFUSED: f64 = 0.01;
/// Share of its memory limit that a pod may use.
const MOST_MEMORY: f64 = 0.9;
/// Restarts of a pod within [`CRASH_WINDOWS`] windows that are no accident.
const CRASHES: u32 = 2;
const CRASH_WINDOWS: u64 = 3;
const STEPS_PER_WINDOW: u64 = 10;
const LONGEST_STEP: Window = Window { seconds: 30 };
/// Of the standard process collector: another one after every restart.
const PROCESS_START: &str = "process_start_time_seconds";

/// What a recording rule computes over the window.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Increase per second, summed over the pods.
    Rate,
    /// 95th percentile over all pods.
    P95,
}

/// A recorded series of a ModelService, without its window.
#[derive(Debug, Clone, Copy)]
struct Recording {
    metric: &'static Metric,
    shape: Shape,
    /// Which of its series.
    matchers: &'static [&'static str],
}

const fn rate(metric: &'static Metric) -> Recording {
    Recording {
        metric,
        shape: Shape::Rate,
        matchers: &[],
    }
}

const fn p95(metric: &'static Metric) -> Recording {
    Recording {
        metric,
        shape: Shape::P95,
        matchers: &[],
    }
}

impl Recording {
    /// The same without probes and the like.
    const fn of_work(self) -> Self {
        Self {
            matchers: &[WORK],
            ..self
        }
    }
}

const REQUEST_RATE: Recording = rate(&REQUESTS).of_work();
const ERROR_RATE: Recording = rate(&ERRORS);
const PREDICTION_RATE: Recording = rate(&PREDICTIONS);
const LATENCY_P95: Recording = p95(&REQUEST_DURATION).of_work();
const INFERENCE_P95: Recording = p95(&INFERENCE_DURATION);

const RECORDINGS: [Recording; 5] = [
    REQUEST_RATE,
    ERROR_RATE,
    PREDICTION_RATE,
    LATENCY_P95,
    INFERENCE_P95,
];

impl Recording {
    /// Name by the convention `level:metric:operation`, such as `modelservice:api_errors:rate5m`.
    fn name(self, window: Window) -> String {
        let metric = self.metric.name.trim_end_matches("_total");
        let operation = match self.shape {
            Shape::Rate => "rate",
            Shape::P95 => "p95_",
        };
        format!("modelservice:{metric}:{operation}{window}")
    }

    fn rule(self, id: &Identity, window: Window) -> Record {
        let expr = match self.shape {
            Shape::Rate => {
                let series = (self.metric.name, self.matchers);
                promql::sum_over(id, "rate", series, window, &[])
            }
            Shape::P95 => promql::quantile(id, (self.metric, self.matchers), window, 0.95),
        };
        Record {
            record: self.name(window),
            expr,
        }
    }

    /// Holds above `threshold`.
    fn above(self, subject: &Subject<'_>, threshold: f64) -> String {
        let name = self.name(subject.monitoring.window);
        format!("{} > {threshold}", subject.series(&name))
    }
}

/// Time between evaluations: ten times a window and at least twice a minute, but no more often than there
/// are new scrapes.
pub(super) fn step(subject: &Subject<'_>) -> Window {
    subject.pace(subject.monitoring.window, STEPS_PER_WINDOW, LONGEST_STEP)
}

/// What is recorded about serving.
pub(super) fn recordings(subject: &Subject<'_>) -> Vec<Record> {
    let rule = |recording: &Recording| recording.rule(subject.id(), subject.monitoring.window);
    RECORDINGS.iter().map(rule).collect()
}

/// No pod can be scraped, though some are wanted.
pub(super) fn down(subject: &Subject<'_>) -> Option<String> {
    let (up, by) = (subject.series("up"), labels(&[]));
    let none_answers = format!("sum by ({by}) ({up}) == 0");
    // Without pods Prometheus has no target at all; that is a fault unless none is wanted.
    Some(match subject.plan.replicas {
        0 => none_answers,
        _ => format!("{none_answers} or absent({up})"),
    })
}

/// Fewer pods are scraped than there are at any time.
pub(super) fn target_missing(subject: &Subject<'_>) -> Option<String> {
    let fewest = subject.plan.fewest_replicas();
    let found = format!("count by ({}) ({})", labels(&[]), subject.series("up"));
    (fewest > 1).then(|| format!("{found} < {fewest}"))
}

/// A pod that is to serve has no model, or does not run. A server that cannot load its model says why
/// and stops, so it is a target that is down; so is one that is new and still fetches its model, which
/// has a window's time.
pub(super) fn not_loaded(subject: &Subject<'_>) -> Option<String> {
    let (loaded, up) = (subject.series(MODEL_LOADED.name), subject.series("up"));
    let pod = "on (namespace, pod)";
    let known = format!("({up} == 1 or {up} offset {})", subject.monitoring.window);
    Some(format!(
        "count by ({}) (({up} unless {pod} {loaded} == 1) and {pod} {known}) > 0",
        labels(&[])
    ))
}

/// A pod begins anew again and again.
pub(super) fn crash_looping(subject: &Subject<'_>) -> Option<String> {
    let window = Window {
        seconds: CRASH_WINDOWS * subject.monitoring.window.seconds,
    };
    let started = subject.series(PROCESS_START);
    let by = labels(&["pod"]);
    Some(format!(
        "sum by ({by}) (changes({started}[{window}])) >= {CRASHES}"
    ))
}

/// A pod uses nearly all of the memory that it may have.
pub(super) fn memory_near_limit(subject: &Subject<'_>) -> Option<String> {
    let limits = subject.plan.resources.limits.as_ref()?;
    let limit = Quantity(limits.get("memory")?.0.clone()).units().ok()?;
    let resident = format!("type={}", promql::quote(Memory::Rss.as_str()));
    let used = subject.series_with(APP_MEMORY.name, &[&resident]);
    let by = labels(&["pod"]);
    Some(format!("max by ({by}) ({used}) / {limit} > {MOST_MEMORY}"))
}

/// Requests fail.
pub(super) fn errors(subject: &Subject<'_>) -> Option<String> {
    let threshold = thresholds(subject)?.errors_per_second;
    Some(ERROR_RATE.above(subject, threshold))
}

/// Requests take long.
pub(super) fn latency(subject: &Subject<'_>) -> Option<String> {
    let threshold = thresholds(subject)?.latency_p95_seconds;
    Some(LATENCY_P95.above(subject, threshold))
}

/// The model takes long.
pub(super) fn inference(subject: &Subject<'_>) -> Option<String> {
    let threshold = thresholds(subject)?.inference_p95_seconds;
    Some(INFERENCE_P95.above(subject, threshold))
}

/// A pod works on more requests than its threshold.
pub(super) fn busy(subject: &Subject<'_>) -> Option<String> {
    let active = subject.series(ACTIVE_REQUESTS.name);
    let most = thresholds(subject)?.active_requests;
    Some(format!("max by ({}) ({active}) > {most}", labels(&[])))
}

/// Pods refuse requests because they are at their limits.
pub(super) fn overloaded(subject: &Subject<'_>) -> Option<String> {
    let window = subject.monitoring.window;
    let refused = format!("error_type={}", promql::quote(ErrorType::Overload.as_str()));
    let errors = (ERRORS.name, [refused.as_str()]);
    let refused = promql::sum_over(subject.id(), "rate", (errors.0, &errors.1), window, &[]);
    let all = subject.series(&REQUEST_RATE.name(window));
    Some(format!("{refused} / {all} > {}", number(MOST_REFUSED)))
}

fn thresholds<'a>(subject: &Subject<'a>) -> Option<&'a Thresholds> {
    let alerts = subject.monitoring.alerts.as_ref()?;
    Some(&alerts.thresholds)
}
