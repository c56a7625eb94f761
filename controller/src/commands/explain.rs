//! `palisade explain`: the reference verdict, and what is behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;

use anyhow::{Context, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use palisade_model::reference::{Cluster, DirectionVerdict, Flow, Pass, TierVerdict, Traffic, Verdict};
use palisade_model::{Attempt, Change, ClusterRuleRef, Direction, Enforcement, Pod, Protocol, TierAction};
use serde::Serialize;

use super::sources;
use crate::cli::{Cli, Endpoint, ExplainArgs, ExplainProtocol, Family, Output};
use crate::text::some_of;

mod closing;
mod imagined;
mod remembered;

use remembered::{Asked, Remembered};

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    // Every pod is judged, wherever it runs: the node's name does not matter.
    let objects = sources::snapshot(&args.source, "")?;
    let mut cluster = Cluster::default();
    objects.iter().for_each(|change| cluster.apply(change.clone()));
    let mut explanation = Explanation::new(cluster, &objects, args)?;
    explanation.remember(args);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&explanation)?)?,
        Output::Text => write!(out, "{}", explanation.text())?,
    }
    Ok(())
}

const LOOPBACK: &str = "loopback";
const OWN_NODE: &str = "own node";

/// The JSON form.
#[derive(Debug, Serialize)]
struct Explanation {
    allowed: bool,
    from: End,
    to: End,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// What the two are to each other, where NetworkPolicy allows that without a rule: `loopback` or `own node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'static str>,
    egress: Judgement,
    ingress: Judgement,
    /// When such connections were dropped, as far as the agent of this machine remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
    /// What one may want to know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

#[derive(Debug, Serialize)]
struct End {
    address: IpAddr,
    /// `namespace/name`, where the address is a pod's.
    pod: Option<String>,
}

#[derive(Debug, Serialize)]
struct Judgement {
    isolated: bool,
    /// Whether its namespace is closed on its node, so that no rule was asked.
    closed: bool,
    allowed: bool,
    /// The tiers of cluster policies that were asked, in that order, and that have policies for the pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<Tier>,
    policies: Vec<String>,
    rule: Option<Rule>,
    /// The rule that would have allowed it but for what it lacks, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<String>,
    /// What policies under audit would drop it for, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_drop: Option<String>,
}

/// What a tier of cluster policies says.
#[derive(Debug, Serialize)]
struct Tier {
    tier: String,
    /// The cluster policies whose subject the pod is, in the order in which they are asked.
    policies: Vec<String>,
    /// The rule that matches first; without one the connection is passed on.
    decision: Option<Decision>,
}

#[derive(Debug, Serialize)]
struct Decision {
    /// `Accept`, `Deny`, or `Pass`, which passes the connection on.
    action: String,
    policy: String,
    /// The field of the policy, as `spec.egress[0]`.
    field: String,
    /// The rule's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rule {
    policy: String,
    /// The field of the policy, as `spec.ingress[0]`.
    field: String,
}

impl Explanation {
    fn new(mut cluster: Cluster, objects: &[Change], args: &ExplainArgs) -> anyhow::Result<Self> {
        let imagined = imagined::add(&mut cluster, args)?;
        let from = imagined.end(&cluster, args.from.as_ref(), Direction::Egress).context("--from")?;
        let to = imagined.end(&cluster, args.to.as_ref(), Direction::Ingress).context("--to")?;
        let (source, destination) = pair(&from, &to, args.family)?;
        let traffic = traffic(&cluster, args, destination)?;
        let flow = Flow { source, destination, traffic };
        let verdict = closing::verdict(&mut cluster, objects, args.shares.shares, &flow);
        let cluster = &cluster;
        let end = |address| End { address, pod: cluster.owner(address).map(|pod| pod.id.to_string()) };
        let (protocol, port) = match traffic {
            Traffic::Port { protocol, port } => (protocol.to_string(), Some(port)),
            Traffic::Other(_) => ("ICMP".to_owned(), None),
        };
        let Verdict { allowed, pass, egress, ingress } = verdict;
        let tied: BTreeSet<String> =
            [&egress, &ingress].into_iter().flat_map(|of| &of.tiers).flat_map(|tier| tied(cluster, tier)).collect();
        Ok(Self {
            allowed,
            from: end(source),
            to: end(destination),
            protocol,
            port,
            pass: pass.map(|pass| match pass {
                Pass::Loopback => LOOPBACK,
                Pass::OwnNode => OWN_NODE,
            }),
            egress: Judgement::new(cluster, Direction::Egress, &flow, egress),
            ingress: Judgement::new(cluster, Direction::Ingress, &flow, ingress),
            remembered: None,
            hints: hints(cluster, source, destination).into_iter().chain(tied).chain(imagined.hints()).collect(),
        })
    }

    fn text(&self) -> String {
        let end = |end: &End| match &end.pod {
            Some(pod) => format!("{pod} ({})", end.address),
            None => end.address.to_string(),
        };
        let port = self.port.map(|port| format!(" port {port}")).unwrap_or_default();
        let verdict = if self.allowed { "allowed" } else { "DENIED" };
        let mut text = format!("{verdict}: {} -> {} {}{port}\n", end(&self.from), end(&self.to), self.protocol);
        for (direction, end, judgement) in [("egress", &self.from, &self.egress), ("ingress", &self.to, &self.ingress)]
        {
            let from_node = direction == "ingress" && self.pass == Some(OWN_NODE);
            let why = if from_node {
                "allowed: nothing comes between a pod and its own node".to_owned()
            } else {
                judgement.text(end, self.pass)
            };
            text += &format!("  {direction:8}{why}\n");
            text.extend(judgement.passed().map(|passed| format!("          after {passed}\n")));
            text.extend(judgement.policies.iter().map(|policy| format!("          isolated by {policy}\n")));
            text.extend(judgement.nearest.iter().map(|miss| format!("          nearest: {miss}\n")));
            text.extend(
                judgement.would_drop.iter().map(|why| format!("          under audit it would be dropped: {why}\n")),
            );
        }
        text.extend(self.remembered.iter().map(Remembered::text));
        text + &self.hints_text()
    }

    /// What is behind it does not depend on that: where it is not known, there is a hint.
    fn remember(&mut self, args: &ExplainArgs) {
        let (source, destination) = (self.from.address, self.to.address);
        let asked = Asked { source, destination, protocol: &self.protocol, port: self.port };
        match remembered::remembered(args, asked) {
            Ok(remembered) => self.remembered = remembered,
            Err(error) => self.hints.push(format!("it is not known whether such packets were dropped: {error}")),
        }
    }

    fn hints_text(&self) -> String {
        self.hints.iter().map(|hint| format!("  hint: {hint}\n")).collect()
    }
}

impl Judgement {
    fn new(cluster: &Cluster, direction: Direction, flow: &Flow, verdict: DirectionVerdict) -> Self {
        let peer = if direction == Direction::Egress { flow.destination } else { flow.source };
        let why = |up_to| {
            let pod = verdict.subject.clone()?;
            cluster.why(&Attempt { direction, pod, peer, traffic: flow.traffic, up_to })
        };
        let nearest = why(Enforcement::Enforced).and_then(|why| why.nearest).map(|miss| miss.to_string());
        let would_drop = cluster.would_drop(flow, direction).then(|| why(Enforcement::Audited)).flatten();
        let would_drop = would_drop.map(|why| why.to_string());
        let tiers = verdict.tiers.into_iter().filter(|tier| !tier.policies.is_empty());
        Self {
            isolated: verdict.isolated,
            closed: verdict.closed,
            allowed: verdict.allowed,
            tiers: tiers.map(|tier| Tier::new(cluster, tier)).collect(),
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            rule: verdict.rule.map(|rule| Rule {
                policy: rule.policy.to_string(),
                field: format!("spec.{direction}[{}]", rule.index),
            }),
            nearest,
            would_drop,
        }
    }

    /// Who decides, by what.
    fn text(&self, end: &End, pass: Option<&str>) -> String {
        let decided = self.tiers.iter().find_map(|tier| tier.final_text());
        match (decided, &end.pod, &self.rule, pass) {
            (Some(decided), ..) => decided,
            (None, None, ..) => format!("allowed: {} is no pod, so no policy applies to it", end.address),
            (None, Some(pod), ..) if !self.isolated => format!("allowed: no policy isolates {pod} in this direction"),
            (None, Some(_), _, Some(LOOPBACK)) => "allowed: a pod always reaches itself".to_owned(),
            (None, Some(_), _, Some(_)) => {
                "allowed: NetworkPolicy has no say between a pod and its own node".to_owned()
            }
            (None, Some(_), Some(rule), None) => format!("allowed by {} {}", rule.policy, rule.field),
            (None, Some(pod), None, None) if self.closed => {
                let namespace = pod.split('/').next().unwrap_or_default();
                format!(
                    "DENIED: namespace {namespace} is closed: over its share, so that no rule of its policies counts"
                )
            }
            (None, Some(_), None, None) => "DENIED: none of the policies' rules allows it".to_owned(),
        }
    }

    /// What passed the connection on before.
    fn passed(&self) -> impl Iterator<Item = String> {
        let passed = self.tiers.iter().filter(|tier| tier.final_text().is_none());
        passed.map(|tier| match &tier.decision {
            Some(decision) => format!("{}, tier {}", decision.text(), tier.tier),
            None => format!("tier {}, where no rule of {} matches", tier.tier, tier.policies.join(", ")),
        })
    }
}

impl Tier {
    fn new(cluster: &Cluster, verdict: TierVerdict) -> Self {
        let decision = |(rule, action): (ClusterRuleRef, TierAction)| {
            let policy = cluster.cluster_policies.get(&rule.policy);
            let rules = policy.map(|policy| policy.rules(rule.direction)).unwrap_or_default();
            Decision {
                action: action.to_string(),
                policy: rule.policy.to_string(),
                field: format!("spec.{}[{}]", rule.direction, rule.index),
                name: rules.get(rule.index).and_then(|rule| rule.name.as_deref()).map(str::to_owned),
            }
        };
        Self {
            tier: verdict.tier.to_string(),
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            decision: verdict.decision.map(decision),
        }
    }

    /// What it says, where that is final.
    fn final_text(&self) -> Option<String> {
        let decision = self.decision.as_ref()?;
        let verdict = match decision.action.as_str() {
            "Accept" => "allowed",
            "Deny" => "DENIED",
            _ => return None,
        };
        Some(format!("{verdict}: {}, tier {}", decision.text(), self.tier))
    }
}

impl Decision {
    fn text(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        format!("{} by {} {}{name}", self.action, self.policy, self.field)
    }
}

/// What one may want to know of the two ends of a connection.
fn hints(cluster: &Cluster, source: IpAddr, destination: IpAddr) -> Vec<String> {
    let ends = [source, destination].map(|address| cluster.owner(address));
    let namespaces: BTreeSet<_> = ends.iter().flatten().map(|pod| &pod.id.namespace).collect();
    let missing = namespaces.into_iter().filter(|name| !cluster.namespaces.contains_key(*name));
    let no_namespace =
        |name| format!("there is no object for Namespace {name}: no namespaceSelector matches its pods, not even {{}}");
    let is_a_nodes = |address| cluster.pods.values().any(|pod| pod.host_ips.contains(&address));
    let no_pods = (ends[0].is_none() && !is_a_nodes(source)).then(|| {
        format!("no pod can send from {source}, which is no pod's address: its node's guard would drop it as forged")
    });
    let a_service = (ends[1].is_none() && !is_a_nodes(destination)).then(|| {
        format!(
            "{destination} is no pod's address. Where it is a Service's, policies see the pod behind it instead: \
             ask about that pod, and its port"
        )
    });
    let shared = BTreeSet::from([source, destination]).into_iter().filter_map(|address| several(cluster, address));
    missing.map(no_namespace).chain(no_pods).chain(a_service).chain(shared).collect()
}

/// Policies of a tier that are asked in the order of their names.
fn tied(cluster: &Cluster, tier: &TierVerdict) -> Vec<String> {
    let mut by_priority = BTreeMap::<u16, Vec<String>>::new();
    for policy in tier.policies.iter().filter_map(|name| cluster.cluster_policies.get(name)) {
        by_priority.entry(policy.priority).or_default().push(policy.name.to_string());
    }
    let groups = by_priority.into_values().filter(|policies| policies.len() > 1);
    groups
        .map(|policies| {
            let names = some_of(&policies, 5, 63, " and ");
            format!("{names} have one priority in tier {}: they are asked in the order of their names", tier.tier)
        })
        .collect()
}

/// Several live pods claim the address.
fn several(cluster: &Cluster, address: IpAddr) -> Option<String> {
    let owner = cluster.owner(address)?;
    let live = cluster.claimants(address).filter(|pod| !pod.terminating && pod.id != owner.id);
    let others: Vec<String> = live.map(|pod| pod.id.to_string()).collect();
    (!others.is_empty()).then(|| {
        let others = some_of(&others, 3, 500, ", ");
        format!("{address} is claimed by {others}, too: it is taken to be {}'s, which was given it last", owner.id)
    })
}

fn addresses(cluster: &Cluster, endpoint: &Endpoint) -> anyhow::Result<Vec<IpAddr>> {
    let id = match endpoint {
        Endpoint::Address(address) => return Ok(vec![*address]),
        Endpoint::Pod(id) => id,
    };
    let Some(pod) = cluster.pods.get(id) else { bail!("there is no pod {id}; name it as NAMESPACE/POD") };
    if pod.ips.is_empty() {
        bail!("pod {id} has no address (status.podIPs) yet, so it has no connections");
    }
    if pod.addresses().is_empty() && !pod.host_network {
        bail!("pod {id} has finished: it has no address any more");
    }
    Ok(pod.ips.clone())
}

fn pair(from: &[IpAddr], to: &[IpAddr], family: Option<Family>) -> anyhow::Result<(IpAddr, IpAddr)> {
    let wanted = |address: &IpAddr| family.is_none_or(|family| address.is_ipv4() == (family == Family::Ipv4));
    let mut pairs: Vec<(IpAddr, IpAddr)> = from
        .iter()
        .filter(|address| wanted(address))
        .flat_map(|source| to.iter().map(move |destination| (*source, *destination)))
        .filter(|(source, destination)| source.is_ipv4() == destination.is_ipv4())
        .collect();
    pairs.sort_by_key(|(source, _)| source.is_ipv6());
    match (pairs.first(), family) {
        (Some(pair), _) => Ok(*pair),
        (None, None) => bail!("--from and --to have no addresses of the same family"),
        (None, Some(family)) => {
            let family = if family == Family::Ipv4 { "IPv4" } else { "IPv6" };
            bail!("--from and --to do not both have an {family} address")
        }
    }
}

fn traffic(cluster: &Cluster, args: &ExplainArgs, destination: IpAddr) -> anyhow::Result<Traffic> {
    let protocol = match args.protocol {
        ExplainProtocol::Tcp => Protocol::Tcp,
        ExplainProtocol::Udp => Protocol::Udp,
        ExplainProtocol::Sctp => Protocol::Sctp,
        ExplainProtocol::Icmp if args.port.is_some() => bail!("ICMP has no ports: leave --port out"),
        ExplainProtocol::Icmp => return Ok(Traffic::Other(if destination.is_ipv4() { 1 } else { 58 })),
    };
    let Some(port) = &args.port else {
        let message = "--port is missing: a number, or a name that the destination pod declares\n";
        bail!(Cli::command().error(ErrorKind::MissingRequiredArgument, message));
    };
    let port = match port.parse() {
        Ok(number) => number,
        Err(_) => named_port(cluster.owner(destination), protocol, port)?,
    };
    Ok(Traffic::Port { protocol, port })
}

fn named_port(pod: Option<&Pod>, protocol: Protocol, name: &str) -> anyhow::Result<u16> {
    let Some(pod) = pod else { bail!("--port {name}: the destination is no pod, so only a number will do") };
    let declared = pod.ports.iter().find(|port| *port.name == *name && port.protocol == protocol);
    match declared {
        Some(port) => Ok(port.port),
        None => bail!("--port {name}: pod {} declares no {protocol} port of that name", pod.id),
    }
}
