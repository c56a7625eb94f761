//! A node that is watched.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade::links::{NodeLinks, Nudge, Port, read, watch};
use palisade_integration::netns::Namespace;
use palisade_integration::patience::eventually;

/// A network namespace whose links are watched.
pub(crate) struct World {
    node: Namespace,
    told: Arc<Mutex<Vec<NodeLinks>>>,
    pub(crate) nudge: Nudge,
}

/// A pod; its end of the link is `eth0`.
pub(crate) struct Pod {
    pub(crate) namespace: Namespace,
}

impl World {
    /// An empty node.
    pub(crate) fn new() -> Self {
        Self::of(Namespace::new().unwrap())
    }

    /// An empty node that hears nothing of what happens in the namespaces of pods.
    pub(crate) fn of_the_deaf() -> Self {
        Self::made(Namespace::new().unwrap(), || {
            caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_NET_BROADCAST).unwrap();
        })
    }

    /// This node.
    pub(crate) fn of(node: Namespace) -> Self {
        Self::made(node, || {})
    }

    fn made(node: Namespace, prepare: impl FnOnce() + Send) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = Arc::downgrade(&told);
        let tell = move |links| match teller.upgrade() {
            Some(told) => {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(links);
                true
            }
            None => false,
        };
        let nudge = node
            .enter(|| {
                prepare();
                watch(tell).unwrap()
            })
            .unwrap();
        Self { node, told, nudge }
    }

    /// The node.
    pub(crate) fn node(&self) -> &Namespace {
        &self.node
    }

    /// Changes the node with `ip -batch`.
    pub(crate) fn ip(&self, lines: &str) {
        self.node.ip(&format!("{lines}\n")).unwrap();
    }

    /// What was told last; nothing at first.
    pub(crate) fn last(&self) -> NodeLinks {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).last().cloned().unwrap_or_default()
    }

    /// How often something was told.
    pub(crate) fn told(&self) -> usize {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until what was told last is as `wanted`; that is also what one look gives.
    #[track_caller]
    pub(crate) fn becomes(&self, wanted: impl Fn(&NodeLinks) -> bool) -> NodeLinks {
        let found = || Some(self.last()).filter(|links| wanted(links) && *links == self.look());
        eventually(Duration::from_millis(5), found, || format!("told: {:#?}\nread: {:#?}", self.last(), self.look()))
    }

    /// One look.
    pub(crate) fn look(&self) -> NodeLinks {
        self.node.enter(|| read().unwrap()).unwrap()
    }

    /// A pod on a link of its own, or on a bridge: `more` says what else the link is, such as `master cni0`.
    pub(crate) fn pod(&self, link: &str, more: &str) -> Pod {
        let namespace = Namespace::new().unwrap();
        let path = namespace.path();
        self.ip(&format!(
            "link add {link} type veth peer name eth0 netns {}\nlink set {link} up {more}",
            path.display()
        ));
        namespace.ip("link set eth0 up\n").unwrap();
        Pod { namespace }
    }
}

impl Pod {
    /// Gives it an address.
    pub(crate) fn add(&self, address: &str) {
        self.namespace.ip(&format!("addr add {address} dev eth0 {}\n", nodad(address))).unwrap();
    }
}

fn nodad(address: &str) -> &'static str {
    if address.contains(':') { "nodad" } else { "" }
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// A port of a bridge.
pub(crate) fn port<'a>(links: &'a NodeLinks, bridge: &str, port: &str) -> Option<&'a Port> {
    links.bridges.get(bridge)?.ports.get(port)
}

/// The names in a set, or of a map.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    names.into_iter().map(String::as_str).collect()
}
