//! What the kernel of a pod counts.

use std::process::Command;

use serde_json::Value;

use super::{TrafficError, address};
use crate::netns::{Host, Namespace};
use crate::probe::Family;

/// What one pod has sent to another, and what has arrived there, of all protocols.
#[derive(Debug)]
pub(super) struct Way {
    name: String,
    from: Namespace,
    to: Namespace,
}

impl Way {
    /// Counts from now on.
    pub(super) fn counted(name: &str, from: &Host, to: &Host) -> Result<Self, TrafficError> {
        let ends = both_families(|ip, family| {
            format!("{ip} saddr {} {ip} daddr {} counter name {name};", address(from, family), address(to, family))
        });
        for (host, kind, hook) in [(from, "sent", "postrouting"), (to, "arrived", "prerouting")] {
            // Traffic may have been here before.
            let table = format!("inet {kind}_{name}");
            let chain = format!("chain counting {{ type filter hook {hook} priority -400; {ends} }}");
            host.namespace().nft(&format!(
                "add table {table}; delete table {table}; table {table} {{ counter {name} {{}}; {chain}; }}"
            ))?;
        }
        let namespaces = (from.namespace().try_clone()?, to.namespace().try_clone()?);
        Ok(Self { name: name.to_owned(), from: namespaces.0, to: namespaces.1 })
    }

    /// How many packets were sent.
    pub(super) fn sent(&self) -> Result<u64, TrafficError> {
        self.count(&self.from, "sent")
    }

    /// How many packets arrived.
    pub(super) fn arrived(&self) -> Result<u64, TrafficError> {
        self.count(&self.to, "arrived")
    }

    fn count(&self, at: &Namespace, kind: &str) -> Result<u64, TrafficError> {
        let table = format!("{kind}_{}", self.name);
        let list = ["-j", "list", "counter", "inet", &table, &self.name];
        let output = at.run(Command::new("nft").args(list), "")?;
        packets(&output.stdout).ok_or(TrafficError::NoCount(table))
    }
}

fn packets(listing: &[u8]) -> Option<u64> {
    let listing: Value = serde_json::from_slice(listing).ok()?;
    let mut objects = listing["nftables"].as_array()?.iter();
    objects.find_map(|object| object["counter"]["packets"].as_u64())
}

fn both_families(rules: impl Fn(&str, Family) -> String) -> String {
    rules("ip", Family::Ipv4) + " " + &rules("ip6", Family::Ipv6)
}
