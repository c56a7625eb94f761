//! `palisade explain`: the reference verdict, and what is behind it.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;

use anyhow::{Context, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use palisade_model::reference::{Cluster, DirectionVerdict, Flow, Pass, Traffic, Verdict};
use palisade_model::{Change, Direction, Pod, Protocol};
use serde::Serialize;

use super::sources;
use crate::cli::{Cli, Endpoint, ExplainArgs, ExplainProtocol, Family, Output};
use crate::text::some_of;

mod closing;

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    // Every pod is judged, wherever it runs: the node's name does not matter.
    let objects = sources::snapshot(&args.source, "")?;
    let mut cluster = Cluster::default();
    objects.iter().for_each(|change| cluster.apply(change.clone()));
    let explanation = Explanation::new(cluster, &objects, args)?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&explanation)?)?,
        Output::Text => write!(out, "{}", explanation.text())?,
    }
    Ok(())
}

/// The JSON form.
#[derive(Debug, Serialize)]
struct Explanation {
    allowed: bool,
    from: End,
    to: End,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Why no policy was asked: `loopback` or `own node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'static str>,
    egress: Judgement,
    ingress: Judgement,
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
    policies: Vec<String>,
    rule: Option<Rule>,
}

#[derive(Debug, Serialize)]
struct Rule {
    policy: String,
    /// The field of the policy, as `spec.ingress[0]`.
    field: String,
}

impl Explanation {
    fn new(mut cluster: Cluster, objects: &[Change], args: &ExplainArgs) -> anyhow::Result<Self> {
        let from = addresses(&cluster, &args.from).context("--from")?;
        let to = addresses(&cluster, &args.to).context("--to")?;
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
        Ok(Self {
            allowed,
            from: end(source),
            to: end(destination),
            protocol,
            port,
            pass: pass.map(|pass| match pass {
                Pass::Loopback => "loopback",
                Pass::OwnNode => "own node",
            }),
            egress: Judgement::new(Direction::Egress, egress),
            ingress: Judgement::new(Direction::Ingress, ingress),
            hints: hints(cluster, source, destination),
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
        if let Some(pass) = self.pass {
            let why = if pass == "loopback" {
                "a pod always reaches itself"
            } else {
                "a pod and its own node always reach each other"
            };
            text += &format!("  {why}\n");
            return text + &self.hints_text();
        }
        for (direction, end, judgement) in [("egress", &self.from, &self.egress), ("ingress", &self.to, &self.ingress)]
        {
            text += &format!("  {direction:8}{}\n", judgement.text(end));
            text.extend(judgement.policies.iter().map(|policy| format!("          isolated by {policy}\n")));
        }
        text + &self.hints_text()
    }

    fn hints_text(&self) -> String {
        self.hints.iter().map(|hint| format!("  hint: {hint}\n")).collect()
    }
}

impl Judgement {
    fn new(direction: Direction, verdict: DirectionVerdict) -> Self {
        Self {
            isolated: verdict.isolated,
            closed: verdict.closed,
            allowed: verdict.allowed,
            policies: verdict.policies.iter().map(ToString::to_string).collect(),
            rule: verdict.rule.map(|rule| Rule {
                policy: rule.policy.to_string(),
                field: format!("spec.{direction}[{}]", rule.index),
            }),
        }
    }

    fn text(&self, end: &End) -> String {
        match (&end.pod, &self.rule) {
            (None, _) => format!("allowed: {} is no pod, so no policy applies to it", end.address),
            (Some(pod), _) if !self.isolated => format!("allowed: no policy isolates {pod} in this direction"),
            (Some(_), Some(rule)) => format!("allowed by {} {}", rule.policy, rule.field),
            (Some(pod), None) if self.closed => {
                let namespace = pod.split('/').next().unwrap_or_default();
                format!(
                    "DENIED: namespace {namespace} is closed: over its share, so that no rule of its policies counts"
                )
            }
            (Some(_), None) => "DENIED: none of the policies' rules allows it".to_owned(),
        }
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
