//! Metadata as a watch reads it. Most of what the API server sends of it says who wrote which fields: of
//! those trees, which nobody looks into, a digest is made as they are read.

use super::hash_of;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time,
};
use kube::Resource;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};
use std::hash::Hash;
use std::marker::PhantomData;

/// The metadata of an object of kind `K`, all that is asked for of it. In the place of each tree of
/// fields stands its [`digest`].
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "")]
pub struct Metadata<K> {
    #[serde(deserialize_with = "read")]
    metadata: ObjectMeta,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

/// An object of kind `K`, with the same metadata, of whose spec `S` and of whose status `T` is read: the
/// rest is passed over.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "S: Deserialize<'de> + Default, T: Deserialize<'de>")]
pub struct Part<K, S, T> {
    #[serde(deserialize_with = "read")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: S,
    pub(crate) status: Option<T>,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    managed_fields: Option<Vec<Write>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Write {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    time: Option<Time>,
    fields_v1: Option<Digest>,
}

fn read<'de, D: Deserializer<'de>>(metadata: D) -> Result<ObjectMeta, D::Error> {
    let sent = Sent::deserialize(metadata)?;
    let writes = sent.managed_fields;
    Ok(ObjectMeta {
        name: sent.name,
        namespace: sent.namespace,
        uid: sent.uid,
        resource_version: sent.resource_version,
        generation: sent.generation,
        creation_timestamp: sent.creation_timestamp,
        deletion_timestamp: sent.deletion_timestamp,
        labels: sent.labels,
        annotations: sent.annotations,
        owner_references: sent.owner_references,
        managed_fields: writes.map(|writes| writes.into_iter().map(Write::into).collect()),
        ..ObjectMeta::default()
    })
}

impl From<Write> for ManagedFieldsEntry {
    fn from(write: Write) -> Self {
        Self {
            manager: write.manager,
            operation: write.operation,
            subresource: write.subresource,
            time: write.time,
            fields_v1: write
                .fields_v1
                .map(|Digest(digest)| FieldsV1(digest.into())),
            ..Self::default()
        }
    }
}

/// The digest of a tree of fields, or what stands for it.
pub(super) fn digest(fields: &FieldsV1) -> u64 {
    let read = || Digest::deserialize(&fields.0).map_or(0, |Digest(digest)| digest);
    fields.0.as_u64().unwrap_or_else(read)
}

/// Of a tree, in whatever order its keys come.
struct Digest(u64);

impl Digest {
    fn of(what: impl Hash) -> Self {
        Self(hash_of(&what))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(tree: D) -> Result<Self, D::Error> {
        tree.deserialize_any(Digester)
    }
}

struct Digester;

/// Objects of objects are what there is; anything else is no reason to read nothing at all.
impl<'de> Visitor<'de> for Digester {
    type Value = Digest;

    fn expecting(&self, text: &mut Formatter<'_>) -> fmt::Result {
        text.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Digest, A::Error> {
        let mut sum = 0_u64;
        while let Some((Digest(key), Digest(value))) = map.next_entry()? {
            sum = sum.wrapping_add(Digest::of((key, value)).0);
        }
        Ok(Digest::of(sum))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Digest, A::Error> {
        let mut all = Vec::new();
        while let Some(Digest(one)) = list.next_element()? {
            all.push(one);
        }
        Ok(Digest::of(all))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
        Ok(Digest::of(text))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Digest, E> {
        Ok(Digest::of(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Digest, E> {
        Ok(Digest::of(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Digest, E> {
        Ok(Digest::of(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Digest, E> {
        Ok(Digest::of(value.to_bits()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Digest, E> {
        Ok(Digest::of(()))
    }
}

/// What both have of `K`.
macro_rules! of_kind {
    () => {
        names_of_kind!();
        type Scope = K::Scope;

        fn meta(&self) -> &ObjectMeta {
            &self.metadata
        }

        fn meta_mut(&mut self) -> &mut ObjectMeta {
            &mut self.metadata
        }
    };
}

impl<K: Resource> Resource for Metadata<K> {
    of_kind!();

    fn metadata_api() -> bool {
        true
    }
}

impl<K: Resource, S, T> Resource for Part<K, S, T> {
    of_kind!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Seen;
    use k8s_openapi::api::core::v1::Service;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn object(fields: &Value) -> Value {
        json!({"metadata": {
            "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "labels": {"l": "m"},
            "annotations": {"k": "v"}, "ownerReferences": [
                {"apiVersion": "modelservice.dev/v1alpha1", "kind": "ModelService", "name": "s", "uid": "o"},
            ],
            "managedFields": [
                {"manager": "x", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields},
            ],
        }})
    }

    #[test]
    fn what_is_seen_of_metadata_is_what_is_seen_of_the_whole() {
        let object = object(&json!({"f:spec": {"f:ports": {"k:{\"port\":80}": {".": {}}}}}));
        let whole: Service = serde_json::from_value(object.clone()).unwrap();
        let metadata: Metadata<Service> = serde_json::from_str(&object.to_string()).unwrap();
        let whole: Seen<Service> = Seen::new(&whole);
        let of_metadata: Seen<Service> = Seen::new(&metadata);
        assert_eq!(format!("{whole:?}"), format!("{of_metadata:?}"));
    }

    #[rstest]
    #[case::in_another_order(r#"{"f:b": {"f:c": {}}, "f:a": {}}"#, true)]
    #[case::of_other_fields(r#"{"f:a": {}, "f:b": {"f:d": {}}}"#, false)]
    #[case::at_another_depth(r#"{"f:a": {"f:b": {"f:c": {}}}}"#, false)]
    #[case::of_other_things(r#"[{"f:a": null}, "x", 1, -1, 0.5, true]"#, false)]
    fn a_digest_is_of_fields_and_not_of_their_order(#[case] fields: &str, #[case] same: bool) {
        let digest = |fields| serde_json::from_str::<Digest>(fields).unwrap().0;
        let known = digest(r#"{"f:a": {}, "f:b": {"f:c": {}}}"#);
        assert_eq!(digest(fields) == known, same);
    }
}
