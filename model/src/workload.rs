//! What a pod is one of.

use crate::Labels;

/// How many random characters end the name of a pod that a controller made.
const RANDOM: usize = 5;
/// How long such a name is at most: what comes before the random characters is cut to fit.
const LONGEST: usize = 63;

/// The name of a pod's workload (Deployment, StatefulSet, DaemonSet or Job) as its own name and its labels tell it; the
/// name itself where they tell nothing. It is for display: whoever writes a pod may write any labels.
pub fn workload<'a>(name: &'a str, labels: &'a Labels) -> &'a str {
    of_job(labels)
        .or_else(|| of_stateful_set(name, labels))
        .or_else(|| of_deployment(name, labels.get("pod-template-hash")?))
        .or_else(|| of_daemon_set(name, labels))
        .unwrap_or(name)
}

fn of_job(labels: &Labels) -> Option<&str> {
    let job = labels.get("batch.kubernetes.io/job-name").or_else(|| labels.get("job-name"))?;
    (!job.is_empty()).then_some(job)
}

/// `web-3`.
fn of_stateful_set<'a>(name: &'a str, labels: &Labels) -> Option<&'a str> {
    let (set, ordinal) = name.rsplit_once('-')?;
    let is_named = labels.get("statefulset.kubernetes.io/pod-name") == Some(name);
    let is_counted = labels.get("apps.kubernetes.io/pod-index") == Some(ordinal);
    let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|digit| digit.is_ascii_digit());
    ((is_named || is_counted) && is_ordinal && !set.is_empty()).then_some(set)
}

/// `web-7d4b9c6f5d-x2x7z`, or as much of it as fits.
fn of_deployment<'a>(name: &'a str, hash: &str) -> Option<&'a str> {
    let start = without_random(name)?;
    let end = format!("-{hash}-");
    let deployment = match start.strip_suffix(&*end) {
        Some(deployment) => deployment,
        None if name.len() == LONGEST => {
            let kept = (0..end.len()).rev().filter_map(|kept| end.get(..kept)).find(|kept| start.ends_with(kept))?;
            &start[..start.len() - kept.len()]
        }
        None => return None,
    };
    (!hash.is_empty() && !deployment.is_empty()).then_some(deployment)
}

/// `proxy-x2x7z`.
fn of_daemon_set<'a>(name: &'a str, labels: &Labels) -> Option<&'a str> {
    labels.get("controller-revision-hash")?;
    let start = without_random(name)?;
    let set = start.strip_suffix('-').or((name.len() == LONGEST).then_some(start))?;
    (!set.is_empty()).then_some(set)
}

fn without_random(name: &str) -> Option<&str> {
    let (start, random) = name.split_at_checked(name.len().checked_sub(RANDOM)?)?;
    random.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_tell_the_workload() {
        for (name, labels, expected) in [
            ("web-7d4b9c6f5d-x2x7z", &[("pod-template-hash", "7d4b9c6f5d")][..], "web"),
            ("web-7d4b9c6f5d-x2x7z", &[("pod-template-hash", "other")], "web-7d4b9c6f5d-x2x7z"),
            ("web-7d4b9c6f5d-x2x7z", &[], "web-7d4b9c6f5d-x2x7z"),
            ("-7d4b9c6f5d-x2x7z", &[("pod-template-hash", "7d4b9c6f5d")], "-7d4b9c6f5d-x2x7z"),
            ("web--x2x7z", &[("pod-template-hash", "")], "web--x2x7z"),
            ("db-12", &[("statefulset.kubernetes.io/pod-name", "db-12")], "db"),
            ("db-12", &[("apps.kubernetes.io/pod-index", "12"), ("controller-revision-hash", "db-5b8")], "db"),
            ("db-12", &[("statefulset.kubernetes.io/pod-name", "db-13")], "db-12"),
            ("db-", &[("apps.kubernetes.io/pod-index", "")], "db-"),
            ("load-0-x2x7z", &[("batch.kubernetes.io/job-name", "load"), ("job-name", "old")], "load"),
            ("load-x2x7z", &[("job-name", "load")], "load"),
            ("load-x2x7z", &[("job-name", "")], "load-x2x7z"),
            ("proxy-x2x7z", &[("controller-revision-hash", "5b8")], "proxy"),
            ("proxy_x2x7z", &[("controller-revision-hash", "5b8")], "proxy_x2x7z"),
            ("x2x7z", &[("controller-revision-hash", "5b8")], "x2x7z"),
            ("x", &[("controller-revision-hash", "5b8"), ("pod-template-hash", "7d4")], "x"),
            ("ääää", &[("controller-revision-hash", "5b8"), ("pod-template-hash", "7d4")], "ääää"),
        ] {
            assert_eq!(workload(name, &labels.iter().copied().collect()), expected, "{name} {labels:?}");
        }
    }

    /// Of the name of a ReplicaSet and a hyphen 58 bytes are kept.
    #[test]
    fn names_at_their_limit_lose_their_end() {
        let labels = Labels::from_iter([("pod-template-hash", "7d4b9c6f5d")]);
        for length in 40..70 {
            let deployment = "d".repeat(length);
            let set = format!("{deployment}-7d4b9c6f5d-");
            let pod = format!("{}x2x7z", &set[..set.len().min(58)]);
            assert_eq!(workload(&pod, &labels), &deployment[..length.min(58)], "{length}");
            let set = format!("{deployment}-");
            let pod = format!("{}x2x7z", &set[..set.len().min(58)]);
            let labels = Labels::from_iter([("controller-revision-hash", "5b8")]);
            assert_eq!(workload(&pod, &labels), &deployment[..length.min(58)], "{length}");
        }
    }
}
