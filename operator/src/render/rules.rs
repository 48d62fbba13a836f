//! Recording rules and alerts. Each file below holds what belongs together: what is recorded, and
//! when the alerts about it hold. [`alerts`] is the table of all alerts.

mod alerts;
mod business;
mod drift;
mod objectives;
mod performance;
mod quality;
mod serving;
mod subject;

pub use alerts::{ALERTS, AlertTemplate};

use crate::meta;
use crate::plan::{Monitoring, Plan, Window};
use crate::prometheus_operator::{PrometheusRule, PrometheusRuleSpec, Record, Rule, RuleGroup};
use subject::Subject;

/// Rules that are evaluated together, in order: alerts see this round's recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// How requests are answered.
    Serving,
    /// What users are promised, over hours.
    Objectives,
    /// The same over days.
    Budgets,
    /// Values that the model sees and answers.
    Values,
    /// What ground truth says.
    Performance,
}

impl Group {
    const ALL: [Self; 5] = [
        Self::Serving,
        Self::Objectives,
        Self::Budgets,
        Self::Values,
        Self::Performance,
    ];

    /// What the group's name ends with.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Serving => "",
            Self::Objectives => ".objectives",
            Self::Budgets => ".budgets",
            Self::Values => ".values",
            Self::Performance => ".performance",
        }
    }

    /// Time between evaluations.
    fn interval(self, subject: &Subject<'_>) -> String {
        let monitoring = subject.monitoring;
        let watched = |windows: &[Option<Window>]| {
            let shortest = windows.iter().flatten().min();
            subject.step(shortest.copied().unwrap_or(monitoring.window))
        };
        let window = |watch: Option<crate::plan::Watch>| watch.map(|watch| watch.window);
        match self {
            Self::Serving => serving::step(subject).to_string(),
            Self::Objectives => objectives::step(monitoring).to_string(),
            Self::Budgets => objectives::long_step(monitoring).to_string(),
            Self::Values => {
                watched(&[window(monitoring.drift), window(monitoring.quality)]).to_string()
            }
            Self::Performance => watched(&[window(monitoring.performance)]).to_string(),
        }
    }

    fn recordings(self, subject: &Subject<'_>) -> Vec<Record> {
        match self {
            Self::Serving => [serving::recordings(subject), business::recordings(subject)].concat(),
            Self::Objectives => objectives::recordings(subject),
            Self::Budgets => objectives::long_recordings(subject),
            Self::Values => [drift::recordings(subject), quality::recordings(subject)].concat(),
            Self::Performance => performance::recordings(subject),
        }
    }
}

/// Every rule of a ModelService.
pub(super) fn render(plan: &Plan, monitoring: &Monitoring) -> PrometheusRule {
    let id = &plan.id;
    PrometheusRule {
        metadata: meta::object(id, meta::name(id), &monitoring.scrape.labels),
        spec: PrometheusRuleSpec {
            groups: groups(&Subject { plan, monitoring }),
        },
    }
}

fn groups(subject: &Subject<'_>) -> Vec<RuleGroup> {
    let groups = Group::ALL.iter().map(|group| group_of(*group, subject));
    groups.filter(|group| !group.rules.is_empty()).collect()
}

fn group_of(group: Group, subject: &Subject<'_>) -> RuleGroup {
    let id = subject.id();
    let recordings = group.recordings(subject).into_iter().map(Rule::Record);
    let alerts = alerts::render(group, subject).into_iter().map(Rule::Alert);
    RuleGroup {
        name: format!(
            "modelservice.{}.{}{}",
            id.namespace,
            id.name,
            group.suffix()
        ),
        interval: group.interval(subject),
        rules: recordings.chain(alerts).collect(),
    }
}
