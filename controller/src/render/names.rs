//! Names of nftables objects: from the definition of what they hold, readable first, and exact by a hash at the end.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use palisade_model::{
    Clause, Direction, NamespacedName, PeerMatch, PortRange, Protocol, SetKey, Table, TableKey, TierClause, TierKey,
};
use palisade_nft::{Family, LinkName, Name};
use sha2::{Digest, Sha256};

/// How much of a readable part is kept: with a prefix, two of these and the hash a name stays below [`Name::MAX`].
const READABLE: usize = 63;

/// A chain without rules, whose name is the version of the layout: with every change of what objects there are and what
/// they are called there is another one. It is no part of the table's comment, because that goes with the table alone,
/// and the base chains go with it.
pub(super) fn layout() -> Name {
    name("layout-5".to_owned())
}

pub(super) fn base_chain(direction: Direction) -> Name {
    name(format!("forward-{direction}"))
}

/// The addresses that this node has for its pods.
pub(super) fn pod_range(family: Family) -> Name {
    name(format!("pod-range-{}", digit(family)))
}

/// The chain of those of them that are no known pod's.
pub(super) fn unknown_pods(direction: Direction) -> Name {
    name(format!("unknown-pods-{direction}"))
}

/// The chain that lets judged connections pass.
pub(super) fn known() -> Name {
    name("known".to_owned())
}

/// The chain of connections that all policies allow.
pub(super) fn judged() -> Name {
    name("judged".to_owned())
}

/// Where all packets come by, before conntrack.
pub(super) fn guard() -> Name {
    name("guard".to_owned())
}

/// The chain of what the node would not answer the way it came.
pub(super) fn guard_unrouted() -> Name {
    name("guard-unrouted".to_owned())
}

/// The chain of what comes from pods' links and may not.
pub(super) fn guard_forged() -> Name {
    name("guard-forged".to_owned())
}

/// The chain that counts what comes from a pod's link and may not.
pub(super) fn forged(pod: &NamespacedName) -> Name {
    name(format!("forged-{}", of_pod(pod)))
}

/// The interfaces that pods are behind.
pub(super) fn pod_links() -> Name {
    name("pod-links".to_owned())
}

/// The interfaces of single pods, and where to count what they forge.
pub(super) fn forgers() -> Name {
    name("forgers".to_owned())
}

/// The addresses of pods that are behind those interfaces.
pub(super) fn guarded(family: Family) -> Name {
    name(format!("guarded-{}", digit(family)))
}

/// The addresses of this node's pods.
pub(super) fn local_pods(family: Family) -> Name {
    name(format!("local-pods-{}", digit(family)))
}

/// Each of them with itself.
pub(super) fn own_ends(family: Family) -> Name {
    name(format!("own-ends-{}", digit(family)))
}

/// The addresses of pods that are isolated in some direction, unless it allows everyone everything.
pub(super) fn isolated(family: Family) -> Name {
    name(format!("isolated-{}", digit(family)))
}

/// The chain of ICMP errors.
pub(super) fn errors() -> Name {
    name("errors".to_owned())
}

/// The chain of those of connections that were judged.
pub(super) fn errors_of_judged() -> Name {
    name("errors-of-judged".to_owned())
}

/// The chain of connections whose beginning nobody saw.
pub(super) fn unseen() -> Name {
    name("unseen".to_owned())
}

/// The chain of packets that such connections are first known by.
pub(super) fn begins_unseen() -> Name {
    name("begins-unseen".to_owned())
}

/// The chain of pods whose addresses had another owner a moment ago.
pub(super) fn renewed() -> Name {
    name("renewed".to_owned())
}

/// The chain of what goes out.
pub(super) fn tunnels() -> Name {
    name("tunnels".to_owned())
}

/// The base chain of what comes to the node itself.
pub(super) fn input_tunnels() -> Name {
    name("input-tunnels".to_owned())
}

/// The interfaces that lead to pods: of this node, or through tunnels.
pub(super) fn inner_links() -> Name {
    name("inner-links".to_owned())
}

/// What a pod's frames are held against.
pub(super) fn port_chain(port: &LinkName) -> Name {
    name(format!("port-{}-{}", readable(port.as_str()), hash(port.as_str())))
}

/// What an isolated pod may be sent without its policies being asked.
pub(super) fn to_port_chain(port: &LinkName) -> Name {
    name(format!("to-{}-{}", readable(port.as_str()), hash(port.as_str())))
}

/// An object of the table of frames.
pub(super) fn of_frames(text: &str) -> Name {
    name(text.to_owned())
}

pub(super) fn dispatch_map(direction: Direction, family: Family) -> Name {
    name(format!("{direction}-pods-{}", digit(family)))
}

pub(super) fn pod_chain(direction: Direction, pod: &NamespacedName) -> Name {
    name(format!("pod-{direction}-{}", of_pod(pod)))
}

fn of_pod(pod: &NamespacedName) -> String {
    format!("{}-{}-{}", readable(&pod.namespace), readable(&pod.name), hash(pod))
}

pub(super) fn policies_chain(key: &TableKey, form: Form) -> Name {
    name(format!("{}policies-{}-{}", form.prefix(), key.direction, policies(key)))
}

/// In which form a table is rendered: what it leads to differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Form {
    /// What it allows is allowed, and what it denies is dropped.
    #[default]
    Plain,
    /// What it allows goes on to the audit of the pod.
    Watched,
    /// What it denies is recorded, and allowed.
    Shadow,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Watched, Self::Shadow];

    fn prefix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Watched => "watched-",
            Self::Shadow => "shadow-",
        }
    }
}

/// The counter of what is dropped of a pod's connections, by whatever policies.
pub(super) fn dropped(direction: Direction, pod: &NamespacedName) -> Name {
    name(format!("dropped-{direction}-{}", of_pod(pod)))
}

/// The same, by the pod's chain.
pub(super) fn dropped_by(chain: &Name) -> Option<Name> {
    chain.as_str().strip_prefix("pod-").map(|rest| name(format!("dropped-{rest}")))
}

/// What cluster policies deny: the chain that leads to the pod's own.
pub(super) fn denied_chain(direction: Direction) -> Name {
    name(format!("denied-{direction}"))
}

/// The verdict map of that.
pub(super) fn denied_map(direction: Direction, family: Family) -> Name {
    name(format!("denied-{direction}-{}", digit(family)))
}

/// What cluster policies deny of a pod's connections: the pod's chain, and its counter.
pub(super) fn denied(direction: Direction, pod: &NamespacedName) -> Name {
    name(format!("denied-{direction}-{}", of_pod(pod)))
}

/// What is allowed where there are audited policies: the chain that leads to the pod's own.
pub(super) fn audit_chain(direction: Direction) -> Name {
    name(format!("audit-{direction}"))
}

/// The verdict map of that.
pub(super) fn audit_map(direction: Direction, family: Family) -> Name {
    name(format!("audit-{direction}-{}", digit(family)))
}

/// What audited policies would say of a pod's connections.
pub(super) fn audit(direction: Direction, pod: &NamespacedName) -> Name {
    name(format!("audit-{direction}-{}", of_pod(pod)))
}

/// What audited policies would drop: the chain that leads to the pod's own.
pub(super) fn would_drop_chain(direction: Direction) -> Name {
    name(format!("would-drop-{direction}"))
}

/// The verdict map of that.
pub(super) fn would_drop_map(direction: Direction, family: Family) -> Name {
    name(format!("would-drop-{direction}-{}", digit(family)))
}

/// What audited policies would drop of a pod's connections: the pod's chain, and its counter.
pub(super) fn would_drop(direction: Direction, pod: &NamespacedName) -> Name {
    name(format!("would-drop-{direction}-{}", of_pod(pod)))
}

/// The chain that a rule with the action Pass leads to.
pub(super) fn pass() -> Name {
    name("pass".to_owned())
}

/// The base chain of what local pods send to this node.
pub(super) fn input_egress() -> Name {
    name("input-egress".to_owned())
}

/// The dispatch map of that.
pub(super) fn own_node(family: Family) -> Name {
    name(format!("own-node-{}", digit(family)))
}

/// The chain of what a pod sends to its own node.
pub(super) fn node_chain(pod: &NamespacedName) -> Name {
    name(format!("node-egress-{}", of_pod(pod)))
}

/// The table of a tier.
pub(super) fn tier_chain(key: &TierKey, form: Form) -> Name {
    name(format!("{}{}", form.prefix(), of_tier(key, "")))
}

/// Its port map of one protocol, as [`port_map`].
pub(super) fn tier_port_map(key: &TierKey, form: Form, protocol: Protocol, has_ranges: bool) -> Name {
    let ranges = if has_ranges { "-ranges" } else { "" };
    let of_tier = of_tier(key, &format!("-{}", protocol.to_string().to_lowercase()));
    name(format!("{}ports{ranges}-{of_tier}", form.prefix()))
}

fn of_tier(key: &TierKey, part: &str) -> String {
    let first = key.policies.first().map(|policy| readable(policy)).unwrap_or_default();
    format!("{}-{}{part}-{first}-{}", key.tier.to_string().to_lowercase(), key.direction, hash(key))
}

/// The chain of a segment's lookups; `None` where there are none.
pub(super) fn rules_chain(clauses: &[TierClause], form: Form) -> Option<Name> {
    let rule = &clauses.first()?.rule;
    let (prefix, policy) = (form.prefix(), readable(&rule.policy));
    Some(name(format!("{prefix}rules-{}-{policy}-{}", rule.direction, hash(clauses))))
}

/// The port map of one protocol. Whether it holds ranges is part of the name, because it is part of the map's type.
pub(super) fn port_map(key: &TableKey, form: Form, table: &Table, protocol: Protocol) -> Name {
    let segments = table.segments.get(&protocol).into_iter().flatten();
    let ranges = if has_ranges(segments.map(|segment| segment.ports)) { "-ranges" } else { "" };
    let protocol = protocol.to_string().to_lowercase();
    name(format!("{}ports{ranges}-{}-{protocol}-{}", form.prefix(), key.direction, policies(key)))
}

pub(super) fn port_maps<'a>(key: &'a TableKey, form: Form, table: &'a Table) -> impl Iterator<Item = Name> + use<'a> {
    table.segments.keys().map(move |protocol| port_map(key, form, table, *protocol))
}

/// Whether any of these is more than a port.
pub(super) fn has_ranges(mut ports: impl Iterator<Item = PortRange>) -> bool {
    ports.any(|ports| ports.first() != ports.last())
}

/// The chain of a segment's lookups; `None` where the segment needs none, because it says the same of everyone.
pub(super) fn peers_chain(direction: Direction, form: Form, clauses: &[Clause]) -> Option<Name> {
    let set = clauses.iter().find_map(|clause| match &clause.peers {
        PeerMatch::Set(set) => Some(set),
        PeerMatch::All => None,
    })?;
    let first = readable(&definitions(set).next().unwrap_or_default());
    Some(name(format!("{}peers-{direction}-{first}-{}", form.prefix(), hash(clauses))))
}

/// The sets that hold the members of `key`, by family: those of CIDR blocks only in the families that they have.
pub(super) fn sets(key: &SetKey) -> Vec<(Name, Family)> {
    let what = match key {
        SetKey::Pods(_) => "",
        SetKey::Blocks(_) => "cidrs-",
        SetKey::Endpoints(_) => "endpoints-",
        SetKey::Nodes(_) => "",
    };
    let first = readable(&definitions(key).next().unwrap_or_default());
    let stem = format!("{what}{first}-{}", hash(key));
    Family::ALL
        .into_iter()
        .filter(|family| match key {
            SetKey::Blocks(blocks) => {
                blocks.iter().any(|block| block.cidr().addr().is_ipv4() == (*family == Family::Ipv4))
            }
            SetKey::Pods(_) | SetKey::Endpoints(_) | SetKey::Nodes(_) => true,
        })
        .map(|family| (name(format!("{stem}-{}", digit(family))), family))
        .collect()
}

/// Names that were made while a table is rendered: it names many of them again and again.
#[derive(Debug, Default)]
pub(super) struct Memo<'a> {
    peers: HashMap<*const Clause, Option<Name>>,
    sets: HashMap<*const SetKey, Vec<(Name, Family)>>,
    /// Nothing of the table goes meanwhile, so that what is found where something was is that.
    table: PhantomData<&'a Table>,
}

impl<'a> Memo<'a> {
    /// As [`peers_chain`], of clauses in one direction and form.
    pub(super) fn peers_chain(&mut self, direction: Direction, form: Form, clauses: &'a [Clause]) -> Option<Name> {
        self.peers.entry(clauses.as_ptr()).or_insert_with(|| peers_chain(direction, form, clauses)).clone()
    }

    /// As [`sets`].
    pub(super) fn sets(&mut self, key: &'a SetKey) -> &[(Name, Family)] {
        self.sets.entry(key).or_insert_with(|| sets(key))
    }
}

/// The definitions whose union a set is, as text for people.
pub(super) fn definitions(key: &SetKey) -> Box<dyn Iterator<Item = String> + '_> {
    match key {
        SetKey::Pods(groups) => Box::new(groups.iter().map(ToString::to_string)),
        SetKey::Blocks(blocks) => Box::new(blocks.iter().map(ToString::to_string)),
        SetKey::Endpoints(groups) => Box::new(groups.iter().map(ToString::to_string)),
        SetKey::Nodes(selectors) => Box::new(selectors.iter().map(|selector| format!("nodes {selector}"))),
    }
}

fn policies(key: &TableKey) -> String {
    let first = key.policies.first();
    let part = |of: fn(&NamespacedName) -> &str| first.map(|policy| readable(of(policy))).unwrap_or_default();
    format!("{}-{}-{}", part(|p| &p.namespace), part(|p| &p.name), hash(key))
}

fn digit(family: Family) -> char {
    match family {
        Family::Ipv4 => '4',
        Family::Ipv6 => '6',
    }
}

/// `text` in the characters of a name: others become single hyphens, and what is too long is cut.
fn readable(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' | '_' => slug.push(c),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(READABLE);
    slug.trim_matches('-').to_owned()
}

/// 80 bits of SHA-256 in base32: nobody can find a definition that shares the name of somebody else's.
pub(super) fn hash(definition: impl Hash) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    definition.hash(&mut hasher);
    let digest = hasher.0.finalize();
    let bits = digest[..10].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    (0..16).rev().map(|i| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> (5 * i) & 31) as usize])).collect()
}

/// Feeds a value to SHA-256 in the form in which it hashes itself, in which no two values are alike.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken whole")
    }
}

fn name(text: String) -> Name {
    Name::new(text).expect("made of a prefix, readable parts and a hash, all of the characters of a name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_told_apart_by_their_hash() {
        let one = pod_chain(Direction::Egress, &NamespacedName::new("shop", "web.Zero"));
        assert!(one.as_str().starts_with("pod-egress-shop-web-zero-"), "{one}");
        let (a, b) = (NamespacedName::new("a-b", "c"), NamespacedName::new("a", "b-c"));
        assert_ne!(pod_chain(Direction::Egress, &a), pod_chain(Direction::Egress, &b));
        let long = NamespacedName::new("n".repeat(63), "p.".repeat(126));
        assert!(pod_chain(Direction::Ingress, &long).as_str().len() <= Name::MAX);
    }

    #[test]
    fn a_hash_is_the_same_on_every_start() {
        assert_eq!(hash("palisade"), "airnhi6i3rsb4h3m");
    }
}
