//! Each dropped packet is counted once, whatever becomes of the chains meanwhile.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use palisade::enforcer::Enforcer;
use palisade::render::{Logs, TABLE};
use palisade_integration::netns::{Host, Network, Place};
use palisade_model::testing::bare_pod;
use palisade_model::{Change, Enforcement, Labels, NamespacedName, Pod, Policy, Requirement, Selector};
use palisade_nft::{Kernel, Name, Ownership};

const PORT: u16 = 7000;
/// Nobody reads this group: what is logged there goes nowhere.
const GROUP: u16 = 11;

/// A server behind the node, and a client outside, which may not reach it.
struct World {
    network: Network,
    server: Host,
    client: Host,
}

impl World {
    fn new() -> Self {
        let mut network = Network::new(1).unwrap();
        let server = network.attach_one(Place::Behind(0), &["10.1.0.1".parse::<IpAddr>().unwrap()]).unwrap();
        let client = network.attach_one(Place::External, &["192.0.2.1".parse::<IpAddr>().unwrap()]).unwrap();
        // What is to be counted, counted by somebody else.
        let tally =
            "table inet tally { chain forward { type filter hook forward priority -300; udp dport 7000 counter\n}\n}\n";
        network.nodes()[0].namespace().nft(tally).unwrap();
        Self { network, server, client }
    }

    fn enforcer(&self, ownership: Ownership) -> Enforcer<Kernel> {
        let node = &self.network.nodes()[0];
        let table = Name::new(TABLE).unwrap();
        let kernel = node.namespace().enter(|| Kernel::open(table.clone(), ownership).unwrap()).unwrap();
        let mut enforcer = Enforcer::new(node.name(), table, kernel).with_logs(Logs(Some(GROUP)));
        let server = bare_pod(NamespacedName::new("shop", "server"), self.server.addresses().iter().copied());
        let labels = Labels::from_iter([("app", "server")]);
        enforcer.apply(Change::Pod(Pod { labels, node: Some(node.name().into()), ..server }));
        enforcer.apply(isolating("always"));
        enforcer
    }

    fn commit(&self, enforcer: &mut Enforcer<Kernel>) {
        self.network.nodes()[0].namespace().enter(|| enforcer.commit().unwrap()).unwrap();
    }

    /// What our counters say, and what the tally says.
    fn counts(&self) -> (u64, u64) {
        let namespace = self.network.nodes()[0].namespace();
        let read = || Kernel::open(Name::new(TABLE).unwrap(), Ownership::Plain).unwrap().named_counters().unwrap();
        let counters = namespace.enter(read).unwrap();
        let dropped = counters.iter().filter(|(name, _)| name.as_str().starts_with("dropped-ingress-"));
        let dropped = dropped.map(|(_, counter)| counter.packets).sum();
        let tally = || Kernel::open(Name::new("tally").unwrap(), Ownership::Plain).unwrap().counters().unwrap();
        let tally = namespace.enter(tally).unwrap().values().map(|counter| counter.packets).sum();
        (dropped, tally)
    }
}

/// Nobody reaches the server.
fn isolating(name: &str) -> Change {
    Change::Policy(Policy {
        id: id(name),
        selector: Selector::from_iter([Requirement::new("app", "In", ["server"]).unwrap()]),
        ingress: Some(Vec::new()),
        egress: None,
        enforcement: Enforcement::Enforced,
    })
}

fn id(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// Sends datagrams to the server while `work` goes on.
fn while_packets_come(world: &World, work: impl FnOnce()) {
    let going = AtomicBool::new(true);
    let to = SocketAddr::new(world.server.addresses()[0], PORT);
    thread::scope(|threads| {
        threads.spawn(|| {
            let send = || {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                while going.load(Ordering::Relaxed) {
                    socket.send_to(b"nobody will read this", to).unwrap();
                    thread::sleep(Duration::from_micros(100));
                }
            };
            world.client.namespace().enter(send).unwrap();
        });
        work();
        going.store(false, Ordering::Relaxed);
    });
}

#[test]
fn through_a_thousand_rewrites_of_the_chain_restarts_and_upgrades() {
    let world = World::new();
    let mut enforcer = world.enforcer(Ownership::Take);
    world.commit(&mut enforcer);
    while_packets_come(&world, || {
        for round in 0..1000 {
            // Another combination of policies: the pod's chain is written anew.
            enforcer.apply(if round % 2 == 0 { isolating("also") } else { Change::PolicyGone(id("also")) });
            world.commit(&mut enforcer);
            if round % 250 == 249 {
                enforcer = world.enforcer(Ownership::Take);
                world.commit(&mut enforcer);
            }
        }
        // As another version has left it: with another layout, and pods' chains of other names.
        let of_layout = |name: &&Name| name.as_str().starts_with("layout-") || name.as_str().starts_with("pod-");
        let names: Vec<Name> = enforcer.desired().chains.keys().filter(of_layout).cloned().collect();
        assert_eq!(names.len(), 2);
        drop(enforcer);
        for name in names {
            let rename = format!("rename chain inet {TABLE} {name} older-{name}");
            world.network.nodes()[0].namespace().nft(&rename).unwrap();
        }
        let mut enforcer = world.enforcer(Ownership::Take);
        world.commit(&mut enforcer);
    });
    let (dropped, tally) = world.counts();
    assert!(tally > 100, "{tally}");
    assert_eq!(dropped, tally);
}
