//! Two local pods and a remote one, and an agent that is called by hand.

use std::net::{IpAddr, Ipv6Addr};
use std::thread::sleep;
use std::time::Instant;

use palisade::enforcer::Enforcer;
use palisade::render::{Epoch, TABLE};
use palisade_integration::netns::{Host, Network, Node, Place};
use palisade_model::testing::bare_pod;
use palisade_model::{
    Change, Enforcement, Labels, Namespace, NamespaceScope, NamespacedName, Peer, Peers, Pod, PodGroup, Policy,
    PortMatch, PortRange, Ports, Protocol, Requirement, Rule, Selector,
};
use palisade_nft::{Connection, Conntrack, Kernel, KernelConntrack, Mark, Name, Ownership};

const NAMESPACE: &str = "shop";

pub(super) struct World {
    network: Network,
    /// A local pod, as is the server.
    pub(super) client: Host,
    pub(super) server: Host,
    /// A pod of another node.
    pub(super) far: Host,
    agent: Option<Enforcer<Kernel>>,
}

impl World {
    /// What has the node's own addresses.
    pub(super) fn attach(&mut self, place: Place) -> Host {
        let addresses = self.node().addresses().to_vec();
        self.network.attach_one(place, &addresses).unwrap()
    }

    /// Without an agent yet.
    pub(super) fn new() -> Self {
        let mut network = Network::new(2).unwrap();
        let hosts = [(Place::Behind(0), 1), (Place::Behind(0), 2), (Place::Behind(1), 3)];
        let [client, server, far] = hosts.map(|(place, number)| network.attach_one(place, &addresses(number)).unwrap());
        Self { network, client, server, far, agent: None }
    }

    /// With an agent that knows the pods and no policy.
    pub(super) fn open() -> Self {
        let mut world = Self::new();
        world.start();
        world
    }

    pub(super) fn start(&mut self) {
        self.start_with([]);
    }

    /// Starts an agent that finds these changes, too, when it first looks.
    pub(super) fn start_with(&mut self, changes: impl IntoIterator<Item = Change>) {
        let table = Name::new(TABLE).unwrap();
        let node = self.node();
        let open = || (Kernel::open(table.clone(), Ownership::Take).unwrap(), KernelConntrack::open().unwrap());
        let (kernel, conntrack) = node.namespace().enter(open).unwrap();
        let enforcer = Enforcer::new(node.name(), table, kernel);
        self.agent = Some(enforcer.with_connections_of(conntrack));
        let pods = [("client", "node-0", 1), ("server", "node-0", 2), ("far", "node-1", 3)];
        let pods = pods.map(|(name, node, number)| pod(name, node, number));
        self.change(pods.into_iter().chain(changes));
    }

    /// Commits changes, then settles.
    pub(super) fn change(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.commit(changes);
        self.settle();
    }

    /// Commits changes: if they may forbid something, all packets are judged from then on.
    pub(super) fn commit(&mut self, changes: impl IntoIterator<Item = Change>) {
        let enforcer = self.agent.as_mut().unwrap();
        changes.into_iter().for_each(|change| enforcer.apply(change));
        self.network.nodes()[0].namespace().enter(|| enforcer.commit().unwrap()).unwrap();
    }

    /// Begins an epoch, so that connections pass once they were judged.
    pub(super) fn settle(&mut self) {
        let enforcer = self.agent.as_mut().unwrap();
        let work = || {
            while let Some(due) = enforcer.settle_is_due() {
                sleep(due.saturating_duration_since(Instant::now()));
                enforcer.settle().unwrap();
            }
        };
        self.network.nodes()[0].namespace().enter(work).unwrap();
        assert!(self.epoch().is_some());
    }

    pub(super) fn epoch(&self) -> Option<Epoch> {
        Epoch::in_force(self.agent.as_ref().unwrap().desired())
    }

    /// How many connections were judged in this epoch.
    pub(super) fn judged(&self) -> usize {
        let mark = self.epoch().unwrap().mark();
        self.connections().iter().filter(|one| mark.is_on(one.mark)).count()
    }

    pub(super) fn sysctl(&self, settings: &[(&str, &str)]) {
        self.node().namespace().sysctl(settings).unwrap();
    }

    /// Adds rules of others.
    pub(super) fn nft(&self, rules: &str) {
        self.node().namespace().nft(rules).unwrap();
    }

    /// The node's connections.
    pub(super) fn connections(&self) -> Vec<Connection> {
        let list = || KernelConntrack::open().unwrap().list(Mark { mask: 0, value: 0 }).unwrap();
        self.node().namespace().enter(list).unwrap()
    }

    /// The node of the client and the server.
    pub(super) fn node(&self) -> &Node {
        &self.network.nodes()[0]
    }

    /// How many packets were dropped that no policy allows.
    pub(super) fn dropped(&mut self) -> u64 {
        let counters = self.agent.as_mut().unwrap().backend().named_counters().unwrap();
        let dropped = counters.iter().filter(|(name, _)| name.as_str().starts_with("dropped-"));
        dropped.map(|(_, counter)| counter.packets).sum()
    }

    /// Until none is under way that came in before the last commit.
    pub(super) fn wait_for_packets(&self) {
        self.node().namespace().enter(|| KernelConntrack::open().unwrap().settle()).unwrap();
    }

    /// How many datagrams the server got at ports that it does not have.
    pub(super) fn strays(&self) -> u64 {
        let read = || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let counts = self.server.namespace().enter(read).unwrap();
        let mut udp = counts.lines().filter_map(|line| line.strip_prefix("Udp: ")).map(|line| line.split(' '));
        let (names, values) = (udp.next().unwrap(), udp.next().unwrap());
        names.zip(values).find(|(name, _)| *name == "NoPorts").unwrap().1.parse().unwrap()
    }
}

fn addresses(number: u8) -> [IpAddr; 2] {
    [IpAddr::from([10, 1, 0, number]), Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, number.into()).into()]
}

pub(super) fn pod(name: &str, node: &str, number: u8) -> Change {
    labelled_pod(name, name, node, number)
}

/// A pod with another label than its name.
pub(super) fn labelled_pod(name: &str, app: &str, node: &str, number: u8) -> Change {
    Change::Pod(Pod {
        labels: Labels::from_iter([("app", app)]),
        node: Some(node.into()),
        ..bare_pod(NamespacedName::new(NAMESPACE, name), addresses(number))
    })
}

pub(super) fn pod_gone(name: &str) -> Change {
    Change::PodGone(NamespacedName::new(NAMESPACE, name))
}

/// Nobody but these rules say may reach pod `of`.
pub(super) fn ingress(of: &str, rules: Vec<Rule>) -> Change {
    Change::Policy(Policy {
        id: id("ingress", of),
        enforcement: Enforcement::Enforced,
        selector: app(of),
        ingress: Some(rules),
        egress: None,
    })
}

/// Pod `of` may reach nobody but those that these rules say.
pub(super) fn egress(of: &str, rules: Vec<Rule>) -> Change {
    Change::Policy(Policy {
        id: id("egress", of),
        enforcement: Enforcement::Enforced,
        selector: app(of),
        ingress: None,
        egress: Some(rules),
    })
}

/// As if there had never been such a policy.
pub(super) fn free(direction: &str, of: &str) -> Change {
    Change::PolicyGone(id(direction, of))
}

/// Everyone, at any port.
pub(super) fn everything() -> Rule {
    Rule { peers: Peers::All, ports: Ports::All }
}

/// These pods, at any port.
pub(super) fn pods(names: &[&str]) -> Rule {
    let group =
        |name: &&str| Peer::Pods(PodGroup { namespaces: NamespaceScope::Named(NAMESPACE.into()), pods: app(name) });
    Rule { peers: Peers::AnyOf(names.iter().map(group).collect()), ports: Ports::All }
}

/// The namespace of all pods, of this team.
pub(super) fn team(name: &str) -> Change {
    Change::Namespace(Namespace { name: NAMESPACE.into(), labels: Labels::from_iter([("team", name)]) })
}

/// The pods `app` of the teams of this name, at any port.
pub(super) fn pods_of_team(app_name: &str, team: &str) -> Rule {
    let namespaces = NamespaceScope::Matching(Requirement::new("team", "In", [team]).into_iter().collect());
    let group = Peer::Pods(PodGroup { namespaces, pods: app(app_name) });
    Rule { peers: Peers::AnyOf(vec![group]), ports: Ports::All }
}

/// Everybody, at this port.
pub(super) fn port(protocol: Protocol, port: u16) -> Rule {
    let ports = PortMatch::Numbers { protocol, ports: PortRange::single(port) };
    Rule { peers: Peers::All, ports: Ports::AnyOf(vec![ports]) }
}

fn id(direction: &str, of: &str) -> NamespacedName {
    NamespacedName::new(NAMESPACE, format!("{direction}-{of}"))
}

fn app(name: &str) -> Selector {
    Requirement::new("app", "In", [name]).into_iter().collect()
}
