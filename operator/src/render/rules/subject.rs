use crate::plan::{Identity, Monitoring, Plan, Window};
use crate::promql;

/// Rules that look at a window are evaluated this often within it.
const STEPS_PER_WINDOW: u64 = 30;
/// Recorded series must be renewed before Prometheus takes them for gone, after 5 minutes.
const LONGEST_STEP: Window = Window { seconds: 120 };

/// What the rules of a ModelService speak of.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub plan: &'a Plan,
    pub monitoring: &'a Monitoring,
}

impl<'a> Subject<'a> {
    pub(super) fn id(&self) -> &'a Identity {
        &self.plan.id
    }

    /// `name{namespace="…",modelservice="…"}`
    pub(super) fn series(&self, name: &str) -> String {
        self.series_with(name, &[])
    }

    /// The same with further `matchers`, as written.
    pub(super) fn series_with(&self, name: &str, matchers: &[&str]) -> String {
        format!("{name}{}", promql::selector_with(self.id(), matchers))
    }

    /// Time between evaluations of what looks at `window`.
    pub(super) fn step(&self, window: Window) -> Window {
        self.pace(window, STEPS_PER_WINDOW, LONGEST_STEP)
    }

    /// `steps` evaluations within `window`, never further apart than `longest`, but no more of them than there
    /// are scrapes.
    pub(super) fn pace(&self, window: Window, steps: u64, longest: Window) -> Window {
        let step = Window {
            seconds: window.seconds / steps,
        };
        step.min(longest).max(self.monitoring.scrape.every)
    }
}
