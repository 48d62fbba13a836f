//! The one write of a status, and the event that goes with it.

use super::Statement;
use crate::api::{
    Condition, ConditionStatus, ConditionType, ModelService, ModelServiceStatus, Reason,
};
use crate::error::Error;
use crate::meta;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as KubeCondition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

/// Writes statuses, and events.
pub(crate) struct Publisher {
    client: Client,
    recorder: Recorder,
    now: fn() -> Timestamp,
}

impl Publisher {
    /// Over `client`; conditions get their dates from `now`.
    pub(crate) fn new(client: Client, now: fn() -> Timestamp) -> Self {
        Self {
            recorder: Recorder::new(client.clone(), Reporter::from(meta::MANAGER)),
            client,
            now,
        }
    }

    /// Writes the status if it changed, and an event if what `Ready` says changed. None if the
    /// ModelService is gone.
    ///
    /// # Errors
    /// If the API server refuses the status.
    pub(crate) async fn publish(
        &self,
        ms: &ModelService,
        statement: &Statement,
    ) -> Result<Option<ModelServiceStatus>, Error> {
        let mut conditions = statement.conditions.iter();
        let ready = conditions.find(|condition| condition.type_ == ConditionType::Ready);
        let previous = ms.status.as_ref().map(|status| &status.conditions[..]);
        let previous = previous.unwrap_or_default();
        let now = Time((self.now)());
        let status = dated(statement, previous, ms.metadata.generation, &now);
        if Some(&status) == ms.status.as_ref() {
            return Ok(Some(status));
        }
        if !patch(&self.client, ms, &status).await? {
            return Ok(None);
        }
        if let Some(ready) = ready.filter(|ready| is_news(ready, previous)) {
            announce(&self.recorder, ms, ready).await;
        }
        Ok(Some(status))
    }
}

/// Gives conditions their dates: the old one where the status of the condition is the old one.
/// Conditions that were not judged stay as they were.
fn dated(
    statement: &Statement,
    previous: &[KubeCondition],
    generation: Option<i64>,
    now: &Time,
) -> ModelServiceStatus {
    let conditions = ConditionType::ALL.iter().filter_map(|type_| {
        let before = previous
            .iter()
            .find(|condition| condition.type_ == type_.as_str());
        match statement
            .conditions
            .iter()
            .find(|condition| condition.type_ == *type_)
        {
            Some(condition) => Some(date(condition, before, generation, now)),
            None => before.cloned(),
        }
    });
    ModelServiceStatus {
        conditions: conditions.collect(),
        ..statement.status.clone()
    }
}

fn date(
    condition: &Condition,
    before: Option<&KubeCondition>,
    generation: Option<i64>,
    now: &Time,
) -> KubeCondition {
    let status = condition.status.as_str();
    let since = before
        .filter(|before| before.status == status)
        .map(|b| b.last_transition_time.clone());
    KubeCondition {
        type_: condition.type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: condition.reason.as_str().to_owned(),
        message: condition.message.clone(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| now.clone()),
    }
}

fn is_news(ready: &Condition, previous: &[KubeCondition]) -> bool {
    let before = previous
        .iter()
        .find(|condition| condition.type_ == ready.type_.as_str());
    // That a new one starts goes without saying.
    match before {
        Some(before) => before.reason != ready.reason.as_str(),
        None => !matches!(ready.reason, Reason::Starting | Reason::RollingOut),
    }
}

/// False if there is nothing left to patch.
async fn patch(
    client: &Client,
    ms: &ModelService,
    status: &ModelServiceStatus,
) -> Result<bool, Error> {
    let api = Api::<ModelService>::namespaced(client.clone(), &ms.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": ModelService::api_version(&()),
        "kind": ModelService::kind(&()),
        // A ModelService made anew under the same name is another one.
        "metadata": {"uid": ms.metadata.uid},
        "status": status,
    });
    let params = PatchParams::apply(meta::MANAGER).force();
    let answer = api
        .patch_status(&ms.name_any(), &params, &Patch::Apply(body))
        .await;
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(source) => Err(Error::Status { source }),
    }
}

/// Longest note that the API server takes, in bytes.
const NOTE_BYTES: usize = 1024;

async fn announce(recorder: &Recorder, ms: &ModelService, ready: &Condition) {
    let waiting = matches!(
        ready.reason,
        Reason::Starting | Reason::RollingOut | Reason::ScaledToZero | Reason::NotReady
    );
    let type_ = match ready.status {
        ConditionStatus::False if !waiting => EventType::Warning,
        ConditionStatus::True | ConditionStatus::False | ConditionStatus::Unknown => {
            EventType::Normal
        }
    };
    let end = ready.message.floor_char_boundary(NOTE_BYTES);
    let event = Event {
        type_,
        reason: ready.reason.as_str().to_owned(),
        note: Some(ready.message[..end].to_owned()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // An event is a courtesy: the status says the same and is what counts.
    if let Err(error) = recorder.publish(&event, &ms.object_ref(&())).await {
        tracing::warn!(%error, "failed to write an event");
    }
}
