//! What policy does not depend on, and helps to check it: Services, what makes pods, and remarks in policies.
//!
//! Invariant: whatever is wrong with these objects, what is enforced is read all the same.

use std::collections::BTreeMap;

use ipnet::IpNet;
use palisade_model::lint::Remarks;
use palisade_model::{NamespacedName, Pod, Service};

use super::error::{ReadError, ReadErrors};

/// Objects that are enforced by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// The Services, by namespace and name.
    pub services: BTreeMap<NamespacedName, Service>,
    /// The ranges of Services' addresses, where objects say so.
    pub service_ranges: Vec<IpNet>,
    /// A pod as each Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob would make it, by the name of that.
    pub templates: BTreeMap<NamespacedName, Pod>,
    /// What is written of policies that is not part of what they do, where there is anything; of cluster policies in no
    /// namespace.
    pub remarks: BTreeMap<NamespacedName, Remarks>,
    /// What is wrong with any of these objects, which are left out then.
    pub errors: Vec<ReadError>,
}

impl Besides {
    /// The same, where nothing is wrong with any, or that does not `matter`.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn sound(self, matter: bool) -> Result<Self, ReadErrors> {
        if matter && !self.errors.is_empty() { Err(ReadErrors(self.errors)) } else { Ok(self) }
    }

    /// The same with what others have, which counts where both have it.
    pub fn with<'a>(mut self, others: impl Iterator<Item = &'a Self>) -> Self {
        for other in others {
            self.services.extend(other.services.clone());
            self.service_ranges.extend(&other.service_ranges);
            self.templates.extend(other.templates.clone());
            self.remarks.extend(other.remarks.clone());
        }
        self
    }
}
