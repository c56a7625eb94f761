//! What is legal in policies and surely not meant.

use palisade_model::lint::{Finding, Objects, lint};
use palisade_model::reference::Cluster;

use crate::cli::LintArgs;
use crate::manifests::Besides;

/// All findings.
pub(super) fn findings(cluster: &Cluster, besides: &Besides, args: &LintArgs) -> Vec<Finding> {
    let Besides { services, templates, remarks, service_ranges, .. } = besides;
    let service_ranges: Vec<_> = service_ranges.iter().chain(&args.service_cidr).copied().collect();
    lint(&Objects { cluster, templates, services, service_ranges: &service_ranges, remarks })
}
