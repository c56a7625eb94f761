//! One line of what was dropped, or allowed: whose packets, from whom, and why.
//!
//! The JSON form is stable: fields are added, never renamed, and whoever reads ignores those that he does not know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use palisade_model::Direction;
use serde::{Deserialize, Serialize};

use super::protocol::IpProtocol;
use crate::text::cut;

/// How long a sentence may be, in bytes.
const LONGEST_TEXT: usize = 512;
/// How long a name or a field may be, in bytes: that of a namespace and of a pod at their limits fit.
const LONGEST_NAME: usize = 320;
/// How many policies are named.
const MOST_POLICIES: usize = 16;
/// How many labels are told.
const MOST_LABELS: usize = 32;

/// Packets of one flow that met one fate, and why.
///
/// ```json
/// {"time":"2026-11-28T22:56:12.25Z","node":"worker-1","verdict":"dropped","reason":"policy","direction":"ingress",
///  "pod":{"namespace":"shop","name":"db-0","workload":"db","address":"10.0.1.1","labels":{"app":"db"}},
///  "peer":{"address":"10.0.0.1","pod":{"namespace":"shop","name":"web-1","workload":"web"},"node":"worker-2"},
///  "protocol":"TCP","port":80,"packets":3,"bytes":180,"policies":["shop/db"],
///  "nearest":{"policy":"shop/db","field":"spec.ingress[0]","text":"shop/db spec.ingress[0] admits TCP 5432; this was TCP 80"},
///  "text":"no rule of shop/db admits it"}
/// ```
///
/// Of what was allowed, connections are told of rather than packets:
///
/// ```json
/// {"time":"2026-11-28T22:56:12.25Z","node":"worker-1","verdict":"allowed","reason":"policy","direction":"ingress",
///  "pod":{…},"peer":{…},"protocol":"TCP","port":5432,"packets":0,"connections":3,"ended":1,"policies":["shop/db"],
///  "rule":{"policy":"shop/db","field":"spec.ingress[0]"},"text":"allowed by shop/db spec.ingress[0]"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When: of several packets, the first.
    pub time: Timestamp,
    /// The node where it happened.
    pub node: String,
    /// What became of them.
    pub verdict: Verdict,
    /// What decided.
    pub reason: Reason,
    /// The direction, seen from `pod`.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// The pod of this node that was judged.
    pub pod: LocalPod,
    /// The other end.
    pub peer: Peer,
    /// The protocol: `TCP`, `UDP`, `SCTP`, `ICMP`, `ICMPv6`, or a number, as `47`.
    pub protocol: IpProtocol,
    /// The destination port, of the pod behind a Service; absent for protocols without ports, and for fragments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How many packets this stands for: of connections, those of both ways, as far as the kernel counts them
    /// (`net.netfilter.nf_conntrack_acct`) and tells when they end.
    pub packets: u64,
    /// How many bytes they had, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How many connections began, where connections are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// How many ended: those of which the kernel knows nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// The policies that isolate the pod in this direction, as `namespace/name`; the first 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The rule that allowed or denied it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The rule that would have let it pass but for what it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
    /// The decision in a sentence.
    #[serde(default)]
    pub text: String,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// They were dropped.
    Dropped,
    /// They passed, and a policy that is audited would drop them.
    WouldDrop,
    /// They passed.
    Allowed,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl Verdict {
    /// As a person reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::WouldDrop => "would drop",
            Self::Allowed => "allowed",
            Self::Other => "other",
        }
    }
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
pub enum Reason {
    /// NetworkPolicies: none of their rules admits it, or one does.
    Policy,
    /// A rule of a ClusterNetworkPolicy.
    Tier,
    /// The namespace is closed: over its share.
    Shares,
    /// It cannot be from where it came from.
    Forged,
    /// An address of the guarded pod range that is no known pod's.
    PodRange,
    /// It belongs to no connection, and the pod is isolated.
    NoConnection,
    /// A policy that is audited.
    Audit,
    /// Nothing isolates the pod.
    Open,
    /// A pod and its own node.
    OwnNode,
    /// A pod and itself.
    Itself,
    /// One that this version does not know, or that was not looked into.
    #[serde(other)]
    #[value(skip)]
    Other,
}

impl Reason {
    /// As in the JSON form, and the label of the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Tier => "tier",
            Self::Shares => "shares",
            Self::Forged => "forged",
            Self::PodRange => "podRange",
            Self::NoConnection => "noConnection",
            Self::Audit => "audit",
            Self::Open => "open",
            Self::OwnNode => "ownNode",
            Self::Itself => "itself",
            Self::Other => "other",
        }
    }
}

/// A pod of this node. Its names are empty where no pod is known behind the link that forged packets come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is one of: the name of its Deployment, StatefulSet, …; otherwise its own.
    pub workload: String,
    /// Its address.
    pub address: IpAddr,
    /// Its labels; the first 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The other end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The pod that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PeerPod>,
    /// The node of that pod, or the one whose address it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The address and port of the Service through which it was reached, as `10.96.0.7:80`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The narrowest `ipBlock` of the policies that holds it, where it is no pod's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
}

/// A pod of any node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is one of, as [`LocalPod::workload`].
    pub workload: String,
}

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// `namespace/name`; of a ClusterNetworkPolicy its name alone.
    pub policy: String,
    /// As `spec.ingress[0]`.
    pub field: String,
}

/// The rule that came nearest, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nearest {
    /// As [`Rule::policy`].
    pub policy: String,
    /// As [`Rule::field`].
    pub field: String,
    /// The lack, in a sentence.
    pub text: String,
}

impl Record {
    /// Adds the packets of `other`, a later record of the same flow.
    pub(crate) fn unite(&mut self, other: &Self) {
        self.bytes = match (self.bytes, other.bytes) {
            (Some(own), Some(others)) => Some(own.saturating_add(others)),
            (own, None) if other.packets == 0 => own,
            (None, others) if self.packets == 0 => others,
            (None, _) | (_, None) => None,
        };
        self.packets = self.packets.saturating_add(other.packets);
        self.connections = add_known(self.connections, other.connections);
        self.ended = add_known(self.ended, other.ended);
    }

    /// With what is longer than it may be cut.
    pub(crate) fn bounded(mut self) -> Self {
        self.policies.truncate(MOST_POLICIES);
        self.policies.iter_mut().for_each(|policy| shorten(policy, LONGEST_NAME));
        let LocalPod { namespace, name, workload, address: _, labels } = &mut self.pod;
        if let Some(first_left_out) = labels.keys().nth(MOST_LABELS).cloned() {
            labels.split_off(&first_left_out);
        }
        let mut names = vec![&mut self.node, namespace, name, workload];
        if let Some(PeerPod { namespace, name, workload }) = &mut self.peer.pod {
            names.extend([namespace, name, workload]);
        }
        names.extend([&mut self.peer.node, &mut self.peer.service, &mut self.peer.block].into_iter().flatten());
        names.extend(self.rule.iter_mut().flat_map(|Rule { policy, field }| [policy, field]));
        if let Some(Nearest { policy, field, text }) = &mut self.nearest {
            names.extend([policy, field]);
            shorten(text, LONGEST_TEXT);
        }
        names.into_iter().for_each(|name| shorten(name, LONGEST_NAME));
        shorten(&mut self.text, LONGEST_TEXT);
        self
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let LocalPod { namespace, name, workload, address: _, labels } = &self.pod;
        let mut strings = vec![&self.node, namespace, name, workload, &self.text];
        if let Some(PeerPod { namespace, name, workload }) = &self.peer.pod {
            strings.extend([namespace, name, workload]);
        }
        strings.extend([&self.peer.node, &self.peer.service, &self.peer.block].into_iter().flatten());
        strings.extend(self.rule.iter().flat_map(|Rule { policy, field }| [policy, field]));
        strings.extend(self.nearest.iter().flat_map(|Nearest { policy, field, text }| [policy, field, text]));
        let policies: usize = self.policies.iter().map(|policy| size_of::<String>() + policy.len()).sum();
        let labels: usize = labels.iter().map(|(key, value)| 2 * size_of::<String>() + key.len() + value.len()).sum();
        size_of::<Self>() + policies + labels + strings.into_iter().map(String::len).sum::<usize>()
    }
}

/// Of what is known of either.
pub(crate) fn add_known(own: Option<u64>, others: Option<u64>) -> Option<u64> {
    own.into_iter().chain(others).reduce(u64::saturating_add)
}

fn shorten(text: &mut String, bytes: usize) {
    text.truncate(cut(text, bytes).len());
}

/// `egress` or `ingress`.
mod direction {
    use serde::de::Error;

    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(direction: &Direction, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(direction)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Direction, D::Error> {
        let text = String::deserialize(from)?;
        let known = Direction::ALL.into_iter().find(|direction| direction.to_string() == text);
        known.ok_or_else(|| Error::custom(format!("`{text}` is no direction")))
    }
}

#[cfg(test)]
pub(crate) mod tests;
