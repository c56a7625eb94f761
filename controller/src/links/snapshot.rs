//! From what the kernel has to what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::far::Answer;
use super::link::{Kind, Link};
use super::route::{Key, Lead};
use super::table::Table;
use super::{NodeLinks, PodBridge, Port, Tunnels};

/// How pods hang on a node. `answers`: what the other ends of ports have, by the ports' indexes.
pub(super) fn snapshot(table: &Table, answers: &BTreeMap<u32, Answer>) -> NodeLinks {
    let alone: BTreeSet<u32> =
        table.links.iter().filter(|(index, link)| is_alone(table, **index, link)).map(|(index, _)| *index).collect();
    let bridges = bridges(table, answers);
    let is_up = |lead: &Lead| table.links.get(&lead.link).is_some_and(|link| link.up);
    let is_pods = |lead: &Lead| alone.contains(&lead.link) || bridges.contains_key(&lead.link);
    let name = |index: &u32| table.links.get(index).map(|link| link.name.clone());
    NodeLinks {
        pods: alone.iter().filter_map(name).collect(),
        routes: routes(table, |lead| is_pods(lead) && is_up(lead)),
        tunnels: tunnels(table),
        bridges: bridges.into_iter().filter_map(|(index, bridge)| Some((name(&index)?, bridge))).collect(),
    }
}

/// Whether a link is a pod's alone.
fn is_alone(table: &Table, index: u32, link: &Link) -> bool {
    let stands_alone = match link.master.map(|master| table.links.get(&master)) {
        None => true,
        Some(master) => master.is_some_and(|master| master.kind == Kind::Vrf),
    };
    link.far().is_some() && link.is_printable() && stands_alone && !table.routes.is_uplink(index)
}

fn bridges(table: &Table, answers: &BTreeMap<u32, Answer>) -> BTreeMap<u32, PodBridge> {
    let gateways: BTreeSet<(u32, IpAddr)> =
        table.routes.leads().filter_map(|(_, lead)| Some((lead.link, lead.gateway?))).collect();
    let mut bridges: BTreeMap<u32, PodBridge> = BTreeMap::new();
    for (index, _) in table.ports() {
        let Some(link) = table.links.get(&index).filter(|link| link.is_printable()) else { continue };
        let Some(bridge) = link.master.filter(|bridge| table.links.get(bridge).is_some_and(Link::is_printable)) else {
            continue;
        };
        let Answer { addresses, mac } = answers.get(&index).cloned().unwrap_or_default();
        let forwards = addresses.iter().flatten().any(|address| gateways.contains(&(bridge, *address)));
        bridges.entry(bridge).or_default().ports.insert(link.name.clone(), Port { addresses, mac, forwards });
    }
    bridges
}

/// The direct ways that `leads_to_pods` says lead there.
fn routes(table: &Table, leads_to_pods: impl Fn(&Lead) -> bool) -> Vec<(IpNet, String)> {
    let is_direct = |(key, lead): &(&Key, &Lead)| lead.gateway.is_none() && !key.is_local() && leads_to_pods(lead);
    let mut best = None;
    let routes: BTreeSet<(IpNet, String)> = table
        .routes
        .leads()
        .filter(|(key, _)| {
            // Sorted by table, destination and metric: the first is preferred.
            let is_best = best.is_none_or(|best: Key| !best.is_preferred_to(key));
            best = if is_best { Some(**key) } else { best };
            is_best
        })
        .filter(is_direct)
        .filter_map(|(key, lead)| Some((key.to.trunc(), table.links.get(&lead.link)?.name.clone())))
        .collect();
    routes.into_iter().collect()
}

fn tunnels(table: &Table) -> Tunnels {
    let mut tunnels = Tunnels::default();
    for link in table.links.values().filter(|link| link.up) {
        match &link.kind {
            Kind::UdpTunnel(port) => tunnels.udp_ports.extend(port),
            Kind::IpTunnel(protocols) => tunnels.protocols.extend(*protocols),
            Kind::Veth(_) | Kind::Bridge | Kind::Vrf => continue,
        }
        if link.is_printable() {
            tunnels.links.insert(link.name.clone());
        }
    }
    tunnels
}
