//! Which labels outlive a pod, and which of them mean its workload.

/// Labels that controllers give each pod, or each generation of pods.
const OF_CONTROLLERS: [&str; 14] = [
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/cronjob-scheduled-timestamp",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-completion-index",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "serving.knative.dev/revisionUID",
    "statefulset.kubernetes.io/pod-name",
];
/// What begins labels that say where a pod happens to be.
const OF_PLACES: [&str; 2] = ["topology.kubernetes.io/", "failure-domain.beta.kubernetes.io/"];
/// Labels that say what a workload is, those that are meant for that first.
const NAMING: [&str; 9] = [
    "app.kubernetes.io/name",
    "app",
    "k8s-app",
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "name",
    "component",
    "tier",
    "role",
];
/// Labels that another release changes.
const OF_RELEASES: [&str; 5] = ["app.kubernetes.io/version", "chart", "helm.sh/chart", "release-version", "version"];

/// Whether a label of that key is the same on a workload's pods of tomorrow, as far as its key tells: not one that a
/// controller gives each pod, such as `pod-template-hash`.
pub fn is_stable(key: &str) -> bool {
    !OF_CONTROLLERS.contains(&key) && !OF_PLACES.iter().any(|start| key.starts_with(start))
}

/// Whether another release of the workload has another value.
pub(crate) fn is_of_release(key: &str) -> bool {
    OF_RELEASES.contains(&key)
}

/// The lesser, the sooner a selector asks for it.
pub(crate) fn rank(key: &str) -> usize {
    let named = NAMING.iter().position(|naming| *naming == key);
    named.unwrap_or(NAMING.len() + usize::from(is_of_release(key)))
}

/// Whether it is one of those that say what a workload is.
pub(crate) fn is_naming(key: &str) -> bool {
    rank(key) < NAMING.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_controller_gives_each_pod_is_not_stable() {
        for key in
            ["pod-template-hash", "job-name", "topology.kubernetes.io/zone", "statefulset.kubernetes.io/pod-name"]
        {
            assert!(!is_stable(key), "{key}");
        }
        for key in ["app", "pod-template", "version", "example.com/job-name"] {
            assert!(is_stable(key), "{key}");
        }
    }

    #[test]
    fn names_come_before_other_labels_and_versions_last() {
        let ranks = ["app.kubernetes.io/name", "app", "team", "version"].map(rank);
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert!(is_naming("app") && !is_naming("team"));
    }
}
