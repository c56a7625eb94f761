//! Services as kube-proxy's nftables mode lays them out: DNAT at `dstnat`, masquerade by a packet mark at `srcnat`.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use palisade_integration::netns::Node;

/// Which backends a node port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// `externalTrafficPolicy: Cluster`: all, from the address of the node that took the packet.
    Cluster,
    /// `externalTrafficPolicy: Local`: the node's own, from the client's address.
    Local,
}

/// A Service for TCP and UDP.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Its cluster IPs.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) port: u16,
    pub(crate) node_port: u16,
    pub(crate) traffic: Traffic,
    pub(crate) target_port: u16,
    pub(crate) backends: Vec<Backend>,
}

/// A pod behind a Service.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub(crate) addresses: Vec<IpAddr>,
    /// The number of its node.
    pub(crate) node: usize,
}

/// Puts the services in force on a node.
pub(crate) fn install(number: usize, node: &Node, services: &[Service]) {
    let mut dispatch = String::new();
    let mut chains = String::new();
    for (index, service) in services.iter().enumerate() {
        for is_ipv6 in [false, true] {
            let name = format!("service-{index}-{}", if is_ipv6 { "ip6" } else { "ip" });
            let addresses = |all: &[IpAddr]| all.iter().copied().find(|one| one.is_ipv6() == is_ipv6).unwrap();
            let family = if is_ipv6 { "ip6" } else { "ip" };
            let (vip, own) = (addresses(&service.addresses), addresses(node.addresses()));
            for protocol in ["tcp", "udp"] {
                let rule = |to, port, chain| format!("{family} daddr {to} {protocol} dport {port} goto {chain}\n");
                dispatch += &rule(vip, service.port, name.clone());
                dispatch += &rule(own, service.node_port, format!("external-{name}"));
            }
            let backends: Vec<_> =
                service.backends.iter().map(|backend| (backend.node, addresses(&backend.addresses))).collect();
            service_chains(number, service, &name, &backends, &mut chains);
        }
    }
    let ruleset = format!(
        "table inet kube-proxy {{
            {chains}
            chain services {{ {dispatch} }}
            chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
            chain nat-output {{ type nat hook output priority -100; jump services; }}
            chain nat-postrouting {{
                type nat hook postrouting priority srcnat;
                meta mark & 0x4000 == 0 return
                meta mark set meta mark ^ 0x4000
                masquerade fully-random
            }}
        }}"
    );
    node.namespace().nft(&ruleset).unwrap();
}

/// The chain of the cluster IP, the one of the node port, and one for each backend.
fn service_chains(node: usize, service: &Service, name: &str, backends: &[(usize, IpAddr)], chains: &mut String) {
    for (number, (_, address)) in backends.iter().enumerate() {
        let family = if address.is_ipv6() { "ip6" } else { "ip" };
        let target = SocketAddr::new(*address, service.target_port);
        let _ = writeln!(
            chains,
            "chain {name}-{number} {{
                {family} saddr {address} meta mark set meta mark | 0x4000
                meta l4proto {{ tcp, udp }} dnat {family} to {target}
            }}"
        );
    }
    let pick = |numbers: &[usize]| {
        let elements: Vec<_> =
            numbers.iter().enumerate().map(|(at, number)| format!("{at} : goto {name}-{number}")).collect();
        format!("numgen inc mod {} vmap {{ {} }}", numbers.len(), elements.join(", "))
    };
    let all: Vec<_> = (0..backends.len()).collect();
    let local: Vec<_> = all.iter().copied().filter(|number| backends[*number].0 == node).collect();
    let external = match service.traffic {
        Traffic::Cluster => format!("meta mark set meta mark | 0x4000\n{}", pick(&all)),
        Traffic::Local if local.is_empty() => "drop".to_owned(),
        Traffic::Local => pick(&local),
    };
    let _ = writeln!(chains, "chain {name} {{\n{}\n}}\nchain external-{name} {{\n{external}\n}}", pick(&all));
}
