//! The answer about one connection.

use std::collections::BTreeSet;
use std::net::IpAddr;

use palisade_model::reference::{Cluster, Flow, Pass, Verdict};
use palisade_model::{Direction, Traffic};
use serde::Serialize;

use super::change::Change;
use super::closing::Closings;
use super::hints::{hints, tied};
use super::judgement::Judgement;
use super::remembered::{Asked, Remembered, remembered};
use crate::cli::ExplainArgs;

pub(super) const LOOPBACK: &str = "loopback";
pub(super) const OWN_NODE: &str = "own node";

/// The JSON form.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    pub(super) allowed: bool,
    pub(super) from: End,
    pub(super) to: End,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// What the two are to each other, where NetworkPolicy allows that without a rule: `loopback` or `own node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'static str>,
    egress: Judgement,
    ingress: Judgement,
    /// What would make it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    /// When such connections were dropped, as far as the agent of this machine remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
    /// What one may want to know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hints: Vec<String>,
    #[serde(skip)]
    flow: Flow,
}

/// One end.
#[derive(Debug, Serialize)]
pub(super) struct End {
    pub(super) address: IpAddr,
    /// `namespace/name`, where the address is a pod's.
    pub(super) pod: Option<String>,
}

impl Explanation {
    /// `hints`: what is to be known of the ends besides.
    pub(super) fn new(
        cluster: &mut Cluster,
        closings: &mut Closings<'_>,
        flow: Flow,
        others: impl Iterator<Item = String>,
    ) -> Self {
        let Verdict { allowed, pass, egress, ingress } = closings.verdict(cluster, &flow);
        let cluster = &*cluster;
        let end = |address| End { address, pod: cluster.owner(address).map(|pod| pod.id.to_string()) };
        let (protocol, port) = match flow.traffic {
            Traffic::Port { protocol, port } => (protocol.to_string(), Some(port)),
            Traffic::Other(_) => ("ICMP".to_owned(), None),
        };
        let tied: BTreeSet<String> =
            [&egress, &ingress].into_iter().flat_map(|of| &of.tiers).flat_map(|tier| tied(cluster, tier)).collect();
        Self {
            allowed,
            from: end(flow.source),
            to: end(flow.destination),
            protocol,
            port,
            pass: pass.map(|pass| match pass {
                Pass::Loopback => LOOPBACK,
                Pass::OwnNode => OWN_NODE,
            }),
            egress: Judgement::new(cluster, Direction::Egress, &flow, egress),
            ingress: Judgement::new(cluster, Direction::Ingress, &flow, ingress),
            change: None,
            remembered: None,
            hints: hints(cluster, flow.source, flow.destination).into_iter().chain(tied).chain(others).collect(),
            flow,
        }
    }

    /// Adds what would make it otherwise: where it is denied, or where that is asked for.
    pub(super) fn look_for_change(&mut self, cluster: &Cluster, args: &ExplainArgs) {
        if !self.allowed || args.patch {
            self.change = Some(Change::new(cluster, &self.flow, self.allowed));
        }
    }

    /// What is behind it does not depend on that: where it is not known, there is a hint.
    pub(super) fn remember(&mut self, args: &ExplainArgs) {
        let (source, destination) = (self.from.address, self.to.address);
        let asked = Asked { source, destination, protocol: &self.protocol, port: self.port };
        match remembered(args, asked) {
            Ok(remembered) => self.remembered = remembered,
            Err(error) => self.hints.push(format!("it is not known whether such packets were dropped: {error}")),
        }
    }

    /// For a person; `change`: with what would make it otherwise.
    pub(super) fn text(&self, all: bool, change: bool) -> String {
        let port = self.port.map(|port| format!(" port {port}")).unwrap_or_default();
        let verdict = if self.allowed { "allowed" } else { "DENIED" };
        let mut text = format!("{verdict}: {} -> {} {}{port}\n", self.from.text(), self.to.text(), self.protocol);
        text += &self.egress.lines(Direction::Egress, &self.from, self.pass, all);
        text += &self.ingress.lines(Direction::Ingress, &self.to, self.pass, all);
        text.extend(self.change.iter().filter(|_| change).map(Change::text));
        text.extend(self.remembered.iter().map(Remembered::text));
        text.extend(self.hints.iter().map(|hint| format!("  hint: {hint}\n")));
        text
    }

    /// What would make it otherwise, for a person.
    pub(super) fn change_text(&self) -> Option<String> {
        self.change.as_ref().map(Change::text)
    }
}

impl End {
    pub(super) fn text(&self) -> String {
        match &self.pod {
            Some(pod) => format!("{pod} ({})", self.address),
            None => self.address.to_string(),
        }
    }
}
