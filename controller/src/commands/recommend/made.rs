//! What policies are made from: recorded flows and wishes, as one.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use jiff::Timestamp;
use palisade_model::recommend::{End, Wish};
use palisade_model::{NamespacedName, PortRange, Protocol, Traffic};

use super::known::Known;
use crate::cli::{WrittenEnd, WrittenPorts, WrittenWish};
use crate::flows::{IpProtocol, OpenConnections, RecordedEnd, RecordedFlow};

/// What is to pass, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// By what it is.
    pub(super) wishes: BTreeMap<Wish, Seen>,
    /// Flows that no policy can say.
    pub(super) told: BTreeMap<(String, &'static str), Seen>,
}

/// How often it was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// How many connections were recorded.
    pub(super) connections: u64,
    /// When the last one was.
    pub(super) last: Option<Timestamp>,
    /// Whether it was wished.
    pub(super) wished: bool,
}

impl Seen {
    fn add(&mut self, connections: u64, last: Timestamp) {
        self.connections = self.connections.saturating_add(connections);
        self.last = self.last.max(Some(last));
    }
}

impl Made {
    /// Takes in what was recorded.
    pub(super) fn add_flow(&mut self, flow: &RecordedFlow, known: &Known) {
        if flow.source.pod.is_some() && flow.source.address == flow.destination.address {
            return;
        }
        let ends = known.end(&flow.source).and_then(|from| Ok((from, known.end(&flow.destination)?)));
        let seen = self.seen(ends, flow.traffic(), || {
            format!("{} -> {} {}", name(&flow.source), name(&flow.destination), carried(flow.protocol, flow.port))
        });
        seen.add(flow.connections, flow.last);
    }

    /// Takes in what is connected `now`.
    pub(super) fn add_open(&mut self, open: &OpenConnections, known: &Known, now: Timestamp) {
        let OpenConnections { source, destination, protocol, port, .. } = open;
        if source == destination {
            return;
        }
        let ends = known.now(*source).and_then(|from| Ok((from, known.now(*destination)?)));
        let seen =
            self.seen(ends, open.traffic(), || format!("{source} -> {destination} {}", carried(*protocol, *port)));
        seen.add(open.connections, now);
    }

    /// What is known of a flow between these ends, or of what `text` says, where no policy can.
    fn seen(
        &mut self,
        ends: Result<(End, End), &'static str>,
        traffic: Traffic,
        text: impl FnOnce() -> String,
    ) -> &mut Seen {
        match ends.and_then(|(from, to)| wish(from, to, traffic)) {
            Ok(wish) => self.wishes.entry(wish).or_default(),
            Err(why) => self.told.entry((text(), why)).or_default(),
        }
    }

    /// Takes in what somebody writes; `namespace` is that of ends that name none.
    ///
    /// # Errors
    /// Where it names what is not there.
    pub(super) fn add_written(
        &mut self,
        written: &WrittenWish,
        namespace: Option<&str>,
        known: &Known,
    ) -> anyhow::Result<()> {
        let [from, to] = [&written.from, &written.to];
        let context = || format!("--allow {from} -> {to}");
        let end = |written| end(written, namespace, known).map_err(anyhow::Error::msg).with_context(context);
        let (from, to) = (end(from)?, end(to)?);
        if matches!((&from, &to), (End::Network(_), End::Network(_))) {
            bail!("--allow {from} -> {to}: neither is a pod, so that no policy is about it");
        }
        for (protocol, ports) in &written.ports {
            for ports in numbers(ports, *protocol, &to, known).map_err(anyhow::Error::msg).with_context(context)? {
                let wish = Wish { from: from.clone(), to: to.clone(), protocol: *protocol, ports };
                self.wishes.entry(wish).or_default().wished = true;
            }
        }
        Ok(())
    }
}

fn wish(from: End, to: End, traffic: Traffic) -> Result<Wish, &'static str> {
    let Traffic::Port { protocol, port } = traffic else {
        return Err("policies speak of ports of TCP, UDP and SCTP alone");
    };
    if port == 0 {
        return Err("no policy can name port 0");
    }
    if matches!((&from, &to), (End::Network(_), End::Network(_))) {
        return Err("neither end is a pod");
    }
    Ok(Wish { from, to, protocol, ports: PortRange::single(port) })
}

fn carried(protocol: IpProtocol, port: Option<u16>) -> String {
    port.map_or_else(|| protocol.to_string(), |port| format!("{protocol} {port}"))
}

fn name(end: &RecordedEnd) -> String {
    match (&end.pod, &end.node) {
        (Some(pod), _) => format!("{}/{}", pod.namespace, pod.workload),
        (None, Some(node)) => format!("node {node} ({})", end.address),
        (None, None) => end.address.to_string(),
    }
}

fn end(written: &WrittenEnd, namespace: Option<&str>, known: &Known) -> Result<End, String> {
    match written {
        WrittenEnd::Network(net) if net.prefix_len() == net.max_prefix_len() => known.address(net.addr()),
        WrittenEnd::Network(net) => Ok(End::Network(*net)),
        WrittenEnd::Workload(of, name) => match of.as_deref().or(namespace) {
            Some(namespace) => known.workload(NamespacedName::new(namespace, name.as_str())),
            None => Err(format!("{name} is in no namespace: write NAMESPACE/{name}, or give one -n")),
        },
    }
}

fn numbers(written: &WrittenPorts, protocol: Protocol, to: &End, known: &Known) -> Result<Vec<PortRange>, String> {
    match (written, to) {
        (WrittenPorts::Numbers(range), _) => Ok(vec![*range]),
        (WrittenPorts::Named(name), End::Workload(id)) => match known.numbers(id, name, protocol) {
            numbers if numbers.is_empty() => Err(format!("{id} declares no {protocol} port {name}")),
            numbers => Ok(numbers.into_iter().map(PortRange::single).collect()),
        },
        (WrittenPorts::Named(name), End::Network(_)) => Err(format!("{to} declares no port {name}: write its number")),
    }
}
