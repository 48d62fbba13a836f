//! What keeps a pod from serving, in words of its own container.

use crate::api::Reason;
use crate::seen::{Container, End, PodState};
use crate::world::SeenPod;
use contract::labels::{LoadFailure, StartFailure};
use std::cmp::Reverse;
use std::sync::Arc;

/// What keeps a pod from serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// The trouble of the newest pod that has one, of those with this configuration first: it has the current
/// spec, in which `model` may be the image that holds the model.
pub(super) fn of_pods(
    pods: &[Arc<SeenPod>],
    config_hash: Option<&str>,
    model: Option<&str>,
) -> Option<Trouble> {
    let pods = pods.iter().map(|pod| &pod.details);
    let mut living: Vec<_> = pods.filter(|pod| !pod.over).collect();
    living.sort_by_key(|pod| Reverse((pod.config.as_deref() == config_hash, pod.created)));
    living.into_iter().find_map(|pod| of_pod(pod, model))
}

/// What keeps this pod from serving, if anything does.
fn of_pod(pod: &PodState, model: Option<&str>) -> Option<Trouble> {
    let container = pod.container.as_deref();
    let of_container = container.and_then(|container| of_container(container, model));
    of_container.or_else(|| Some(unschedulable(pod.unschedulable.as_deref()?)))
}

fn of_container(container: &Container, model: Option<&str>) -> Option<Trouble> {
    let (reason, message) = &container.waiting;
    match &**reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Some(image(&container.image, model, message))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Trouble {
                reason: Reason::VolumeUnavailable,
                message: sentence(message),
            })
        }
        _ => container.ends.first().map(of_end),
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
fn of_end(end: &End) -> Trouble {
    last_words(end).unwrap_or_else(|| Trouble {
        reason: Reason::CrashLooping,
        message: format!(
            "the server stopped with exit code {}{}",
            end.code,
            end.reason
                .as_ref()
                .map_or(String::new(), |reason| format!(" ({reason})"))
        ),
    })
}

/// The server's last words, when it could not start: `Reason: message`.
fn last_words(end: &End) -> Option<Trouble> {
    let (reason, message) = end.message.as_deref()?.split_once(": ")?;
    let load = LoadFailure::parse(reason).map(Reason::Load);
    let reason = load.or_else(|| StartFailure::parse(reason).map(Reason::Start))?;
    Some(Trouble {
        reason,
        message: sentence(message),
    })
}

fn unschedulable(why: &str) -> Trouble {
    Trouble {
        reason: Reason::Unschedulable,
        message: sentence(why),
    }
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
