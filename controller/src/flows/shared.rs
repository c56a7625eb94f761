//! How a record that is shared is written and read: as one that is not.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::Record;

pub(super) fn serialize<S: Serializer>(record: &Arc<Record>, to: S) -> Result<S::Ok, S::Error> {
    record.as_ref().serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Record>, D::Error> {
    Record::deserialize(from).map(Arc::new)
}
