//! What was dropped of each pod of late, as the agent remembers it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use palisade_model::Direction;

use crate::flows::{Entry, Record, Store, Verdict, printable, service};

/// How many flows of a pod are shown.
const SHOWN: usize = 3;

/// The flows of which most packets were dropped, of each pod by `namespace/name`, united by the other end's workload.
pub(super) fn by_pod(records: &[Arc<Record>]) -> BTreeMap<String, Vec<Entry>> {
    let mut pods = BTreeMap::<String, Store>::new();
    for record in records {
        pods.entry(format!("{}/{}", record.pod.namespace, record.pod.name)).or_default().add(record);
    }
    let most = |store: Store| {
        let mut entries: Vec<Entry> = store.entries().cloned().collect();
        entries.sort_by_key(|entry| Reverse(entry.packets));
        entries.truncate(SHOWN);
        entries
    };
    pods.into_iter().map(|(pod, store)| (pod, most(store))).collect()
}

/// One of them, for a person.
pub(super) fn line(entry: &Entry) -> String {
    let Entry { last, packets, peer, sample, .. } = entry;
    let towards = match sample.direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    let verdict = if sample.verdict == Verdict::WouldDrop { " would be dropped" } else { "" };
    format!(
        "      {:7}  ×{packets}{verdict}  {towards} {}  {}  last {last:.0}: {}\n",
        sample.direction.to_string(),
        printable(peer),
        service(sample),
        printable(sample.says())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::record;

    #[test]
    fn each_pod_has_what_was_dropped_most() {
        let dropped = |pod: &str, port, packets| {
            let mut record = Record { port: Some(port), packets, ..record() };
            pod.clone_into(&mut record.pod.name);
            Arc::new(record)
        };
        let mut records: Vec<_> = (1..=5).map(|port| dropped("db-0", port, port.into())).collect();
        records.extend([dropped("db-1", 80, 2), dropped("db-1", 80, 2)]);
        let pods = by_pod(&records);
        let packets: Vec<Vec<u64>> =
            pods.values().map(|flows| flows.iter().map(|flow| flow.packets).collect()).collect();
        assert_eq!(packets, [vec![5, 4, 3], vec![4]]);
        let expected = "      ingress  ×4  from shop/web  TCP 80  last 2026-11-28T22:56:12Z: \
                        shop/db spec.ingress[0] admits app=api at TCP 5432; this pod has app=web\n";
        assert_eq!(line(&pods["shop/db-1"][0]), expected);
    }
}
