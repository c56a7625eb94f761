//! Who connects to whom, as it is given.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use palisade_model::reference::Cluster;
use palisade_model::{NamespacedName, Pod, Protocol, Service, Traffic};

use crate::cli::{Cli, Endpoint, ExplainArgs, ExplainProtocol, Family, Named};
use crate::meant::{meant, meant_name};

/// The Services, by namespace and name.
pub(super) type Services = BTreeMap<NamespacedName, Service>;

/// One end, with its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Pod(NamespacedName),
    Service(NamespacedName),
    Address(IpAddr),
}

/// Both ends that are given; `None` for one that need not exist.
///
/// # Errors
/// Wrong usage.
pub(super) fn ends(args: &ExplainArgs) -> anyhow::Result<[Option<End>; 2]> {
    let [from, to] = [(&args.from, "--from"), (&args.to, "--to")]
        .map(|(given, option)| given.as_ref().map(|given| end(given, args.namespace.as_deref(), option)).transpose());
    let (from, to) = (from?, to?);
    if let Some(End::Service(id)) = &from {
        bail!(usage(&format!("--from {id}: a Service opens no connections, name a pod")));
    }
    Ok([from, to])
}

fn end(given: &Endpoint, namespace: Option<&str>, option: &str) -> anyhow::Result<End> {
    let within = |named: &Named| match named.namespace.as_deref().or(namespace) {
        Some(namespace) => Ok(NamespacedName::new(namespace, named.name.as_str())),
        None => Err(usage(&format!(
            "{option}: `{}` is neither an IP address nor NAMESPACE/POD: write its namespace, or give -n",
            named.name
        ))),
    };
    Ok(match given {
        Endpoint::Address(address) => End::Address(*address),
        Endpoint::Pod(named) => End::Pod(within(named)?),
        Endpoint::Service(named) => End::Service(within(named)?),
    })
}

fn usage(message: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ValueValidation, format!("{message}\n"))
}

/// The addresses of an end that is no Service.
///
/// # Errors
/// That it has none, with the name that was probably meant.
pub(super) fn addresses(cluster: &Cluster, end: &End) -> anyhow::Result<Vec<IpAddr>> {
    let id = match end {
        End::Address(address) => return Ok(vec![*address]),
        End::Service(id) => bail!("{id} is a Service"),
        End::Pod(id) => id,
    };
    let Some(pod) = cluster.pods.get(id) else {
        let near = meant_name(id, cluster.pods.keys());
        let near = if near.is_empty() { "; name it as NAMESPACE/POD".to_owned() } else { near };
        bail!("there is no pod {id}{near}")
    };
    if pod.ips.is_empty() {
        bail!("pod {id} has no address (status.podIPs) yet, so it has no connections");
    }
    if pod.addresses().is_empty() && !pod.host_network {
        bail!("pod {id} has finished: it has no address any more");
    }
    Ok(pod.ips.clone())
}

/// The Service that is connected to, where it is one: by name, or by an address that is one's.
///
/// # Errors
/// That there is no such Service.
pub(super) fn service<'a>(to: Option<&End>, services: &'a Services) -> anyhow::Result<Option<&'a Service>> {
    match to {
        Some(End::Service(id)) => match services.get(id) {
            Some(service) => Ok(Some(service)),
            None => bail!("there is no Service {id}{}", meant_name(id, services.keys())),
        },
        Some(End::Address(address)) => Ok(services.values().find(|service| service.addresses.contains(address))),
        Some(End::Pod(_)) | None => Ok(None),
    }
}

/// An address of each end, of one family.
///
/// # Errors
/// That there are none.
pub(super) fn pair(from: &[IpAddr], to: &[IpAddr], family: Option<Family>) -> anyhow::Result<(IpAddr, IpAddr)> {
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

/// What the connection carries.
///
/// # Errors
/// That it is not said, or that the destination has no such port.
pub(super) fn traffic(cluster: &Cluster, args: &ExplainArgs, destination: IpAddr) -> anyhow::Result<Traffic> {
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
        None => {
            let of_protocol = pod.ports.iter().filter(|port| port.protocol == protocol);
            let near = meant(name, of_protocol.map(|port| port.name.to_string()));
            bail!("--port {name}: pod {} declares no {protocol} port of that name{near}", pod.id)
        }
    }
}
