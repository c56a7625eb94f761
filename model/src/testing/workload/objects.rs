use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::{Kind, Shape, Size};
use crate::testing::{NODE, bare_pod};
use crate::{
    Age, Change, ContainerPort, Enforcement, IpBlock, Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers,
    Pod, PodGroup, Policy, PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector,
};

const NODES: u32 = 5_000;
const TEAMS: u32 = 100;
/// Replicas of a workload.
const REPLICAS: u32 = 5;
const FEW_NAMESPACES: u32 = 10;
const BLOCKS: u32 = 16;
const EXCEPTIONS: u32 = 8;
const APP: &str = "app.kubernetes.io/name";

/// Objects by number. What is `changed` differs from what it was at first: pods are gone or have other labels, ...
#[derive(Clone, Copy, Debug)]
pub(super) struct Objects {
    shape: Shape,
    size: Size,
}

impl Objects {
    pub(super) fn new(shape: Shape, size: Size) -> Self {
        let namespaces = if shape == Shape::FewNamespaces { FEW_NAMESPACES } else { size.namespaces };
        Self { shape, size: Size { namespaces, ..size } }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// How many objects an event of this kind may befall.
    pub(super) fn candidates(&self, kind: Kind) -> u32 {
        let Size { pods, namespaces, policies, local_pods } = self.size;
        match kind {
            Kind::RemotePod | Kind::PodLabels => local_pods.min(namespaces) * (pods / namespaces - 1),
            Kind::AnyPod => pods,
            Kind::LocalPod => local_pods,
            Kind::NamespaceLabels => namespaces,
            Kind::Policy => policies.min(local_pods),
        }
    }

    /// The number of one of the [`Objects::candidates`]. The pods of events of different kinds differ.
    pub(super) fn candidate(&self, kind: Kind, index: u32) -> u32 {
        let Size { namespaces, local_pods, .. } = self.size;
        let busy = local_pods.min(namespaces);
        match kind {
            Kind::RemotePod | Kind::PodLabels => index % busy + (1 + index / busy) * namespaces,
            _ => index,
        }
    }

    pub(super) fn event(&self, kind: Kind, number: u32, changed: bool) -> Change {
        match kind {
            Kind::RemotePod | Kind::AnyPod | Kind::LocalPod if changed => Change::PodGone(self.pod_id(number)),
            Kind::RemotePod | Kind::AnyPod | Kind::LocalPod => self.pod(number, false),
            Kind::PodLabels => self.pod(number, changed),
            Kind::NamespaceLabels => self.namespace(number, changed),
            Kind::Policy => self.policy(number, changed),
        }
    }

    pub(super) fn namespace(&self, number: u32, changed: bool) -> Change {
        let name = namespace_name(number);
        let team = team(if changed { number + 1 } else { number });
        let version = if changed { "new" } else { "old" };
        let labels = [("kubernetes.io/metadata.name", name.as_str()), ("team", &team), ("version", version)];
        Change::Namespace(Namespace { labels: Labels::from_iter(labels), name: name.into() })
    }

    pub(super) fn pod(&self, number: u32, changed: bool) -> Change {
        let workload = self.workload(number);
        let app = if changed { workload + 1 } else { workload };
        let namespace = number % self.size.namespaces;
        let labels = [
            (APP.to_owned(), self.app(app)),
            ("app.kubernetes.io/instance".to_owned(), format!("app-{workload}-of-{namespace}")),
            ("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned()),
            ("pod-template-hash".to_owned(), format!("{:x}", workload * 7_919 + namespace)),
        ];
        let node = if number < self.size.local_pods { NODE.to_owned() } else { format!("node-of-{}", number % NODES) };
        Change::Pod(Pod {
            labels: Labels::from_iter(labels),
            node: Some(node.into()),
            age: Age { created: number.into(), revision: number.into() },
            ports: vec![ContainerPort { name: "http".into(), protocol: Protocol::Tcp, port: 8080 }],
            ..bare_pod(self.pod_id(number), [IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))])
        })
    }

    pub(super) fn policy(&self, number: u32, changed: bool) -> Change {
        let name = namespace_name(number % self.size.namespaces);
        let index = number / self.size.namespaces;
        let own = |pods| group(NamespaceScope::Named(name.as_str().into()), pods);
        let team = group(NamespaceScope::Matching(equal("team", &team(number + 1))), Selector::default());
        let metrics = group(NamespaceScope::Matching(named(0)), equal(APP, "app-1"));
        let dns = group(NamespaceScope::Matching(named(0)), equal(APP, "app-0"));
        let http = match self.shape {
            Shape::NamedPorts => PortMatch::Named { protocol: Protocol::Tcp, name: "http".into() },
            _ => tcp(8080),
        };
        let selector = match self.shape {
            Shape::FewNamespaces => equal(APP, &self.app(index)),
            _ => Selector::default(),
        };
        let blocks = match self.shape {
            Shape::ManyCidrs => (0..BLOCKS).map(|nth| block(number * BLOCKS + nth, EXCEPTIONS)).collect(),
            _ => vec![block(number, 1)],
        };
        let mut ingress = vec![
            rule(vec![own(equal(APP, &self.app(index + 1))), team], vec![http.clone()]),
            rule(vec![metrics], vec![tcp(if changed { 9091 } else { 9090 })]),
        ];
        if self.shape == Shape::WideSelectors {
            let old = NamespaceScope::Matching(equal("version", "old"));
            let most = Requirement::new(APP, "NotIn", ["app-2"]).expect("a valid requirement");
            ingress.push(rule(vec![group(old, Selector::from_iter([most]))], vec![tcp(8443)]));
        }
        let egress = vec![
            rule(vec![dns], vec![udp(53)]),
            rule(vec![own(Selector::default())], vec![http]),
            rule(blocks, vec![tcp(443)]),
        ];
        let id = NamespacedName::new(name.as_str(), format!("policy-{index}"));
        Change::Policy(Policy {
            id,
            enforcement: Enforcement::Enforced,
            selector,
            ingress: Some(ingress),
            egress: Some(egress),
        })
    }

    fn pod_id(&self, number: u32) -> NamespacedName {
        let name = format!("app-{}-{number:x}-abcde", self.workload(number));
        NamespacedName::new(namespace_name(number % self.size.namespaces), name)
    }

    /// Which of its namespace's workloads a pod is a replica of.
    fn workload(&self, pod: u32) -> u32 {
        pod / self.size.namespaces / REPLICAS
    }

    /// In a namespace of 15 pods each workload has an application of its own; in huge ones as many as there are policies.
    fn app(&self, workload: u32) -> String {
        format!("app-{}", workload % self.size.policies.div_ceil(self.size.namespaces).max(3))
    }
}

fn namespace_name(number: u32) -> String {
    format!("namespace-{number}")
}

fn team(number: u32) -> String {
    format!("team-{}", number % TEAMS)
}

fn named(namespace: u32) -> Selector {
    equal("kubernetes.io/metadata.name", &namespace_name(namespace))
}

fn equal(key: &str, value: &str) -> Selector {
    Selector::from_iter([Requirement::new(key, "In", [value]).expect("a valid requirement")])
}

fn group(namespaces: NamespaceScope, pods: Selector) -> Peer {
    Peer::Pods(PodGroup { namespaces, pods })
}

fn rule(peers: Vec<Peer>, ports: Vec<PortMatch>) -> Rule {
    Rule { peers: Peers::AnyOf(peers), ports: Ports::AnyOf(ports) }
}

fn tcp(port: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Tcp, ports: PortRange::single(port) }
}

fn udp(port: u16) -> PortMatch {
    PortMatch::Numbers { protocol: Protocol::Udp, ports: PortRange::single(port) }
}

/// A /24 with every other of its first addresses left out.
fn block(number: u32, exceptions: u32) -> Peer {
    let first = 0xac10_0000 + ((number << 8) & 0x000f_ff00);
    let net = |first: u32, length| IpNet::V4(Ipv4Net::new(first.into(), length).expect("a prefix length"));
    let exceptions = (0..exceptions).map(|nth| net(first + 2 * nth, 32));
    Peer::Block(IpBlock::new(net(first, 24), exceptions).expect("the exceptions are within"))
}
