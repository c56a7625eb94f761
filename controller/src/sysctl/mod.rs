//! Kernel parameters without which a node does not forward what pods send, or forwards it past its policies.
//!
//! Invariants:
//! - What is needed is a function of what was seen ([`unmet`]); seeing and setting are apart from it.
//! - Nothing is set without being told to (`--set-sysctls`), nothing is set to anything but 1, and nothing is set that
//!   this node does not need.
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

/// A parameter, by what it does. Each is on (not 0) or off (0).
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
}

/// A parameter that is not as this node needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// Which.
    #[serde(serialize_with = "name")]
    pub sysctl: Sysctl,
    /// Whether the kernel has it: the bridges' are there only while `br_netfilter` is loaded.
    pub exists: bool,
    /// The bridges whose pods reach each other past their policies; none where it is not about bridges.
    pub bridges: BTreeSet<String>,
}

impl Sysctl {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ForwardIpv4, Self::ForwardIpv6, Self::BridgeIpv4, Self::BridgeIpv6];

    /// As `sysctl` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForwardIpv4 => "net.ipv4.ip_forward",
            Self::ForwardIpv6 => "net.ipv6.conf.all.forwarding",
            Self::BridgeIpv4 => "net.bridge.bridge-nf-call-iptables",
            Self::BridgeIpv6 => "net.bridge.bridge-nf-call-ip6tables",
        }
    }

    /// Its file below `/proc/sys`, or where that is mounted.
    fn path(self, proc_sys: &Path) -> std::path::PathBuf {
        proc_sys.join(self.name().replace('.', "/"))
    }

    fn family(self) -> Family {
        match self {
            Self::ForwardIpv4 | Self::BridgeIpv4 => Family::Ipv4,
            Self::ForwardIpv6 | Self::BridgeIpv6 => Family::Ipv6,
        }
    }
}

/// What this node needs and does not have.
pub fn unmet(seen: &Seen) -> Vec<Unmet> {
    let off = Sysctl::ALL.into_iter().filter(|sysctl| seen.sysctls.get(sysctl) != Some(&true));
    off.filter_map(|sysctl| {
        let bridges = match sysctl {
            Sysctl::ForwardIpv4 | Sysctl::ForwardIpv6 => BTreeSet::new(),
            Sysctl::BridgeIpv4 | Sysctl::BridgeIpv6 => seen.links.bridges_past_netfilter(sysctl.family()),
        };
        let exists = seen.sysctls.contains_key(&sysctl);
        let is_needed = match sysctl {
            // A kernel without IPv6 has nothing to forward.
            Sysctl::ForwardIpv4 | Sysctl::ForwardIpv6 => exists && seen.links.routed.contains(&sysctl.family()),
            Sysctl::BridgeIpv4 | Sysctl::BridgeIpv6 => !bridges.is_empty(),
        };
        is_needed.then_some(Unmet { sysctl, exists, bridges })
    })
    .collect()
}

impl Unmet {
    /// Whether policies are not enforced because of it. Otherwise pods only reach less.
    pub fn opens(&self) -> bool {
        !self.bridges.is_empty()
    }
}

/// What is wrong, what follows, and what to do.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.sysctl.name();
        let family = match self.sysctl.family() {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        if !self.opens() {
            return write!(f, "{name} is 0: this node forwards no {family} packets of pods; set it to 1");
        }
        let bridges = self.bridges.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let what = format!("NetworkPolicy is NOT enforced on {family} packets between pods on one bridge ({bridges})");
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
