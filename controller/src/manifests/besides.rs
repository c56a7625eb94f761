//! What policy does not depend on, and helps to check it: Services, what makes pods, and remarks in policies.
//!
//! Invariant: whatever is wrong with these objects, what is enforced is read all the same.

use std::collections::BTreeMap;

use ipnet::IpNet;
use palisade_model::lint::Remarks;
use palisade_model::{NamespacedName, Pod, Service};
use serde::de::DeserializeOwned;

use super::error::{ReadError, ReadErrors};
use super::item::{Item, problem};
use super::kind::Kind;
use super::schema::{SERVICE, SERVICE_CIDR, Schema, WORKLOAD};
use crate::convert::{self, Problem};
use crate::objects;

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

    /// Takes in an object that is of none of the kinds that are enforced.
    pub(super) fn take(&mut self, item: Item<'_>, kind: &str) {
        let taken = match (item.node.text(&["apiVersion"]), kind) {
            (Some("v1"), "Service") => self.service(item),
            (Some("networking.k8s.io/v1"), "ServiceCIDR") => self.service_range(item),
            (Some("apps/v1"), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | (Some("batch/v1"), "Job" | "CronJob") => self.workload(item, kind),
            _ => Ok(()),
        };
        let object = || item.id(Kind::Pod).map_or_else(|_| kind.to_owned(), |id| format!("{kind} {id}"));
        let error = |problem| ReadError { object: Some(object()), ..item.error(problem) };
        self.errors.extend(taken.err().into_iter().flatten().map(error));
    }

    fn service(&mut self, item: Item<'_>) -> Result<(), Vec<Problem>> {
        let id = item.id(Kind::Pod).map_err(|problem| vec![problem])?;
        let (service, problems) = convert::service(&read::<objects::Service>(item, "Service", &SERVICE)?);
        self.services.insert(id.clone(), Service { id, ..service });
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn service_range(&mut self, item: Item<'_>) -> Result<(), Vec<Problem>> {
        let (ranges, problems) = convert::service_ranges(&read(item, "ServiceCIDR", &SERVICE_CIDR)?);
        self.service_ranges.extend(ranges);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// One that another one made (a ReplicaSet of a Deployment) is not told apart: its pods are the same.
    fn workload(&mut self, item: Item<'_>, kind: &str) -> Result<(), Vec<Problem>> {
        let id = item.id(Kind::Pod).map_err(|problem| vec![problem])?;
        let Some((pod, problems)) = convert::template(&read::<objects::Workload>(item, kind, &WORKLOAD)?) else {
            return Ok(());
        };
        self.templates.insert(id.clone(), Pod { id, ..pod });
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn read<T: DeserializeOwned>(item: Item<'_>, kind: &str, schema: &Schema) -> Result<T, Vec<Problem>> {
    let mut problems = Vec::new();
    let json = schema.read(item.node, kind, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(json).map_err(|error| vec![problem("", &format!("is not of the form of a {kind}: {error}"))])
}
