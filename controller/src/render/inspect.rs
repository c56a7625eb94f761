//! Back from a rendered ruleset to the pods in it, for people who look at what the kernel holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use palisade_model::{Direction, NamespacedName};
use palisade_nft::{Comment, Elements, Family, Name, Ruleset, Set, Verdict};

use super::{Origins, frames, guard, names, pod, pod_range};

/// An isolated pod, as a ruleset has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectedPod {
    /// The addresses that are judged.
    pub addresses: BTreeSet<IpAddr>,
    /// The chain of each direction in which it is isolated.
    pub chains: BTreeMap<Direction, Name>,
}

impl InspectedPod {
    /// What counts what is dropped in a direction in which it is isolated.
    pub fn counter(&self, direction: Direction) -> Option<Name> {
        names::dropped_by(self.chains.get(&direction)?)
    }
}

/// The isolated pods of `ruleset`, by `namespace/name` (cut, where that is too long for a chain's comment).
pub fn pods(ruleset: &Ruleset) -> BTreeMap<String, InspectedPod> {
    let mut pods: BTreeMap<String, InspectedPod> = BTreeMap::new();
    for direction in Direction::ALL {
        for family in Family::ALL {
            let Some(map) = ruleset.sets.get(&names::dispatch_map(direction, family)) else { continue };
            for (address, chain) in dispatched(&map.elements) {
                let comment = ruleset.chains.get(chain).and_then(|chain| chain.comment.as_ref());
                let Some(name) = comment.and_then(|comment| pod::pod_of(direction, comment)) else { continue };
                let pod = pods.entry(name).or_default();
                pod.addresses.insert(address);
                pod.chains.insert(direction, chain.clone());
            }
        }
    }
    pods
}

/// What is counted of a pod's connections in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// All that is dropped.
    Dropped,
    /// What of that cluster policies deny.
    Denied,
    /// What audited policies would drop.
    WouldDrop,
}

/// The counters of a pod, by direction; of each, in the order of [`Account`].
pub fn accounts(pod: &NamespacedName) -> impl Iterator<Item = (Direction, [Name; 3])> {
    Direction::ALL.into_iter().map(move |direction| {
        (direction, [names::dropped, names::denied, names::would_drop].map(|name| name(direction, pod)))
    })
}

/// The counters of what audited policies would drop, with whose it is: `egress of namespace/name` (cut, where that is too long for
/// a counter's comment).
pub fn audited(ruleset: &Ruleset) -> impl Iterator<Item = (&Name, &str)> {
    ruleset.counters.iter().filter_map(|(name, counter)| {
        let whose = counter.comment.as_ref().filter(|_| name.as_str().starts_with("would-drop-"))?.as_str();
        Some((name, whose.strip_suffix(pod::WOULD_DROP).unwrap_or(whose)))
    })
}

/// Whose packets a chain of either table counts that the guard drops; `None` for chains of other purpose.
pub fn forger(chain: &Name, comment: Option<&Comment>) -> Option<Forger> {
    let pod = |text: &str| {
        let (namespace, name) = text.split_once('/')?;
        Some(Forger::Pod(NamespacedName::new(namespace, name)))
    };
    if [names::guard(), names::guard_unrouted()].contains(chain) {
        return Some(Forger::Elsewhere);
    }
    if *chain == names::guard_forged() {
        return Some(Forger::Unknown("links of no known pod".to_owned()));
    }
    if pod_range::is_of_unknown_pods(chain) {
        return Some(Forger::UnknownPod);
    }
    let comment = comment?.as_str();
    if let Some(forger) = guard::forger_of(comment) {
        return pod(forger);
    }
    let sender = frames::sender_of(comment)?;
    sender.strip_prefix("pod ").and_then(pod).or_else(|| Some(Forger::Unknown(sender.to_owned())))
}

/// Who sent what the guard dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forger {
    /// A pod of this node.
    Pod(NamespacedName),
    /// Whoever is behind a link of which no pod is known.
    Unknown(String),
    /// No pod of this node, in the name of one.
    Elsewhere,
    /// An address of the node's [pod range](super::PodRange) that is no known pod's, which sent or was sent something.
    UnknownPod,
}

impl fmt::Display for Forger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) => pod.fmt(f),
            Self::Unknown(what) => f.write_str(what),
            Self::Elsewhere => f.write_str("elsewhere"),
            Self::UnknownPod => f.write_str("addresses of the pod range that are no known pod's"),
        }
    }
}

/// Whether a ruleset that the kernel holds looks at where packets come from.
pub fn origins(ruleset: &Ruleset) -> Origins {
    let is_there = ruleset.chains.contains_key(&names::guard()) || !ruleset.chains.contains_key(&names::layout());
    if is_there { Origins::Guarded } else { Origins::Believed }
}

/// The addresses of the local pods that a ruleset was made for.
pub fn local_pods(ruleset: &Ruleset) -> Vec<IpAddr> {
    let sets = Family::ALL.map(|family| ruleset.sets.get(&names::local_pods(family)));
    let addresses = |set: &Set| -> Vec<IpAddr> {
        match &set.elements {
            Elements::Ipv4(addresses) => addresses.iter().map(|address| IpAddr::V4(*address)).collect(),
            Elements::Ipv6(addresses) => addresses.iter().map(|address| IpAddr::V6(*address)).collect(),
            _ => Vec::new(),
        }
    };
    sets.into_iter().flatten().flat_map(addresses).collect()
}

fn dispatched(map: &Elements) -> Vec<(IpAddr, &Name)> {
    let entries: Vec<(IpAddr, &Verdict)> = match map {
        Elements::Ipv4Verdicts(map) => map.iter().map(|(address, verdict)| (IpAddr::V4(*address), verdict)).collect(),
        Elements::Ipv6Verdicts(map) => map.iter().map(|(address, verdict)| (IpAddr::V6(*address), verdict)).collect(),
        _ => Vec::new(),
    };
    entries
        .into_iter()
        .filter_map(|(address, verdict)| match verdict {
            Verdict::Goto(chain) => Some((address, chain)),
            Verdict::Accept | Verdict::Drop | Verdict::Jump(_) => None,
        })
        .collect()
}
