//! Kernel parameters without which a node does not forward what pods send, or forwards it past its policies; and those with
//! which it believes whatever pods send, where no guard stands before it.
//!
//! Invariants:
//! - What is needed is a function of what was seen ([`unmet`]); seeing and setting are apart from it.
//! - Nothing is set without being told to (`--set-sysctls`), nothing is set to anything but 1, and nothing is set that
//!   this node does not need, nor anything that is each link's own (`rp_filter`).
//! - A parameter that is not as it should be hinders nothing else: what can be enforced is.

mod check;
mod links;
mod set;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::Serialize;

pub use check::{Check, look};
pub use links::{Bridge, Links};
pub use set::{SetError, set};

/// Where the kernel's parameters are.
pub const PROC_SYS: &str = "/proc/sys";

/// A parameter, by what it does. Each is on (not 0, if nothing else is said) or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sysctl {
    /// The node forwards IPv4 packets.
    ForwardIpv4,
    /// The node forwards IPv6 packets.
    ForwardIpv6,
    /// Bridges hand IPv4 packets to netfilter.
    BridgeIpv4,
    /// Bridges hand IPv6 packets to netfilter.
    BridgeIpv6,
    /// Bridges hand frames with a VLAN tag to netfilter.
    BridgeVlan,
    /// The links of pods take IPv4 packets only from sources that are routed back over them (1, not 2).
    SourceIpv4,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What a node's kernel has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Which parameters are on. Those that the kernel does not have are not in here.
    pub sysctls: BTreeMap<Sysctl, bool>,
    /// Its links.
    pub links: Links,
    /// Whether the guard drops what pods send with a forged source or in a VLAN.
    pub guarded: bool,
}

/// A parameter that is not as this node needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// Which.
    #[serde(serialize_with = "name")]
    pub sysctl: Sysctl,
    /// Whether the kernel has it: the bridges' are there only while `br_netfilter` is loaded.
    pub exists: bool,
    /// The bridges whose pods reach each other past their policies, or can; none where it is not about bridges.
    pub bridges: BTreeSet<String>,
}

impl Sysctl {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::ForwardIpv4, Self::ForwardIpv6, Self::BridgeIpv4, Self::BridgeIpv6, Self::BridgeVlan, Self::SourceIpv4];

    /// As `sysctl` calls it; with a star where each link has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForwardIpv4 => "net.ipv4.ip_forward",
            Self::ForwardIpv6 => "net.ipv6.conf.all.forwarding",
            Self::BridgeIpv4 => "net.bridge.bridge-nf-call-iptables",
            Self::BridgeIpv6 => "net.bridge.bridge-nf-call-ip6tables",
            Self::BridgeVlan => "net.bridge.bridge-nf-filter-vlan-tagged",
            Self::SourceIpv4 => "net.ipv4.conf.*.rp_filter",
        }
    }

    /// Whether it can be set to 1 without further thought. Packets come back another way than they went on some nodes, so
    /// which links are to be strict is the operator's to say.
    const fn may_be_set(self) -> bool {
        !matches!(self, Self::SourceIpv4)
    }

    /// Its file below `/proc/sys`, or where that is mounted.
    fn path(self, proc_sys: &Path) -> std::path::PathBuf {
        proc_sys.join(self.name().replace('.', "/"))
    }

    /// The bridges that it is about, where this node needs it to be on.
    fn need(self, seen: &Seen) -> Option<BTreeSet<String>> {
        let Seen { sysctls, links, guarded } = seen;
        let exists = sysctls.contains_key(&self);
        let for_routes = |family| (exists && links.routed.contains(&family)).then(BTreeSet::new);
        let for_bridges = |bridges: BTreeSet<String>| (!bridges.is_empty()).then_some(bridges);
        match self {
            // A kernel without IPv6 has nothing to forward.
            Self::ForwardIpv4 => for_routes(Family::Ipv4),
            Self::ForwardIpv6 => for_routes(Family::Ipv6),
            Self::BridgeIpv4 => for_bridges(links.bridges_past_netfilter(Family::Ipv4)),
            Self::BridgeIpv6 => for_bridges(links.bridges_past_netfilter(Family::Ipv6)),
            Self::BridgeVlan | Self::SourceIpv4 if *guarded => None,
            // Where it is not there, nothing comes to netfilter: the parameters above say so.
            Self::BridgeVlan => for_bridges(links.bridges.keys().filter(|_| exists).cloned().collect()),
            Self::SourceIpv4 => for_routes(Family::Ipv4),
        }
    }
}

/// What this node needs and does not have.
pub fn unmet(seen: &Seen) -> Vec<Unmet> {
    let off = Sysctl::ALL.into_iter().filter(|sysctl| seen.sysctls.get(sysctl) != Some(&true));
    off.filter_map(|sysctl| {
        let bridges = sysctl.need(seen)?;
        Some(Unmet { sysctl, exists: seen.sysctls.contains_key(&sysctl), bridges })
    })
    .collect()
}

impl Unmet {
    /// Whether policies are not enforced because of it. Otherwise pods only reach less, or are believed what they say of
    /// themselves.
    pub fn opens(&self) -> bool {
        !self.bridges.is_empty()
    }
}

/// What is wrong, what follows, and what to do.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.sysctl.name();
        let bridges = || self.bridges.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let family = match self.sysctl {
            Sysctl::ForwardIpv4 | Sysctl::BridgeIpv4 => "IPv4",
            Sysctl::ForwardIpv6 | Sysctl::BridgeIpv6 => "IPv6",
            Sysctl::BridgeVlan => {
                let what = "NetworkPolicy is NOT enforced on frames with a VLAN tag between pods on one bridge";
                return write!(f, "{name} is 0 and the guard is off: {what} ({}); set it to 1", bridges());
            }
            Sysctl::SourceIpv4 => {
                let what = "pods can send IPv4 packets with others' addresses";
                return write!(
                    f,
                    "{name} is not 1 on all links of pods and the guard is off: {what}; set it to 1 there"
                );
            }
        };
        if !self.opens() {
            return write!(f, "{name} is 0: this node forwards no {family} packets of pods; set it to 1");
        }
        let what =
            format!("NetworkPolicy is NOT enforced on {family} packets between pods on one bridge ({})", bridges());
        if self.exists {
            write!(f, "{name} is 0: {what}; set it to 1")
        } else {
            write!(f, "{name} is not there: {what}; load br_netfilter on the node (modprobe br_netfilter)")
        }
    }
}

fn name<S: serde::Serializer>(sysctl: &Sysctl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(sysctl.name())
}

#[cfg(test)]
mod tests;
