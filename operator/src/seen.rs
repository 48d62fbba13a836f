//! What is kept of the objects that watches tell of: of thousands, only what is asked of them.

/// What stands for an object of kind `K` has the names of that kind.
macro_rules! names_of_kind {
    () => {
        type DynamicType = K::DynamicType;

        fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
            K::kind(of)
        }

        fn group(of: &Self::DynamicType) -> Cow<'_, str> {
            K::group(of)
        }

        fn version(of: &Self::DynamicType) -> Cow<'_, str> {
            K::version(of)
        }

        fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
            K::plural(of)
        }
    };
}

mod metadata;
mod pod;

pub use metadata::{Metadata, Part};
pub use pod::{Container, End, PodState, ReadPod};

use crate::api::ModelService;
use crate::meta;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::{Lookup, ObjectRef};
use metadata::digest;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;

/// An object of kind `K` as its watch told of it last, and of its content `D`.
#[derive(Debug, Clone)]
pub struct Seen<K, D = ()> {
    /// Its name.
    pub name: Box<str>,
    /// Its namespace, if its kind has any.
    pub namespace: Option<Box<str>>,
    /// Its UID.
    pub uid: Box<str>,
    /// Its resourceVersion.
    pub version: Box<str>,
    /// Name of the ModelService that it belongs to, of the same namespace.
    pub service: Option<Box<str>>,
    /// UIDs of its owners.
    pub owners: Box<[Box<str>]>,
    /// Its [`fingerprint`].
    pub fingerprint: u64,
    /// When somebody wrote it last, its status apart.
    pub written: Option<Timestamp>,
    /// More of it.
    pub details: D,
    kind: PhantomData<fn() -> K>,
}

/// What is kept of an object of type `O` besides its metadata.
pub trait Details<O: Resource> {
    /// What is kept.
    fn of(object: &O) -> Self;

    /// Name of the ModelService that the object belongs to: its owner, or for pods, which ReplicaSets
    /// own, the one that their label names.
    fn service(object: &O) -> Option<&str> {
        let meta = object.meta();
        let mut owners = meta.owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.kind == "ModelService");
        let label = || Some(meta.labels.as_ref()?.get(meta::INSTANCE)?.as_str());
        owner.map(|owner| owner.name.as_str()).or_else(label)
    }
}

/// Of most objects their metadata is enough.
impl<O: Resource> Details<O> for () {
    fn of(_: &O) -> Self {}
}

impl<K, D> Seen<K, D> {
    /// Of an object of kind `K`, or of its metadata.
    pub fn new<O: Resource>(object: &O) -> Self
    where
        D: Details<O>,
    {
        let meta = object.meta();
        let text = |text: &Option<String>| Box::from(text.as_deref().unwrap_or_default());
        let owners = meta.owner_references.iter().flatten();
        Self {
            name: text(&meta.name),
            namespace: meta.namespace.as_deref().map(Box::from),
            uid: text(&meta.uid),
            version: text(&meta.resource_version),
            service: D::service(object).map(Box::from),
            owners: owners.map(|owner| owner.uid.as_str().into()).collect(),
            fingerprint: fingerprint(meta),
            written: writes(meta)
                .filter_map(|write| Some(write.time.as_ref()?.0))
                .max(),
            details: D::of(object),
            kind: PhantomData,
        }
    }

    /// Whether the ModelService of this UID owns it.
    pub fn is_of(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| **owner == *uid)
    }

    /// The ModelService that it belongs to.
    pub fn owner(&self) -> Option<ObjectRef<ModelService>> {
        let (service, namespace) = (self.service.as_deref()?, self.namespace.as_deref()?);
        Some(ObjectRef::new(service).within(namespace))
    }
}

/// Two of the same name and hash are the same as far as a reconcile is concerned: who writes a status changes nothing.
impl<K, D: Hash> Hash for Seen<K, D> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.uid, self.fingerprint, &self.details).hash(state);
    }
}

/// Without version and UID, which would only fill the keys of caches.
impl<K: Resource, D> Lookup for Seen<K, D> {
    names_of_kind!();

    fn name(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.name))
    }

    fn namespace(&self) -> Option<Cow<'_, str>> {
        self.namespace.as_deref().map(Cow::Borrowed)
    }

    fn resource_version(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn uid(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// Hash of what others could have changed in a live object, but for its status: its labels,
/// annotations and owners, and its spec by generation where the API server counts one, else by who
/// wrote which fields when.
pub fn fingerprint(live: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&live.uid, &live.labels).hash(&mut hasher);
    for note in live.annotations.iter().flatten() {
        if !note.0.starts_with("deployment.kubernetes.io/") {
            note.hash(&mut hasher);
        }
    }
    for owner in live.owner_references.iter().flatten() {
        let flags = (owner.controller, owner.block_owner_deletion);
        let name = (&owner.api_version, &owner.kind, &owner.name);
        (name, &owner.uid, flags).hash(&mut hasher);
    }
    match (live.generation, &live.managed_fields) {
        (Some(generation), _) => generation.hash(&mut hasher),
        (None, Some(_)) => writes(live).for_each(|write| hash_write(write, &mut hasher)),
        (None, None) => live.resource_version.hash(&mut hasher),
    }
    hasher.finish()
}

/// Who wrote which fields when, the status apart.
fn writes(meta: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    let all = meta.managed_fields.iter().flatten();
    all.filter(|write| write.subresource.as_deref() != Some("status"))
}

fn hash_write(write: &ManagedFieldsEntry, state: &mut impl Hasher) {
    let time = write.time.as_ref().map(|time| time.0);
    let fields = write.fields_v1.as_ref().map(digest);
    (&write.manager, &write.operation, time, fields).hash(state);
}

/// Hash of anything.
pub fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// A HorizontalPodAutoscaler, of which the API server counts no generation.
    fn metadata(version: u32, label: &str, writes: &str) -> ObjectMeta {
        let ours = "{manager: us, operation: Apply, time: '2026-01-01T00:00:00Z', fieldsV1: {'f:spec': {}}}";
        let text = format!(
            "uid: u1\nresourceVersion: '{version}'\nlabels: {{a: {label}}}\nmanagedFields: [{ours}{writes}]"
        );
        crate::yaml::parse(&text).unwrap()
    }

    const STATUS: &str = ", {manager: kcm, operation: Update, subresource: status, time: '2026-01-01T00:00:09Z', fieldsV1: {'f:status': {}}}";
    const SPEC: &str = ", {manager: kubectl-edit, operation: Update, time: '2026-01-01T00:00:09Z', fieldsV1: {'f:spec': {}}}";

    #[rstest]
    #[case::its_status("b", STATUS, true)]
    #[case::its_spec("b", SPEC, false)]
    #[case::a_label("c", "", false)]
    fn whatever_others_change_but_the_status_is_seen(
        #[case] label: &str,
        #[case] writes: &str,
        #[case] same: bool,
    ) {
        let before = fingerprint(&metadata(1, "b", ""));
        let after = fingerprint(&metadata(2, label, writes));
        assert_eq!(before == after, same);
    }

    #[test]
    fn a_generation_tells_of_the_spec() {
        let generation = |number| ObjectMeta {
            generation: Some(number),
            ..metadata(u32::try_from(number).unwrap(), "b", SPEC)
        };
        assert_ne!(fingerprint(&generation(1)), fingerprint(&generation(2)));
    }
}
