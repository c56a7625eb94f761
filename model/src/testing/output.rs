use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::reference::{Pass, Traffic};
use crate::{
    Clause, Delta, Direction, IpBlock, LocalPod, Member, NamespacedName, PeerMatch, PodEnforcement, SetDelta, SetKey,
    Table, TableKey, Tier, TierAction, TierClause, TierKey, TierMatch, TierTable, Verdict,
};

/// The index's output as it adds up from deltas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The local pods that own addresses.
    pub locals: BTreeMap<NamespacedName, LocalPod>,
    /// The isolated ones, and those that audited policies would isolate.
    pub pods: BTreeMap<NamespacedName, PodEnforcement>,
    /// The tables that judge them.
    pub tables: BTreeMap<Arc<TableKey>, Arc<Table>>,
    /// Those of cluster policies.
    pub tiers: BTreeMap<Arc<TierKey>, Arc<TierTable>>,
    /// The sets that those look up, with their members.
    pub sets: BTreeMap<Arc<SetKey>, BTreeSet<Member>>,
}

impl Output {
    /// The output that is `full` itself, the difference from nothing.
    pub fn new(full: Delta) -> Self {
        let mut output = Self::default();
        output.apply(full);
        output
    }

    /// Takes a delta in.
    ///
    /// # Panics
    /// If the delta holds anything that is no change, does not fit what came before, or leaves a dangling reference.
    pub fn apply(&mut self, delta: Delta) {
        for (id, pod) in delta.locals {
            replace(&mut self.locals, id, pod);
        }
        for (id, pod) in delta.pods {
            replace(&mut self.pods, id, pod);
        }
        for (key, table) in delta.tables {
            replace(&mut self.tables, key, table);
        }
        for (key, table) in delta.tiers {
            replace(&mut self.tiers, key, table);
        }
        for (key, change) in delta.sets {
            self.apply_set(&key, change);
        }
        self.check_references();
    }

    /// Whether a pod's policies for one direction allow traffic with `peer`, as its tables say; a pod that none judges in
    /// it is allowed everything. For egress, `peer` is the destination. `pass`: what the two are to each other.
    ///
    /// # Panics
    /// If the output is not complete.
    pub fn allows(
        &self,
        id: &NamespacedName,
        direction: Direction,
        peer: IpAddr,
        traffic: Traffic,
        pass: Option<Pass>,
    ) -> bool {
        self.pods.get(id).is_none_or(|pod| {
            let table = pod.table(direction).map(|key| self.table(key, peer, traffic));
            decide(direction, pass, table, |tier| self.tier(pod.tier(direction, tier)?, pod, peer, traffic))
        })
    }

    /// Whether they allow it, and would not if audited policies were enforced: as the tables of its audit say.
    ///
    /// # Panics
    /// If the output is not complete.
    pub fn would_drop(
        &self,
        id: &NamespacedName,
        direction: Direction,
        peer: IpAddr,
        traffic: Traffic,
        pass: Option<Pass>,
    ) -> bool {
        let Some((pod, audit)) = self.pods.get(id).and_then(|pod| Some((pod, pod.audit(direction)?))) else {
            return false;
        };
        let table = audit.table.as_ref().map(|key| self.table(key, peer, traffic));
        let audited = decide(direction, pass, table, |tier| self.tier(audit.tier(tier)?, pod, peer, traffic));
        !audited && self.allows(id, direction, peer, traffic, pass)
    }

    fn table(&self, key: &TableKey, peer: IpAddr, traffic: Traffic) -> bool {
        let table = &self.tables[key];
        let segment = match traffic {
            Traffic::Port { protocol, port } => {
                let segments = table.segments.get(&protocol).into_iter().flatten();
                segments.into_iter().find(|segment| segment.ports.contains(port))
            }
            Traffic::Other(_) => None,
        };
        let clauses = segment.iter().flat_map(|segment| segment.clauses.iter()).chain(&table.always);
        let matches = |clause: &Clause| match &clause.peers {
            PeerMatch::All => true,
            PeerMatch::Set(set) => self.is_in(set, peer, traffic),
        };
        let first = clauses.into_iter().find(|clause| matches(clause));
        first.is_some_and(|clause| clause.verdict == Verdict::Accept)
    }

    /// What a tier says of traffic; `None` where it passes it on.
    fn tier(&self, key: &TierKey, pod: &PodEnforcement, peer: IpAddr, traffic: Traffic) -> Option<bool> {
        let table = &self.tiers[key];
        let segment = match traffic {
            Traffic::Port { protocol, port } => {
                let mut segments = table.segments.get(&protocol).into_iter().flatten();
                segments.find(|segment| segment.ports.contains(port))
            }
            Traffic::Other(_) => None,
        };
        let clauses = segment.map_or(&table.otherwise, |segment| &segment.clauses);
        let matches = |clause: &TierClause| match &clause.peers {
            TierMatch::Others => !pod.addresses.contains(&peer),
            TierMatch::Set(set) => self.is_in(set, peer, traffic),
        };
        match clauses.iter().find(|clause| matches(clause))?.action {
            TierAction::Accept => Some(true),
            TierAction::Deny => Some(false),
            TierAction::Pass => None,
        }
    }

    /// By whose name each address is judged, by pod.
    pub fn judged(&self) -> Vec<(String, String)> {
        let of_pod = |(id, pod): (&NamespacedName, &PodEnforcement)| {
            let name = id.name.to_string();
            pod.addresses.iter().map(move |address| (address.to_string(), name.clone())).collect::<Vec<_>>()
        };
        self.pods.iter().flat_map(of_pod).collect()
    }

    fn is_in(&self, key: &Arc<SetKey>, peer: IpAddr, traffic: Traffic) -> bool {
        let members = &self.sets[key];
        match (&**key, traffic) {
            (SetKey::Blocks(blocks), _) => blocks.iter().any(|block| holds(block, peer)),
            (SetKey::Pods(_) | SetKey::Nodes(_), _) => members.contains(&Member::Address(peer)),
            (SetKey::Endpoints(_), Traffic::Port { protocol, port }) => {
                members.contains(&Member::Endpoint(peer, protocol, port))
            }
            (SetKey::Endpoints(_), Traffic::Other(_)) => false,
        }
    }

    fn apply_set(&mut self, key: &Arc<SetKey>, change: SetDelta) {
        match change {
            SetDelta::New(members) => {
                let ascending = members.is_sorted_by(|a, b| a < b);
                assert!(ascending && self.sets.insert(key.clone(), members.into_iter().collect()).is_none(), "{key:?}");
            }
            SetDelta::Changed { added, removed } => {
                assert!(!(added.is_empty() && removed.is_empty()), "no change of {key:?}");
                assert!(added.is_sorted_by(|a, b| a < b) && removed.is_sorted_by(|a, b| a < b), "not ascending");
                let members = self.sets.get_mut(key).expect("a set that changed is there");
                removed.into_iter().for_each(|member| assert!(members.remove(&member), "{member:?} of {key:?}"));
                added.into_iter().for_each(|member| assert!(members.insert(member), "{member:?} of {key:?}"));
            }
            SetDelta::Gone => assert!(self.sets.remove(key).is_some(), "{key:?} was not there"),
        }
    }

    /// Every table that a pod names, and every set that a table names, is there, and no others.
    fn check_references(&self) {
        let audits = || self.pods.values().flat_map(|pod| pod.audit.values());
        let tables = self.pods.values().flat_map(|pod| [&pod.egress, &pod.ingress]);
        let tables: BTreeSet<_> = tables.chain(audits().map(|audit| &audit.table)).flatten().collect();
        assert!(tables.into_iter().eq(self.tables.keys()), "tables in use are not those of the pods");
        let tiers = self.pods.values().flat_map(|pod| &pod.tiers);
        let tiers: BTreeSet<_> = tiers.chain(audits().flat_map(|audit| &audit.tiers)).collect();
        assert!(tiers.into_iter().eq(self.tiers.keys()), "tables of tiers in use are not those of the pods");
        let segments = self.tables.values().flat_map(|table| table.segments.values().flatten());
        let in_segments = segments.flat_map(|segment| segment.clauses.iter());
        let clauses = in_segments.chain(self.tables.values().flat_map(|table| &table.always));
        let sets = clauses.filter_map(|clause| match &clause.peers {
            PeerMatch::Set(key) => Some(key),
            PeerMatch::All => None,
        });
        let of_tiers = self.tiers.values().flat_map(|table| table.clauses()).filter_map(|clause| match &clause.peers {
            TierMatch::Set(key) => Some(key),
            TierMatch::Others => None,
        });
        let sets: BTreeSet<_> = sets.chain(of_tiers).collect();
        assert!(sets.into_iter().eq(self.sets.keys()), "sets in use are not those of the tables");
    }
}

/// The Admin tier, then the table of NetworkPolicies if there is one, otherwise the Baseline tier.
fn decide(direction: Direction, pass: Option<Pass>, table: Option<bool>, tier: impl Fn(Tier) -> Option<bool>) -> bool {
    if direction == Direction::Ingress && pass == Some(Pass::OwnNode) {
        return true;
    }
    tier(Tier::Admin).unwrap_or_else(|| match table {
        Some(allows) => pass.is_some() || allows,
        None => tier(Tier::Baseline).unwrap_or(true),
    })
}

fn replace<K: Ord + std::fmt::Debug, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    assert!(map.get(&key) != value.as_ref(), "no change of {key:?}");
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

fn holds(block: &IpBlock, address: IpAddr) -> bool {
    block.cidr().contains(&address) && !block.except().iter().any(|net| net.contains(&address))
}
