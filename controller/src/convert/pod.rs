//! Pods.

use std::fmt;
use std::net::IpAddr;

use palisade_model as model;
use palisade_model::{Age, ContainerPort, NamespacedName, Phase};

use super::address::address;
use super::port::{number, protocol};
use super::{Problem, Problems, Texts, labels, one_or_several};
use crate::objects::{self, Container, Metadata, Pod, PodSpec, PodStatus, Text};

/// The pod as policy sees it, and what had to be left out: addresses and named ports that are not valid.
pub fn pod<S: Text>(pod: &Pod<S>, texts: &mut impl Texts) -> (model::Pod, Vec<Problem>) {
    let mut problems = Problems::default();
    let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    let pod = model::Pod {
        id: NamespacedName {
            namespace: texts.text(pod.metadata.namespace.as_deref().unwrap_or_default()),
            name: pod.metadata.name.as_deref().unwrap_or_default().into(),
        },
        uid: uid(&pod.metadata).map(Into::into),
        labels: texts.labels(labels(&pod.metadata)),
        node: spec.node_name.as_deref().filter(|name| !name.is_empty()).map(|name| texts.text(name)),
        ips: pod_ips(status, &mut problems),
        host_ips: host_ips(status, &mut problems),
        host_network: spec.host_network.unwrap_or_default(),
        phase: phase(status),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        age: age(pod),
        ports: ports(spec, texts, &mut problems),
    };
    (pod, problems.0)
}

/// What the pod's kubelet, and so the network plugin, knows it by.
fn uid<S: Text>(metadata: &Metadata<S>) -> Option<&str> {
    let mirror = metadata.annotations.as_ref().and_then(|annotations| annotations.mirror.as_deref());
    mirror.or(metadata.uid.as_deref()).filter(|uid| !uid.is_empty())
}

fn pod_ips<S: Text>(status: &PodStatus<S>, problems: &mut Problems) -> Vec<IpAddr> {
    let several = status.pod_ips.iter().flatten().map(|entry| &*entry.ip);
    addresses("status.podIP", several, status.pod_ip.as_deref(), problems)
}

fn host_ips<S: Text>(status: &PodStatus<S>, problems: &mut Problems) -> Vec<IpAddr> {
    let several = status.host_ips.iter().flatten().map(|entry| &*entry.ip);
    addresses("status.hostIP", several, status.host_ip.as_deref(), problems)
}

/// The addresses of a list, or that of the single field where there are none; each once.
fn addresses<'a>(
    field: &'a str,
    several: impl Iterator<Item = &'a str>,
    single: Option<&'a str>,
    problems: &mut Problems,
) -> Vec<IpAddr> {
    let mut known = Vec::new();
    for (at, ip) in one_or_several(field, ".ip", several, single.filter(|ip| !ip.is_empty())) {
        known.extend(problems.keep(at, address(ip)).filter(|ip| !known.contains(ip)));
    }
    known
}

fn phase<S: Text>(status: &PodStatus<S>) -> Phase {
    match status.phase.as_deref() {
        Some("Succeeded" | "Failed") => Phase::Finished,
        _ => Phase::Active,
    }
}

fn age<S: Text>(pod: &Pod<S>) -> Age {
    let metadata = &pod.metadata;
    Age {
        created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
        revision: metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0),
    }
}

/// The named ports of the containers that run beside each other: init containers only where they are restarted.
fn ports<S: Text>(spec: &PodSpec<S>, texts: &mut impl Texts, problems: &mut Problems) -> Vec<ContainerPort> {
    let sidecars = spec.init_containers.iter().flatten().enumerate();
    let sidecars = sidecars.filter(|(_, container)| container.restart_policy.as_deref() == Some("Always"));
    let sidecars = sidecars.map(|(i, container)| ("initContainers", i, container));
    let containers = spec.containers.iter().flatten().enumerate().map(|(i, container)| ("containers", i, container));
    containers
        .chain(sidecars)
        .flat_map(|(list, i, container)| container_ports(container, format_args!("spec.{list}[{i}]"), texts, problems))
        .collect()
}

fn container_ports<S: Text>(
    container: &Container<S>,
    at: fmt::Arguments<'_>,
    texts: &mut impl Texts,
    problems: &mut Problems,
) -> Vec<ContainerPort> {
    let port = |(i, port): (usize, &objects::ContainerPort<S>)| {
        let name = port.name.as_deref().filter(|name| !name.is_empty())?;
        let at = format_args!("{at}.ports[{i}]");
        let protocol = problems.keep(format_args!("{at}.protocol"), protocol(port.protocol.as_deref()));
        let number = problems.keep(format_args!("{at}.containerPort"), number(port.container_port));
        Some(ContainerPort { name: texts.text(name), protocol: protocol?, port: number? })
    };
    container.ports.iter().flatten().enumerate().filter_map(port).collect()
}
