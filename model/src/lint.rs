//! What is legal in a policy and surely not meant.
//!
//! Invariants:
//! - A finding says what is so, and names the field. Nothing is found where it is not known: without pods no selector is
//!   said to match none, without Services no port is said to be one.
//! - What is said to match nobody, to be covered or to be shadowed can be taken away, all of it at once, and no verdict
//!   changes (`tests/lint.rs`).

mod cluster;
mod covered;
mod dns;
mod known;
mod peers;
mod ports;
mod protocols;
mod services;
mod within;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use self::known::Known;
use ipnet::IpNet;

use crate::reference::Cluster;
use crate::{Direction, NamespacedName, Pod, Policy, Service};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// The objects.
    pub cluster: &'a Cluster,
    /// Pods that there will be.
    pub templates: &'a BTreeMap<NamespacedName, Pod>,
    /// The Services, as far as they are known.
    pub services: &'a BTreeMap<NamespacedName, Service>,
    /// The ranges of Services' addresses, as far as they are known.
    pub service_ranges: &'a [IpNet],
    /// What is written of policies besides, where there is anything; of cluster policies in no namespace.
    pub remarks: &'a BTreeMap<NamespacedName, Remarks>,
}

/// What is written of a policy that is not part of what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The codes of findings that are not told (`palisade.dev/lint-ignore`).
    pub ignored: BTreeSet<Arc<str>>,
    /// The directions for which rules are written that `policyTypes` lacks.
    pub without_type: Vec<Direction>,
    /// The directions that `policyTypes` names, or that count where it is not there, and for which nothing is written, not
    /// even an empty list (which the API forgets).
    pub without_rules: Vec<Direction>,
}

/// Something that is surely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The policy; a cluster policy is in no namespace.
    pub policy: NamespacedName,
    /// What it is.
    pub code: Code,
    /// Where: a path like `spec.ingress[0].from[1]`.
    pub field: String,
    /// What is so, and what may be meant.
    pub reason: String,
}

/// What may be found. Codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// Two peers, one of pods and one of namespaces, where one of both was meant.
    TwoPeers,
    /// An ipBlock that holds addresses of pods, which change.
    BlockHoldsPods,
    /// A port's name that no pod it is about declares.
    UnknownPortName,
    /// A type that counts and has no rules, beside rules of the other type, so that it denies all.
    TypesWithoutRules,
    /// Rules of a type that policyTypes lacks, so that they are of no effect.
    RulesWithoutType,
    /// A podSelector that selects no pod.
    SelectsNobody,
    /// A peer that no pod is.
    PeerMatchesNobody,
    /// Pods that may reach others, and may not ask for their names.
    EgressWithoutDns,
    /// A port of a Service, where policies see that of the pods behind it.
    ServicePort,
    /// A policy of a namespace that is not there.
    PolicyWithoutNamespace,
    /// A policy of which all is said by others, too.
    Covered,
    /// An ipBlock that holds addresses of Services, which policies never see.
    BlockHoldsServices,
    /// A port that pods declare for another protocol than the rule names.
    OtherProtocol,
    /// Every port of TCP and UDP, which is not everything.
    ProtocolsLeftOut,
    /// A rule of a cluster policy that rules before it leave nothing to decide.
    ShadowedRule,
    /// Cluster policies of one tier and priority that judge the same pods.
    EqualPriorities,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::TwoPeers,
        Self::BlockHoldsPods,
        Self::UnknownPortName,
        Self::TypesWithoutRules,
        Self::RulesWithoutType,
        Self::SelectsNobody,
        Self::PeerMatchesNobody,
        Self::EgressWithoutDns,
        Self::ServicePort,
        Self::PolicyWithoutNamespace,
        Self::Covered,
        Self::BlockHoldsServices,
        Self::OtherProtocol,
        Self::ProtocolsLeftOut,
        Self::ShadowedRule,
        Self::EqualPriorities,
    ];

    /// As it is written to ignore it: `two-peers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoPeers => "two-peers",
            Self::BlockHoldsPods => "block-holds-pods",
            Self::UnknownPortName => "unknown-port-name",
            Self::TypesWithoutRules => "types-without-rules",
            Self::RulesWithoutType => "rules-without-type",
            Self::SelectsNobody => "selects-nobody",
            Self::PeerMatchesNobody => "peer-matches-nobody",
            Self::EgressWithoutDns => "egress-without-dns",
            Self::ServicePort => "service-port",
            Self::PolicyWithoutNamespace => "policy-without-namespace",
            Self::Covered => "covered",
            Self::BlockHoldsServices => "block-holds-services",
            Self::OtherProtocol => "other-protocol",
            Self::ProtocolsLeftOut => "protocols-left-out",
            Self::ShadowedRule => "shadowed-rule",
            Self::EqualPriorities => "equal-priorities",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `shop/db spec.ingress[0].from[1]: two-peers: reason`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}", self.policy, self.field, self.code, self.reason)
    }
}

/// All findings that are not ignored, by policy; those of cluster policies last.
pub fn lint(objects: &Objects<'_>) -> Vec<Finding> {
    let known = Known::new(objects);
    let covered = covered::covered(&known);
    let mut found = Vec::new();
    for policy in objects.cluster.policies.values() {
        let mut findings = Findings { policy: &policy.id, all: Vec::new() };
        of_policy(&known, policy, &mut findings);
        peers::peers(&known, policy, &mut findings);
        ports::ports(&known, policy, &mut findings);
        protocols::protocols(policy, &mut findings);
        dns::dns(&known, policy, &mut findings);
        if let Some(by) = covered.get(&policy.id) {
            findings.add(Code::Covered, "spec", covered::reason(by));
        }
        found.extend(findings.all);
    }
    found.extend(cluster::findings(&known));
    let is_ignored = |finding: &Finding| {
        let remarks = objects.remarks.get(&finding.policy);
        remarks.is_some_and(|remarks| remarks.ignored.contains(finding.code.name()))
    };
    found.retain(|finding| !is_ignored(finding));
    found
}

/// What was found of one policy.
struct Findings<'a> {
    policy: &'a NamespacedName,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, code: Code, field: impl Into<String>, reason: impl Into<String>) {
        let (field, reason) = (field.into(), reason.into());
        self.all.push(Finding { policy: self.policy.clone(), code, field, reason });
    }
}

/// What concerns the policy as a whole.
fn of_policy(known: &Known<'_>, policy: &Policy, findings: &mut Findings<'_>) {
    let namespace = &policy.id.namespace;
    if known.has_namespaces() && !known.has_namespace(namespace) {
        let reason = format!("there is no Namespace {namespace}: the policy waits for one, or its name is misspelt");
        findings.add(Code::PolicyWithoutNamespace, "metadata.namespace", reason);
    }
    let selects_some = !known.has_pods() || !known.selected(policy).is_empty();
    if !selects_some && !policy.selector.requirements().is_empty() {
        let reason = format!("no pod of {namespace} has {}: nothing is isolated", policy.selector);
        findings.add(Code::SelectsNobody, "spec.podSelector", reason);
    }
    let Some(remarks) = known.remarks(policy) else { return };
    for direction in &remarks.without_type {
        let reason = format!("policyTypes lacks {}, so that these rules are of no effect", name(*direction));
        findings.add(Code::RulesWithoutType, format!("spec.{direction}"), reason);
    }
    for direction in &remarks.without_rules {
        let other = policy.rules(other(*direction)).is_some_and(|rules| !rules.is_empty());
        if other && known.isolates_alone(policy, *direction) {
            let name = name(*direction);
            let reason = format!("{name} counts, and has no rule: the selected pods are denied all {direction}");
            findings.add(Code::TypesWithoutRules, "spec.policyTypes", reason);
        }
    }
}

/// As policyTypes has it.
fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "Egress",
        Direction::Ingress => "Ingress",
    }
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Egress => Direction::Ingress,
        Direction::Ingress => Direction::Egress,
    }
}

/// `from` or `to`.
fn peers_field(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    }
}
