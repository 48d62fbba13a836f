//! What became of each child.

use crate::error::Error;
use crate::render::{Children, Stage};
use std::sync::Arc;

/// The stage after the writes.
#[derive(Debug)]
pub struct Applied;

impl Stage for Applied {
    type Child<K> = Outcome<K>;
}

/// What became of a child.
#[derive(Debug)]
pub enum Outcome<K> {
    /// It was as wanted.
    Unchanged,
    /// It was written, and this is what the API server made of it.
    Written(Box<K>),
    /// It is not wanted and not there.
    Absent,
    /// It is not wanted and was there until now.
    Deleted,
    /// An object of its name belongs to somebody else and was left alone.
    Conflict {
        /// Kind of that object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server does not know its kind.
    KindMissing,
    /// The API server was said to know its kind, and refused it as unknown: it is tried again.
    KindVanished,
    /// It was left as it is, because what it needs belongs to somebody else.
    Withheld,
    /// It could not be written, which keeps no model from being served.
    Failed(Arc<Error>),
}

impl<K> Outcome<K> {
    /// Whether all was as it should be.
    fn was_as_wanted(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Absent | Self::KindMissing)
    }

    /// Whether an object of somebody else stands in its place.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Why it could not be written, if it could not.
    pub fn failure(&self) -> Option<&Arc<Error>> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Unchanged
            | Self::Written(_)
            | Self::Absent
            | Self::Deleted
            | Self::Conflict { .. }
            | Self::KindMissing
            | Self::KindVanished
            | Self::Withheld => None,
        }
    }
}

/// What stands in the way of a child, if anything does.
#[derive(Debug)]
pub struct Fault<'a> {
    /// Whether all was as it should be: nothing stands in the way, and nothing was written.
    pub was_as_wanted: bool,
    /// Kind and name of the object of somebody else that has its place.
    pub conflict: Option<(&'a str, &'a str)>,
    /// Why it could not be written.
    pub failure: Option<&'a Arc<Error>>,
}

impl<'a, K> From<&'a Outcome<K>> for Fault<'a> {
    fn from(outcome: &'a Outcome<K>) -> Self {
        let conflict = match outcome {
            Outcome::Conflict { kind, name } => Some((kind.as_str(), name.as_str())),
            Outcome::Unchanged
            | Outcome::Written(_)
            | Outcome::Absent
            | Outcome::Deleted
            | Outcome::KindMissing
            | Outcome::KindVanished
            | Outcome::Withheld
            | Outcome::Failed(_) => None,
        };
        Self {
            was_as_wanted: outcome.was_as_wanted(),
            conflict,
            failure: outcome.failure(),
        }
    }
}

/// The faults of all children, by what they keep from working.
#[derive(Debug)]
pub struct Faults<'a> {
    /// Of those that serve.
    pub serving: [Fault<'a>; 6],
    /// Of those that monitor.
    pub monitoring: [Fault<'a>; 3],
}

impl<'a> Faults<'a> {
    fn all(self) -> impl Iterator<Item = Fault<'a>> {
        self.serving.into_iter().chain(self.monitoring)
    }
}

impl Children<Applied> {
    /// Whether nothing was written, and nothing is left to be.
    pub fn were_as_wanted(&self) -> bool {
        self.faults().all().all(|fault| fault.was_as_wanted)
    }

    /// Whether an object of somebody else stands where one of ours should.
    pub fn has_conflict(&self) -> bool {
        self.faults().all().any(|fault| fault.conflict.is_some())
    }

    /// The first write that failed without keeping the model from being served.
    pub fn failure(&self) -> Option<&Arc<Error>> {
        self.faults().all().find_map(|fault| fault.failure)
    }

    /// What stands in the way of each child.
    pub fn faults(&self) -> Faults<'_> {
        let Self {
            config_map,
            service,
            deployment,
            disruption_budget,
            autoscaler,
            network_policy,
            service_monitor,
            prometheus_rule,
            dashboard,
        } = self;
        Faults {
            serving: [
                config_map.into(),
                service.into(),
                deployment.into(),
                disruption_budget.into(),
                autoscaler.into(),
                network_policy.into(),
            ],
            monitoring: [
                service_monitor.into(),
                prometheus_rule.into(),
                dashboard.into(),
            ],
        }
    }
}
