//! Whether the Prometheus operator refuses what is made for it: it says so in an event about the object,
//! drops the whole object, and tells nobody else.

use crate::seen::{Details, Seen};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;

/// What such events are selected by.
pub const FIELDS: &str = "reason=InvalidConfiguration";

/// What an event says: about which object, when, and why.
#[derive(Debug, Clone)]
pub struct Rejection {
    kind: Box<str>,
    uid: Box<str>,
    said: Option<Timestamp>,
    /// In words of the Prometheus operator.
    pub message: Box<str>,
}

impl Details<Event> for Rejection {
    fn of(event: &Event) -> Self {
        let about = &event.involved_object;
        let text = |text: &Option<String>| Box::from(text.as_deref().unwrap_or_default());
        Self {
            kind: text(&about.kind),
            uid: text(&about.uid),
            said: said(event),
            message: text(&event.message),
        }
    }

    /// The objects that are refused have the name of their ModelService.
    fn service(event: &Event) -> Option<&str> {
        event.involved_object.name.as_deref()
    }
}

/// When `event` was said last: events of `events.k8s.io`, which the Prometheus operator writes since 0.86, have
/// other fields for it.
fn said(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let series = event.series.as_ref();
    let again = series.and_then(|series| series.last_observed_time.as_ref());
    let first = event.event_time.as_ref();
    [last, again.map(|time| time.0), first.map(|time| time.0)]
        .into_iter()
        .flatten()
        .max()
}

impl Rejection {
    /// Whether it is about what `live` is now: what was said before it was written last was about
    /// another content.
    pub fn refuses<K: Resource<DynamicType = ()>>(&self, live: &Seen<K>) -> bool {
        *self.kind == *K::kind(&()) && self.uid == live.uid && self.said >= live.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus_operator::PrometheusRule;
    use crate::seen::Metadata;
    use rstest::rstest;

    fn rule() -> Seen<PrometheusRule> {
        let text = "metadata: {uid: u1, managedFields: [{time: '2026-01-01T00:00:10Z'}, {time: '2026-01-01T00:00:05Z'}, {subresource: status, time: '2026-01-01T00:00:30Z'}]}";
        let rule: Metadata<PrometheusRule> = crate::yaml::parse(text).unwrap();
        Seen::new(&rule)
    }

    #[rstest]
    #[case::of_this("PrometheusRule", "u1", 10, true)]
    #[case::of_an_earlier_content("PrometheusRule", "u1", 9, false)]
    #[case::of_another_kind("ServiceMonitor", "u1", 20, false)]
    #[case::of_another_incarnation("PrometheusRule", "u0", 20, false)]
    fn what_was_said_since_the_last_write_counts(
        #[case] kind: &str,
        #[case] uid: &str,
        #[case] second: u32,
        #[case] counts: bool,
    ) {
        let time = format!("'2026-01-01T00:00:{second:02}.000000Z'");
        for said in [
            format!("lastTimestamp: {time}"),
            format!("eventTime: {time}"),
            format!(
                "eventTime: '2026-01-01T00:00:00.000000Z'\nseries: {{lastObservedTime: {time}}}"
            ),
        ] {
            let event: Event = crate::yaml::parse(&format!(
                "metadata: {{}}\ninvolvedObject: {{kind: {kind}, uid: {uid}}}\nmessage: bad\n{said}"
            ))
            .unwrap();
            assert_eq!(Rejection::of(&event).refuses(&rule()), counts, "{said}");
        }
    }
}
