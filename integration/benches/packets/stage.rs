//! A client pod and a server pod behind one node, and what the node enforces.

use std::thread::sleep;
use std::time::Instant;

use palisade::enforcer::Enforcer;
use palisade::links;
use palisade::render::{Epoch, Logs, Origins, PodRange, table_of_frames};
use palisade_integration::netns::{Host, Network, Place, Topology};
use palisade_model::Change;
use palisade_nft::{Backend, Kernel, KernelConntrack, Name, Ownership};

use crate::support::{CLIENT, NODE, SERVER};

/// What goes through where nothing is enforced: connections are tracked, by one rule, as on every node.
pub(crate) const TRACKED: &str =
    "table inet tracked { chain forward { type filter hook forward priority 0; ct state established accept; }; }";

/// What the node enforces.
pub(crate) enum Layout {
    /// A ruleset of no policies.
    Text(String),
    /// What Palisade makes of policies.
    Enforced(Enforced),
}

/// What Palisade enforces, and how.
pub(crate) struct Enforced {
    pub(crate) changes: Vec<Change>,
    pub(crate) origins: Origins,
    /// In an epoch: what was judged is known.
    pub(crate) settled: bool,
    /// An address around the pods' that is no known pod's goes nowhere.
    pub(crate) guards_pod_range: bool,
    /// Nobody reads what is told.
    pub(crate) logs: Logs,
}

impl Enforced {
    /// As an agent has it at once after it started.
    pub(crate) fn of(changes: Vec<Change>) -> Self {
        Self { changes, origins: Origins::Guarded, settled: false, guards_pod_range: false, logs: Logs::STANDARD }
    }
}

impl Layout {
    /// [`Enforced::of`].
    pub(crate) fn policies(changes: Vec<Change>) -> Self {
        Self::Enforced(Enforced::of(changes))
    }
}

pub(crate) struct Stage {
    network: Network,
    pub(crate) client: Host,
    pub(crate) server: Host,
}

impl Stage {
    pub(crate) fn new(topology: Topology, layout: &Layout) -> Self {
        let mut network = Network::new(topology).expect("network namespaces can be made");
        let addresses = [CLIENT, SERVER].map(|address| vec![address.into()]);
        let [client, server] =
            addresses.map(|addresses| network.attach_one(Place::Behind(0), &addresses).expect("a pod can be attached"));
        let node = network.nodes()[0].namespace();
        match layout {
            Layout::Text(text) => node.nft(text).expect("the ruleset loads"),
            Layout::Enforced(enforced) => node.enter(|| enforce(enforced)).expect("the node can be entered"),
        }
        Self { network, client, server }
    }

    /// Whether there are connections with the mark of the epoch: those need not be judged again.
    pub(crate) fn knows_connections(&self) -> bool {
        let known = || {
            let ruleset = kernel().read().expect("the table can be read").expect("there is one");
            let epoch = Epoch::in_force(&ruleset).expect("it is settled");
            let mut conntrack = KernelConntrack::open().expect("conntrack can be used");
            !conntrack.list(epoch.mark()).expect("connections can be listed").is_empty()
        };
        self.network.nodes()[0].namespace().enter(known).expect("the node can be entered")
    }
}

fn kernel() -> Kernel {
    Kernel::open(Name::new("palisade").expect("a name"), Ownership::Plain).expect("nftables can be used")
}

fn frames() -> Kernel {
    Kernel::open(table_of_frames(), Ownership::Plain).expect("nftables can be used")
}

/// Both pods are in it.
const POD_RANGE: &str = "10.0.0.0/24";

fn enforce(enforced: &Enforced) {
    let Enforced { changes, origins, settled, guards_pod_range, logs } = enforced;
    let networks = guards_pod_range.then(|| POD_RANGE.parse().expect("a network"));
    let enforcer = Enforcer::new(NODE, Name::new("palisade").expect("a name"), kernel());
    let mut enforcer = enforcer.with_origins(*origins).with_logs(*logs).with_frames(frames());
    let links = links::read().expect("links can be listed");
    let bridged = !links.bridges.is_empty();
    enforcer.set_links(links);
    changes.iter().cloned().for_each(|change| enforcer.apply(change));
    enforcer.set_pod_range(PodRange::of(networks.as_slice()));
    enforcer.commit().expect("the ruleset is committed").expect("there was something to commit");
    while let Some(due) = enforcer.settle_is_due().filter(|_| *settled) {
        sleep(due.saturating_duration_since(Instant::now()));
        enforcer.settle().expect("an epoch begins");
    }
    if *origins == Origins::Guarded {
        holds(&mut kernel(), &["pod-links", "guarded-4"]);
        if bridged {
            holds(&mut frames(), &["ports", "pod-ports", "bridged-4"]);
        }
    }
}

/// A guard that knows of no pods would be measured in vain.
fn holds(kernel: &mut Kernel, sets: &[&str]) {
    let ruleset = kernel.read().expect("the table can be read").expect("there is one");
    for name in sets {
        let set = &ruleset.sets[&Name::new(*name).expect("a name")];
        assert!(!set.elements.is_empty(), "nothing is in {name}");
    }
}
