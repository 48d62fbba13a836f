//! Of a pod only how it is, and where.

use super::{Details, Part};
use crate::meta;
use crate::render::CONTAINER;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus,
};
use k8s_openapi::jiff::Timestamp;
use serde::de::IgnoredAny;
use std::net::IpAddr;

/// What is read of a pod.
pub type ReadPod = Part<Pod, IgnoredAny, PodStatus>;

/// How a pod is, and where.
#[derive(Debug, Clone, Hash)]
pub struct PodState {
    /// Hash of its configuration, unless it has ended.
    pub config: Option<Box<str>>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it ended, or is about to.
    pub over: bool,
    /// Whether it takes requests.
    pub ready: bool,
    /// Where it answers.
    pub address: Option<IpAddr>,
    /// Why no node takes it, if none does.
    pub unschedulable: Option<Box<str>>,
    /// The server's container, unless it is ready.
    pub container: Option<Box<Container>>,
}

/// A container that is not ready.
#[derive(Debug, Clone, Hash)]
pub struct Container {
    /// Its image.
    pub image: Box<str>,
    /// What it waits for: reason and message.
    pub waiting: (Box<str>, Box<str>),
    /// How it ended in failure: this time, and the time before.
    pub ends: Vec<End>,
}

/// The end of a container that failed.
#[derive(Debug, Clone, Hash)]
pub struct End {
    /// Its exit code.
    pub code: i32,
    /// In one word, such as `OOMKilled`.
    pub reason: Option<Box<str>>,
    /// Its last words.
    pub message: Option<Box<str>>,
}

impl Details<ReadPod> for PodState {
    fn of(pod: &ReadPod) -> Self {
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let ended = matches!(phase, Some("Failed" | "Succeeded"));
        let conditions = || {
            status
                .into_iter()
                .flat_map(|status| status.conditions.iter().flatten())
        };
        let condition = |type_: &str, value: &str| {
            conditions().find(|known| known.type_ == type_ && known.status == value)
        };
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let mut containers = containers.into_iter().flatten();
        let server = containers.find(|container| container.name == CONTAINER);
        let unscheduled = condition("PodScheduled", "False");
        let labels = pod.metadata.labels.as_ref();
        let config = labels.and_then(|labels| labels.get(&meta::config_label()));
        Self {
            config: config.filter(|_| !ended).map(|hash| hash.as_str().into()),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            over: ended || pod.metadata.deletion_timestamp.is_some(),
            ready: condition("Ready", "True").is_some(),
            address: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
            unschedulable: unscheduled
                .map(|it| it.message.as_deref().unwrap_or("no node has room").into()),
            container: server
                .filter(|server| !server.ready)
                .map(|server| Box::new(Container::from(server))),
        }
    }
}

impl From<&ContainerStatus> for Container {
    fn from(status: &ContainerStatus) -> Self {
        let state = status.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref());
        let text = |text: Option<&String>| Box::from(text.map_or("", String::as_str));
        let states = [state, status.last_state.as_ref()].into_iter().flatten();
        Self {
            image: status.image.as_str().into(),
            waiting: (
                text(waiting.and_then(|waiting| waiting.reason.as_ref())),
                text(waiting.and_then(|waiting| waiting.message.as_ref())),
            ),
            ends: states.filter_map(end).collect(),
        }
    }
}

fn end(state: &ContainerState) -> Option<End> {
    let ended = |end: &&ContainerStateTerminated| end.exit_code != 0;
    let end = state.terminated.as_ref().filter(ended)?;
    Some(End {
        code: end.exit_code,
        reason: end.reason.as_deref().map(Box::from),
        message: end.message.as_deref().map(Box::from),
    })
}
