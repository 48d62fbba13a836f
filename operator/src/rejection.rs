//! Whether the Prometheus operator refuses what is made for it: it says so in an event about the object,
//! drops the whole object, and tells nobody else.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

/// What such events are selected by.
pub const FIELDS: &str = "reason=InvalidConfiguration";

/// Of an event only what it is about, when, and what it says.
pub fn prune(event: &mut Event) {
    event.metadata.managed_fields = None;
    *event = Event {
        metadata: std::mem::take(&mut event.metadata),
        involved_object: std::mem::take(&mut event.involved_object),
        last_timestamp: event.last_timestamp.take(),
        message: event.message.take(),
        ..Event::default()
    };
}

/// Keeps of who wrote what only when that was last.
pub fn keep_newest_write(metadata: &mut ObjectMeta) {
    let newest = written_at(metadata);
    metadata.managed_fields = newest.map(|time| {
        vec![ManagedFieldsEntry {
            time: Some(Time(time)),
            ..ManagedFieldsEntry::default()
        }]
    });
}

fn written_at(metadata: &ObjectMeta) -> Option<Timestamp> {
    let writes = metadata.managed_fields.iter().flatten();
    writes
        .filter_map(|write| Some(write.time.as_ref()?.0))
        .max()
}

/// Whether an event says that the object of `kind` is refused: what was said before it was written last
/// was about another content.
pub fn refuses(event: &Event, kind: &str, live: &ObjectMeta) -> bool {
    let about = &event.involved_object;
    let said = event.last_timestamp.as_ref().map(|time| time.0);
    about.kind.as_deref() == Some(kind) && about.uid == live.uid && said >= written_at(live)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn metadata() -> ObjectMeta {
        let text = "uid: u1\nmanagedFields: [{time: '2026-01-01T00:00:10Z'}, {time: '2026-01-01T00:00:05Z'}]";
        crate::yaml::parse(text).unwrap()
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
        let event: Event = crate::yaml::parse(&format!(
            "metadata: {{}}\ninvolvedObject: {{kind: {kind}, uid: {uid}}}\nmessage: bad\nlastTimestamp: '2026-01-01T00:00:{second:02}Z'"
        ))
        .unwrap();
        let mut live = metadata();
        keep_newest_write(&mut live);
        assert_eq!(live.managed_fields.as_ref().map(Vec::len), Some(1));
        assert_eq!(refuses(&event, "PrometheusRule", &live), counts);
    }
}
