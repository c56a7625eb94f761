//! What policy does not depend on, and helps to check it: Services, what makes pods, and remarks in policies.
//!
//! Invariant: whatever is wrong with these objects, what is enforced is read all the same.

use std::collections::BTreeMap;

use palisade_model::lint::Remarks;
use palisade_model::{NamespacedName, Pod, Service};

use super::error::ReadError;

/// Objects that are enforced by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// The Services, by namespace and name.
    pub services: BTreeMap<NamespacedName, Service>,
    /// A pod as each Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob would make it, by the name of that.
    pub templates: BTreeMap<NamespacedName, Pod>,
    /// What is written of policies that is not part of what they do, where there is anything.
    pub remarks: BTreeMap<NamespacedName, Remarks>,
    /// What is wrong with any of these objects, which are left out then.
    pub errors: Vec<ReadError>,
}
