//! ClusterNetworkPolicy.
//!
//! The selectors of a custom resource are text that no API server has looked at, and a newer one may hold what is not known
//! here. Whatever of a rule is not understood closes that rule, in its place in the order ([`ClusterRule::closed`]). Where it
//! is not understood which pods a policy judges, or when, there is no policy.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use palisade_model::{
    ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Direction, IpBlock, NamespaceScope, PodGroup, PortMatch,
    PortRange, Ports, Protocol, Selector, Tier, TierAction,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::enforcement::enforcement;
use super::port::number;
use super::selector::selector;
use super::{Problem, Problems};
use crate::objects::{ClusterNetworkPolicy, ClusterNetworkPolicySpec};

/// The greatest `spec.priority`.
const LAST_PRIORITY: i64 = 1000;

/// The policy, and what of it is not understood; `None` where it cannot be said which pods it judges, or when.
///
/// Rules keep their positions.
pub fn cluster_policy(policy: &ClusterNetworkPolicy) -> (Option<ClusterPolicy>, Vec<Problem>) {
    let mut problems = Problems::default();
    let missing = ClusterNetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&missing);
    let enforcement = enforcement(&policy.metadata, &mut problems);
    let tier = problems.keep("spec.tier", tier(spec.tier.as_deref()));
    let priority = problems.keep("spec.priority", priority(spec.priority));
    let subject = subject(spec.subject.as_ref(), &mut problems);
    let [egress, ingress] = Direction::ALL.map(|direction| {
        let written = match direction {
            Direction::Egress => &spec.egress,
            Direction::Ingress => &spec.ingress,
        };
        let rules = written.iter().flatten().enumerate();
        let rule = |(i, written)| rule(direction, written, format_args!("spec.{direction}[{i}]"), &mut problems);
        rules.map(rule).collect::<Vec<_>>()
    });
    let name = policy.metadata.name.as_deref().unwrap_or_default().into();
    let known = |tier, priority, subject| ClusterPolicy { name, enforcement, tier, priority, subject, ingress, egress };
    let policy = match (tier, priority, subject) {
        (Some(tier), Some(priority), Some(subject)) => Some(known(tier, priority, subject)),
        _ => None,
    };
    (policy, problems.0)
}

fn tier(written: Option<&str>) -> Result<Tier, String> {
    let written = written.ok_or("is missing: Admin or Baseline")?;
    let known = Tier::ALL.into_iter().find(|tier| tier.to_string() == written);
    known.ok_or_else(|| format!("{written:?} is not one of Admin, Baseline"))
}

fn priority(written: Option<i64>) -> Result<u16, String> {
    let written = written.ok_or("is missing: 0 to 1000, the lower is asked first")?;
    let known = u16::try_from(written).ok().filter(|_| written <= LAST_PRIORITY);
    known.ok_or_else(|| format!("{written} is not a priority: 0 to {LAST_PRIORITY}"))
}

fn subject(written: Option<&Value>, problems: &mut Problems) -> Option<PodGroup> {
    let missing = Value::Null;
    let Subject { namespaces, pods } = read(format_args!("spec.subject"), written.unwrap_or(&missing), problems)?;
    match (namespaces, pods) {
        (Some(namespaces), None) => in_namespaces(&namespaces, format_args!("spec.subject.namespaces"), problems),
        (None, Some(pods)) => pods_of(&pods, format_args!("spec.subject.pods"), problems),
        _ => {
            problems.add("spec.subject", "needs exactly one of namespaces, pods");
            None
        }
    }
}

/// The rule; closed, where any part of it is not understood.
fn rule(direction: Direction, written: &Value, at: Arguments<'_>, problems: &mut Problems) -> ClusterRule {
    let text = |field: &str| written.get(field).and_then(Value::as_str);
    let name: Option<Arc<str>> = text("name").map(Into::into);
    let action = problems.keep(format_args!("{at}.action"), action(text("action")));
    let before = problems.0.len();
    let understood = read::<Rule>(at, written, problems).map(|rule| {
        let ports = ports(rule.protocols.as_deref(), format_args!("{at}.protocols"), problems);
        let peers = peers(direction, &rule, at, problems);
        (ports, peers)
    });
    match (action, understood) {
        (Some(action), Some((ports, peers))) if problems.0.len() == before => {
            ClusterRule { name, action, peers: ClusterPeers::AnyOf(peers), ports }
        }
        _ => ClusterRule::closed(name, action),
    }
}

fn action(written: Option<&str>) -> Result<TierAction, String> {
    let written = written.ok_or("is missing: Accept, Deny or Pass")?;
    let known = [TierAction::Accept, TierAction::Deny, TierAction::Pass];
    let known = known.into_iter().find(|action| action.to_string() == written);
    known.ok_or_else(|| format!("{written:?} is not one of Accept, Deny, Pass"))
}

fn peers(direction: Direction, rule: &Rule, at: Arguments<'_>, problems: &mut Problems) -> Vec<ClusterPeer> {
    let (field, peers, other) = match direction {
        Direction::Ingress => ("from", &rule.from, rule.to.as_ref().map(|_| "to")),
        Direction::Egress => ("to", &rule.to, rule.from.as_ref().map(|_| "from")),
    };
    if let Some(other) = other {
        problems.add(format!("{at}.{other}"), format!("is no field of an {direction} rule: did you mean {field}?"));
    }
    let peers = peers.as_deref().unwrap_or_default();
    if peers.is_empty() {
        problems.add(format!("{at}.{field}"), "is missing or empty: a rule needs at least one peer");
    }
    let is_named = rule.protocols.iter().flatten().any(|entry| entry.destination_named_port.is_some());
    let peers = peers.iter().enumerate();
    peers
        .flat_map(|(i, written)| peer(direction, written, is_named, format_args!("{at}.{field}[{i}]"), problems))
        .collect()
}

/// What a peer stands for: as many as it has networks.
fn peer(
    direction: Direction,
    peer: &Peer,
    is_named: bool,
    at: Arguments<'_>,
    problems: &mut Problems,
) -> Vec<ClusterPeer> {
    let Peer { namespaces, pods, networks, nodes, domain_names } = peer;
    let count = [namespaces.is_some(), pods.is_some(), networks.is_some(), nodes.is_some(), domain_names.is_some()];
    if count.into_iter().filter(|is_there| *is_there).count() != 1 {
        let kinds = match direction {
            Direction::Ingress => "namespaces, pods",
            Direction::Egress => "namespaces, pods, networks, nodes",
        };
        problems.add(at, format!("needs exactly one of {kinds}"));
        return Vec::new();
    }
    if let Some(namespaces) = namespaces {
        let group = in_namespaces(namespaces, format_args!("{at}.namespaces"), problems);
        return group.map(ClusterPeer::Pods).into_iter().collect();
    }
    if let Some(pods) = pods {
        let group = pods_of(pods, format_args!("{at}.pods"), problems);
        return group.map(ClusterPeer::Pods).into_iter().collect();
    }
    if direction == Direction::Ingress {
        problems.add(at, "an ingress peer is one of namespaces, pods");
        return Vec::new();
    }
    if is_named {
        problems.add(at, "a port name means something only on pods: it goes with namespaces and pods");
    }
    if let Some(networks) = networks {
        let at = format!("{at}.networks");
        if networks.is_empty() {
            problems.add(&at, "is empty: name at least one CIDR");
        }
        let networks = networks.iter().enumerate();
        let known = networks.filter_map(|(i, text)| problems.keep(format_args!("{at}[{i}]"), network(text)));
        return known.map(ClusterPeer::Network).collect();
    }
    if let Some(nodes) = nodes {
        let selector = nodes.selector(format_args!("{at}.nodes"), problems);
        return selector.map(ClusterPeer::Nodes).into_iter().collect();
    }
    problems.add(format!("{at}.domainNames"), "names of domains are not enforced by this version");
    Vec::new()
}

/// As the custom resource has them: without leading zeros, and not as IPv4-mapped IPv6; bits of hosts may be set.
fn network(text: &str) -> Result<IpBlock, String> {
    let malformed = || format!("{text:?} is not a CIDR: write 10.0.0.0/8 or fd00::/8");
    // What the standard library reads has no leading zeros.
    let (address, length) = text.split_once('/').ok_or_else(malformed)?;
    let (address, length): (IpAddr, u8) = address.parse().ok().zip(length.parse().ok()).ok_or_else(malformed)?;
    let net = IpNet::new(address, length).map_err(|_| malformed())?;
    if net.addr().to_canonical() != net.addr() {
        return Err(format!("{text:?} is of IPv4-mapped addresses, which no packet carries: write it as IPv4"));
    }
    IpBlock::new(net, []).map_err(|error| error.to_string())
}

fn ports(protocols: Option<&[ProtocolEntry]>, at: Arguments<'_>, problems: &mut Problems) -> Ports {
    let Some(entries) = protocols else { return Ports::All };
    if entries.is_empty() {
        problems.add(at, "is empty: leave it out to mean all");
    }
    let entries = entries.iter().enumerate();
    Ports::AnyOf(entries.flat_map(|(i, entry)| port(entry, format_args!("{at}[{i}]"), problems)).collect())
}

/// A name means ports of whichever protocol.
fn port(entry: &ProtocolEntry, at: Arguments<'_>, problems: &mut Problems) -> Vec<PortMatch> {
    let ProtocolEntry { tcp, udp, sctp, destination_named_port } = entry;
    let numbers = [(Protocol::Tcp, "tcp", tcp), (Protocol::Udp, "udp", udp), (Protocol::Sctp, "sctp", sctp)];
    let mut numbers = numbers.into_iter().filter_map(|(protocol, field, of)| Some((protocol, field, of.as_ref()?)));
    match (numbers.next(), numbers.next(), destination_named_port) {
        (Some((protocol, field, of)), None, None) => {
            let ports = range(of, format_args!("{at}.{field}.destinationPort"), problems);
            ports.map(|ports| PortMatch::Numbers { protocol, ports }).into_iter().collect()
        }
        (None, _, Some(name)) if name.is_empty() => {
            problems.add(format!("{at}.destinationNamedPort"), "is empty");
            Vec::new()
        }
        (None, _, Some(name)) => {
            let name: Arc<str> = name.as_str().into();
            Protocol::ALL.map(|protocol| PortMatch::Named { protocol, name: name.clone() }).into()
        }
        _ => {
            problems.add(at, "needs exactly one of tcp, udp, sctp, destinationNamedPort");
            Vec::new()
        }
    }
}

fn range(of: &PortsOf, at: Arguments<'_>, problems: &mut Problems) -> Option<PortRange> {
    match of.destination_port.as_ref().map(|ports| (ports.number, &ports.range)) {
        Some((Some(port), None)) => problems.keep(format_args!("{at}.number"), number(port)).map(PortRange::single),
        Some((None, Some(range))) => {
            let at = format!("{at}.range");
            let start = problems.keep(format_args!("{at}.start"), number(range.start));
            let end = problems.keep(format_args!("{at}.end"), number(range.end));
            let (start, end) = (start?, end?);
            if start >= end {
                problems.add(at, format!("start {start} is not below end {end}"));
                return None;
            }
            PortRange::new(start, end).ok()
        }
        Some(_) => {
            problems.add(at, "needs exactly one of number, range");
            None
        }
        None => {
            problems.add(at, "is missing: all ports are range 1 to 65535");
            None
        }
    }
}

fn in_namespaces(namespaces: &WrittenSelector, at: Arguments<'_>, problems: &mut Problems) -> Option<PodGroup> {
    let namespaces = NamespaceScope::Matching(namespaces.selector(at, problems)?);
    Some(PodGroup { namespaces, pods: Selector::default() })
}

/// All namespaces, where none are selected.
fn pods_of(pods: &NamespacedPods, at: Arguments<'_>, problems: &mut Problems) -> Option<PodGroup> {
    let namespaces = match &pods.namespace_selector {
        Some(written) => written.selector(format_args!("{at}.namespaceSelector"), problems),
        None => Some(Selector::default()),
    };
    let of_pods = match &pods.pod_selector {
        Some(written) => written.selector(format_args!("{at}.podSelector"), problems),
        None => {
            problems.add(format!("{at}.podSelector"), "is missing: {} selects all pods");
            None
        }
    };
    Some(PodGroup { namespaces: NamespaceScope::Matching(namespaces?), pods: of_pods? })
}

/// A part of the object in its form; `None` and a problem where it is of another, as with a field that is not known.
fn read<T: DeserializeOwned>(at: Arguments<'_>, written: &Value, problems: &mut Problems) -> Option<T> {
    let read = serde_path_to_error::deserialize(written);
    read.map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { at.to_string() } else { format!("{at}.{path}") };
        problems.add(at, error.inner());
    })
    .ok()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subject {
    namespaces: Option<WrittenSelector>,
    pods: Option<NamespacedPods>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NamespacedPods {
    namespace_selector: Option<WrittenSelector>,
    pod_selector: Option<WrittenSelector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenSelector {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Expression>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expression {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl WrittenSelector {
    fn selector(&self, at: Arguments<'_>, problems: &mut Problems) -> Option<Selector> {
        let expressions = self.match_expressions.as_ref().map(|expressions| {
            let expression = |one: &Expression| LabelSelectorRequirement {
                key: one.key.clone(),
                operator: one.operator.clone(),
                values: one.values.clone(),
            };
            expressions.iter().map(expression).collect()
        });
        let written = LabelSelector { match_labels: self.match_labels.clone(), match_expressions: expressions };
        selector(&written, at, problems)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "action")]
    _action: Option<String>,
    from: Option<Vec<Peer>>,
    to: Option<Vec<Peer>>,
    protocols: Option<Vec<ProtocolEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Peer {
    namespaces: Option<WrittenSelector>,
    pods: Option<NamespacedPods>,
    networks: Option<Vec<String>>,
    nodes: Option<WrittenSelector>,
    domain_names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProtocolEntry {
    tcp: Option<PortsOf>,
    udp: Option<PortsOf>,
    sctp: Option<PortsOf>,
    destination_named_port: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortsOf {
    destination_port: Option<DestinationPort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DestinationPort {
    number: Option<i32>,
    range: Option<PortBounds>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortBounds {
    start: i32,
    end: i32,
}

#[cfg(test)]
mod tests;
