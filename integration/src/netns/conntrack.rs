//! How long conntrack remembers conversations in the namespaces that forward.

use std::path::{Path, PathBuf};

use super::{Namespace, NetnsError};

/// Longer than any machine is so busy that a conversation pauses (s). The kernel forgets some after 3 s of silence.
const PATIENCE: &str = "86400";

/// Timeouts of what goes on. What has ended is forgotten as soon as ever.
const TIMEOUTS: [&str; 16] = [
    "generic_timeout",
    "icmp_timeout",
    "icmpv6_timeout",
    "sctp_timeout_cookie_echoed",
    "sctp_timeout_cookie_wait",
    "sctp_timeout_established",
    "sctp_timeout_heartbeat_sent",
    "tcp_timeout_established",
    "tcp_timeout_max_retrans",
    "tcp_timeout_syn_recv",
    "tcp_timeout_syn_sent",
    "tcp_timeout_unacknowledged",
    "udp_timeout",
    "udp_timeout_stream",
    "gre_timeout",
    "gre_timeout_stream",
];

/// Makes `namespace` remember every conversation for as long as a test lasts, however slow the machine is. A kernel
/// without conntrack, or without conntrack for a protocol, remembers nothing anyway.
pub(super) fn remember(namespace: &Namespace) -> Result<(), NetnsError> {
    let names = TIMEOUTS.map(|name| format!("net.netfilter.nf_conntrack_{name}"));
    let exists = |name: &&String| path(name).exists();
    let known: Vec<&String> = namespace.enter(|| names.iter().filter(exists).collect())?;
    let settings: Vec<_> = known.into_iter().map(|name| (name.as_str(), PATIENCE)).collect();
    namespace.sysctl(&settings)
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Network;

    #[test]
    fn what_forwards_forgets_no_conversation() {
        let network = Network::new(2).unwrap();
        let nodes = network.nodes().iter().map(|node| node.namespace());
        for namespace in nodes.chain([network.underlay()]) {
            for name in ["udp_timeout", "udp_timeout_stream", "icmp_timeout", "tcp_timeout_syn_sent", "generic_timeout"]
            {
                let path = path(&format!("net.netfilter.nf_conntrack_{name}"));
                let held = namespace.enter(|| std::fs::read_to_string(path)).unwrap().unwrap();
                assert_eq!(held.trim(), PATIENCE, "{name}");
            }
        }
    }
}
