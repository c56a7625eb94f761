//! What policies dropped of this node's pods, and would drop: counted by the kernel, looked at every few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use palisade_model::{Direction, NamespacedName};
use palisade_nft::{CounterValue, Name};

use crate::flows::{DropCounters, DropKey, Dropped, Reason};
use crate::render::{Account, accounts};

/// How often.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// Whose counters there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The pods of this node.
    pub pods: Vec<NamespacedName>,
    /// The namespaces that are closed: what is dropped there is dropped for that.
    pub closed: BTreeSet<String>,
}

/// What was counted so far. What is dropped by cluster policies is counted twice by the kernel: with all that is dropped of the
/// pod, and by itself for as long as the pod comes under some.
#[derive(Debug, Default)]
pub struct Watch {
    last: BTreeMap<Name, Dropped>,
    totals: DropCounters,
    /// Whether counters of pods were looked at before.
    has_begun: bool,
    to_be_told: u64,
}

impl Watch {
    /// Takes in what the kernel's counters say now. Gives what was counted of the pods that there are, since they came.
    pub fn count(&mut self, now: &BTreeMap<Name, CounterValue>, counted: &Counted) -> &DropCounters {
        let (mut last, mut to_be_told) = (BTreeMap::new(), 0);
        let mut totals = DropCounters::new();
        for pod in &counted.pods {
            for (direction, names) in accounts(pod) {
                let mut came = |account| {
                    let name = &names[account as usize];
                    let before = self.last.get(name).copied().unwrap_or_default();
                    let Some(CounterValue { packets, bytes }) = now.get(name).copied() else {
                        return Dropped::default();
                    };
                    let after = Dropped { packets, bytes };
                    last.insert(name.clone(), after);
                    after.since(before)
                };
                let (all, denied, would_drop) =
                    (came(Account::Dropped), came(Account::Denied), came(Account::WouldDrop));
                to_be_told += all.packets + would_drop.packets;
                let is_closed = counted.closed.contains(&*pod.namespace);
                let policy = if is_closed { Reason::Shares } else { Reason::Policy };
                for (reason, came) in [(policy, less(all, denied)), (Reason::Tier, denied), (Reason::Audit, would_drop)]
                {
                    self.add(key(direction, pod, reason), came);
                }
                for reason in [Reason::Policy, Reason::Shares, Reason::Tier, Reason::Audit] {
                    let key = key(direction, pod, reason);
                    totals.extend(self.totals.get(&key).map(|total| (key, *total)));
                }
            }
        }
        self.last = last;
        self.totals = totals;
        // What there was at first was before this agent.
        self.to_be_told += if self.has_begun { to_be_told } else { 0 };
        self.has_begun |= !counted.pods.is_empty();
        &self.totals
    }

    /// How many packets were dropped, or would be, since pods were looked at first: chains could tell of them.
    pub fn to_be_told(&self) -> u64 {
        self.to_be_told
    }

    /// What never was has no entry, but for what policies drop.
    fn add(&mut self, key: DropKey, came: Dropped) {
        if key.reason == Reason::Policy || came != Dropped::default() {
            self.totals.entry(key).or_default().add(came);
        }
    }
}

/// The two are read one after the other.
fn less(all: Dropped, part: Dropped) -> Dropped {
    Dropped { packets: all.packets.saturating_sub(part.packets), bytes: all.bytes.saturating_sub(part.bytes) }
}

fn key(direction: Direction, pod: &NamespacedName, reason: Reason) -> DropKey {
    DropKey { direction, namespace: pod.namespace.to_string(), pod: pod.name.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> NamespacedName {
        NamespacedName::new("shop", "web")
    }

    /// The kernel's counters of the pod's ingress.
    fn counters(values: &[(Account, u64)]) -> BTreeMap<Name, CounterValue> {
        let (_, names) = accounts(&pod()).find(|(direction, _)| *direction == Direction::Ingress).unwrap();
        let value = |packets| CounterValue { packets, bytes: 60 * packets };
        values.iter().map(|(account, packets)| (names[*account as usize].clone(), value(*packets))).collect()
    }

    fn ingress(watch: &mut Watch, values: &[(Account, u64)], counted: &Counted) -> Vec<(Reason, u64)> {
        let totals = watch.count(&counters(values), counted).iter();
        let ingress = totals.filter(|(key, _)| key.direction == Direction::Ingress);
        ingress.map(|(key, total)| (key.reason, total.packets)).collect()
    }

    #[test]
    fn what_decided_is_told_apart_and_outlives_its_counter() {
        let (mut watch, counted) = (Watch::default(), Counted { pods: vec![pod()], closed: BTreeSet::new() });
        assert_eq!(ingress(&mut watch, &[(Account::Dropped, 3)], &counted), [(Reason::Policy, 3)]);
        let with_tiers = [(Account::Dropped, 8), (Account::Denied, 4)];
        assert_eq!(ingress(&mut watch, &with_tiers, &counted), [(Reason::Policy, 4), (Reason::Tier, 4)]);
        let closed = Counted { closed: BTreeSet::from(["shop".to_owned()]), ..counted.clone() };
        let after = ingress(&mut watch, &[(Account::Dropped, 10)], &closed);
        assert_eq!(after, [(Reason::Policy, 4), (Reason::Tier, 4), (Reason::Shares, 2)]);
        let anew = [(Account::Dropped, 11), (Account::Denied, 1), (Account::WouldDrop, 7)];
        let after = ingress(&mut watch, &anew, &counted);
        assert_eq!(after, [(Reason::Policy, 4), (Reason::Tier, 5), (Reason::Shares, 2), (Reason::Audit, 7)]);
        assert_eq!(watch.to_be_told(), 5 + 2 + 1 + 7, "what there was at first was before");
        assert_eq!(ingress(&mut watch, &[(Account::Dropped, 12)], &Counted::default()), []);
        assert_eq!(
            ingress(&mut watch, &[(Account::Dropped, 1)], &counted),
            [(Reason::Policy, 1)],
            "another pod of its name"
        );
    }
}
