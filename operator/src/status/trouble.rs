//! What keeps a pod from serving, in words of its own container.

use crate::api::Reason;
use crate::render::CONTAINER;
use contract::labels::{LoadFailure, StartFailure};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt;
use std::sync::Arc;

/// What keeps a pod from serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// The trouble of the newest pod that has one: the newest has the current spec, in which `model` may
/// be the image that holds the model.
pub(super) fn of_pods(pods: &[Arc<Pod>], model: Option<&str>) -> Option<Trouble> {
    let over = |pod: &Pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Failed" | "Succeeded"))
    };
    let mut living: Vec<_> = pods.iter().filter(|pod| !over(pod)).collect();
    living.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
    living.into_iter().find_map(|pod| of_pod(pod, model))
}

/// What keeps this pod from serving, if anything does.
fn of_pod(pod: &Pod, model: Option<&str>) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let container = status
        .container_statuses
        .iter()
        .flatten()
        .find(|c| c.name == CONTAINER);
    container
        .and_then(|container| of_container(container, model))
        .or_else(|| unschedulable(pod))
}

fn of_container(container: &ContainerStatus, model: Option<&str>) -> Option<Trouble> {
    if container.ready {
        return None;
    }
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let reason = waiting
        .and_then(|waiting| waiting.reason.as_deref())
        .unwrap_or_default();
    let message = waiting
        .and_then(|waiting| waiting.message.as_deref())
        .unwrap_or_default();
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Some(image(&container.image, model, message))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Trouble {
                reason: Reason::VolumeUnavailable,
                message: sentence(message),
            })
        }
        _ => [state, container.last_state.as_ref()]
            .into_iter()
            .flatten()
            .find_map(of_end),
    }
}

/// The kubelet says of a container that its image cannot be pulled, and means that of a volume too.
fn image(server: &str, model: Option<&str>, message: &str) -> Trouble {
    let which = match model.filter(|model| is_about(message, model)) {
        Some(model) => format!("the model's image {model}"),
        None => format!("image {server}"),
    };
    Trouble {
        reason: Reason::ImagePullFailed,
        message: format!("{which} cannot be pulled: {}", sentence(message)),
    }
}

/// Whether a message of the kubelet names `image`, as written or as the container runtime writes it: with
/// the registry and the tag that go without saying, and without a tag beside a digest.
fn is_about(message: &str, image: &str) -> bool {
    let of_digest = image.split_once('@').map(|(name, digest)| {
        let tag = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        format!("{}@{digest}", tag.map_or(name, |(name, _)| name))
    });
    let forms = [image.to_owned(), format!("{image}:latest")];
    let forms: Vec<_> = forms.into_iter().chain(of_digest).collect();
    let words = message.split(|letter: char| letter.is_whitespace() || letter == '"');
    let mut words = words.map(|word| word.trim_end_matches(':'));
    words.any(|word| {
        let mut before = forms.iter().filter_map(|form| word.strip_suffix(&**form));
        before.any(|registry| registry.is_empty() || registry.ends_with('/'))
    })
}

/// What a container that ended in failure said last.
fn of_end(state: &ContainerState) -> Option<Trouble> {
    let end = state.terminated.as_ref().filter(|end| end.exit_code != 0)?;
    Some(last_words(end).unwrap_or_else(|| Trouble {
        reason: Reason::CrashLooping,
        message: format!(
            "the server stopped with exit code {}{}",
            end.exit_code,
            end.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"))
        ),
    }))
}

/// The server's last words, when it could not start: `Reason: message`.
fn last_words(end: &ContainerStateTerminated) -> Option<Trouble> {
    let (reason, message) = end.message.as_deref()?.split_once(": ")?;
    let load = LoadFailure::parse(reason).map(Reason::Load);
    let reason = load.or_else(|| StartFailure::parse(reason).map(Reason::Start))?;
    Some(Trouble {
        reason,
        message: sentence(message),
    })
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    let message = sentence(scheduled.message.as_deref().unwrap_or("no node has room"));
    Some(Trouble {
        reason: Reason::Unschedulable,
        message,
    })
}

/// One line of at most 500 characters without its full stop.
fn sentence(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.trim_end_matches('.').chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MODEL: &str = "registry.example.com/models/churn:3";

    #[rstest]
    #[case("a/b:1", "a/b:1", true)]
    #[case("a/b:1", "docker.io/a/b:1", true)]
    #[case("b", "docker.io/library/b:latest", true)]
    #[case("r:5000/b:1@sha256:ab", "r:5000/b@sha256:ab", true)]
    #[case("r:5000/b@sha256:ab", "r:5000/b@sha256:ab", true)]
    #[case("a/b", "a/b-server:1", false)]
    #[case("a/b:1", "a/b:12", false)]
    #[case("b:1", "a-b:1", false)]
    fn an_image_is_found_however_the_runtime_writes_it(
        #[case] image: &str,
        #[case] written: &str,
        #[case] expected: bool,
    ) {
        let message = format!("failed to pull and unpack image \"{written}\": not found");
        assert_eq!(is_about(&message, image), expected);
        let message = format!("{written}: not found");
        assert_eq!(is_about(&message, image), expected);
    }

    #[rstest]
    #[case(None, "image acme/server:9")]
    #[case(Some("models/other:1"), "image acme/server:9")]
    #[case(Some(MODEL), "the model's image registry.example.com/models/churn:3")]
    fn the_image_that_cannot_be_pulled_is_the_one_the_kubelet_means(
        #[case] model: Option<&str>,
        #[case] which: &str,
    ) {
        let message = format!("Back-off pulling image \"{MODEL}\": not found");
        let trouble = image("acme/server:9", model, &message);
        assert_eq!(trouble.reason, Reason::ImagePullFailed);
        assert_eq!(
            trouble.message,
            format!("{which} cannot be pulled: {message}")
        );
    }
}
