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
    /// An object of its name belongs to somebody else and was left alone.
    Conflict {
        /// Kind of that object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server does not know its kind.
    KindMissing,
    /// It was left as it is, because what it needs belongs to somebody else.
    Withheld,
    /// It could not be written, which keeps no model from being served.
    Failed(Arc<Error>),
}

impl<K> Outcome<K> {
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
            | Self::Conflict { .. }
            | Self::KindMissing
            | Self::Withheld => None,
        }
    }
}

impl Children<Applied> {
    /// Whether an object of somebody else stands where one of ours should.
    pub fn has_conflict(&self) -> bool {
        self.faults().iter().any(|(conflict, _)| *conflict)
    }

    /// The first write that failed without keeping the model from being served.
    pub fn failure(&self) -> Option<&Arc<Error>> {
        self.faults().into_iter().find_map(|(_, failure)| failure)
    }

    /// Of each child, whether it is a conflict, and why it could not be written.
    fn faults(&self) -> [(bool, Option<&Arc<Error>>); 6] {
        let Self {
            config_map,
            service,
            deployment,
            service_monitor,
            prometheus_rule,
            dashboard,
        } = self;
        [
            (config_map.is_conflict(), config_map.failure()),
            (service.is_conflict(), service.failure()),
            (deployment.is_conflict(), deployment.failure()),
            (service_monitor.is_conflict(), service_monitor.failure()),
            (prometheus_rule.is_conflict(), prometheus_rule.failure()),
            (dashboard.is_conflict(), dashboard.failure()),
        ]
    }
}
