//! What makes pods.

use palisade_model as model;

use super::{Problem, Texts};
use crate::objects::{Metadata, Pod, Workload};

/// A pod as this workload would make it: of the workload's name, and without an address. `None` where it has no template.
pub fn template(workload: &Workload, texts: &mut impl Texts) -> Option<(model::Pod, Vec<Problem>)> {
    let spec = workload.spec.as_ref()?;
    let of_job = || spec.job_template.as_ref()?.spec.as_ref()?.template.as_ref();
    let template = spec.template.as_ref().or_else(of_job)?;
    let metadata = Metadata {
        name: workload.metadata.name.clone(),
        namespace: workload.metadata.namespace.clone(),
        ..template.metadata.clone()
    };
    Some(super::pod(&Pod { metadata, spec: template.spec.clone(), status: None }, texts))
}
