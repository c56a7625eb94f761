//! A connection to a Service: the pods behind it, each.

use anyhow::bail;
use palisade_model::reference::{Cluster, Flow};
use palisade_model::{Pod, Protocol, Service, ServicePort, Traffic};
use serde::Serialize;

use super::closing::Closings;
use super::ends::pair;
use super::explanation::Explanation;
use crate::cli::{ExplainArgs, ExplainProtocol};

/// How many pods are told of, unless all are wanted.
const FEW: usize = 4;

/// The JSON form.
#[derive(Debug, Serialize)]
pub(super) struct ThroughService {
    /// Whether all pods behind it are reached.
    allowed: bool,
    service: Asked,
    /// The connection to each pod behind it: those that are denied first.
    behind: Vec<Explanation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
struct Asked {
    /// `namespace/name`.
    name: String,
    protocol: String,
    port: u16,
    /// How many pods are behind it.
    pods: usize,
    /// How many of them are reached.
    reached: usize,
}

impl ThroughService {
    /// # Errors
    /// That nobody is behind it, or that it has no such port.
    pub(super) fn new(
        cluster: &mut Cluster,
        closings: &mut Closings<'_>,
        (service, from): (&Service, &[std::net::IpAddr]),
        args: &ExplainArgs,
        others: impl Iterator<Item = String>,
    ) -> anyhow::Result<Self> {
        let pods = pods(cluster, service)?;
        let port = port(service, args)?;
        let mut hints: Vec<String> = others.collect();
        let mut behind = Vec::new();
        for pod in pods {
            let targets = port.targets(&pod);
            if targets.is_empty() {
                hints.push(format!("pod {} declares no port of the name that the Service leads to", pod.id));
            }
            let (source, destination) = match pair(from, pod.addresses(), args.family) {
                Ok(pair) => pair,
                Err(error) => {
                    hints.push(format!("pod {} is left out: {error}", pod.id));
                    continue;
                }
            };
            for target in targets {
                let traffic = Traffic::Port { protocol: port.protocol, port: target };
                let flow = Flow { source, destination, traffic };
                behind.push(Explanation::new(cluster, closings, flow, std::iter::empty()));
            }
        }
        if behind.is_empty() {
            bail!("no pod behind Service {} can be asked about: {}", service.id, hints.join("; "));
        }
        behind.sort_by_key(|one| one.allowed);
        for one in behind.iter_mut().take(FEW) {
            one.look_for_change(cluster, args);
            one.remember(args);
        }
        let reached = behind.iter().filter(|one| one.allowed).count();
        hints.extend(closings.hint());
        let asked = Asked {
            name: service.id.to_string(),
            protocol: port.protocol.to_string(),
            port: port.port,
            pods: behind.len(),
            reached,
        };
        Ok(Self { allowed: reached == behind.len(), service: asked, behind, hints })
    }

    pub(super) fn text(&self, all: bool) -> String {
        let Asked { name, protocol, port, pods, reached } = &self.service;
        let verdict = match (self.allowed, reached) {
            (true, _) => "allowed",
            (false, 0) => "DENIED",
            (false, _) => "PARTLY DENIED",
        };
        let from = self.behind.first().map(|one| one.from.text()).unwrap_or_default();
        let mut text =
            format!("{verdict}: {from} -> Service {name} {protocol} port {port}: {reached} of {pods} pods behind it\n");
        let most = if all { usize::MAX } else { FEW };
        let mut changes = Vec::new();
        for one in self.behind.iter().take(most) {
            // What helps one often helps all.
            let change = one.change_text().filter(|change| !changes.contains(change));
            let lines = one.text(all, change.is_some());
            text.extend(lines.lines().map(|line| format!("  {line}\n")));
            changes.extend(change);
        }
        let rest = self.behind.get(FEW..).filter(|rest| !all && !rest.is_empty()).unwrap_or_default();
        if !rest.is_empty() {
            let allowed = rest.iter().filter(|one| one.allowed).count();
            let denied = rest.len() - allowed;
            text += &format!("  and {} more: {allowed} allowed, {denied} DENIED; all with --all\n", rest.len());
        }
        text.extend(self.hints.iter().map(|hint| format!("  hint: {hint}\n")));
        text
    }
}

/// The pods that have addresses and stay.
fn pods(cluster: &Cluster, service: &Service) -> anyhow::Result<Vec<Pod>> {
    let Some(selector) = &service.selector else {
        bail!("Service {} has no selector, so that it does not say which pods are behind it", service.id)
    };
    let is_behind = |pod: &&Pod| service.selects(pod) && !pod.addresses().is_empty() && !pod.terminating;
    let pods: Vec<Pod> = cluster.pods.values().filter(is_behind).cloned().collect();
    if pods.is_empty() {
        bail!(
            "no pod is behind Service {}: none of {} has {selector} and an address",
            service.id,
            service.id.namespace
        );
    }
    Ok(pods)
}

/// The port that is asked about: without one the only one.
fn port<'a>(service: &'a Service, args: &ExplainArgs) -> anyhow::Result<&'a ServicePort> {
    let protocol = match args.protocol {
        ExplainProtocol::Tcp => Protocol::Tcp,
        ExplainProtocol::Udp => Protocol::Udp,
        ExplainProtocol::Sctp => Protocol::Sctp,
        ExplainProtocol::Icmp => bail!("a Service passes no ICMP on: ask about a pod behind it"),
    };
    let mut of_protocol = service.ports.iter().filter(|port| port.protocol == protocol);
    let found = match &args.port {
        None => of_protocol.next().filter(|_| of_protocol.next().is_none()),
        Some(wanted) => of_protocol.find(|port| match wanted.parse::<u16>() {
            Ok(number) => port.port == number,
            Err(_) => port.name.as_deref() == Some(wanted),
        }),
    };
    let Some(found) = found else {
        let known = |port: &ServicePort| match &port.name {
            Some(name) => format!("{} {} ({name})", port.protocol, port.port),
            None => format!("{} {}", port.protocol, port.port),
        };
        let known: Vec<String> = service.ports.iter().map(known).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        match &args.port {
            None => bail!("--port is missing: Service {} has {known}", service.id),
            Some(wanted) => {
                bail!("--port {wanted}: Service {} has no such {protocol} port: it has {known}", service.id)
            }
        }
    };
    Ok(found)
}
