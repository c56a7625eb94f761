//! Ends that need not exist: pods of which only the namespace and the labels are given.

use std::net::IpAddr;

use anyhow::Context;
use palisade_model::reference::Cluster;
use palisade_model::{Direction, Labels, NamespacedName};

use super::ends::{End, addresses};
use crate::cli::ExplainArgs;
use crate::manifests::Besides;
use crate::verify::{Situation, imagined};

/// The pods that were added.
#[derive(Debug, Default)]
pub(super) struct Imagined {
    from: Option<(NamespacedName, Vec<IpAddr>)>,
    to: Option<(NamespacedName, Vec<IpAddr>)>,
}

/// Adds those that are asked about to the cluster, at addresses such as its pods have.
pub(super) fn add(cluster: &mut Cluster, given: &[Option<End>; 2], args: &ExplainArgs) -> anyhow::Result<Imagined> {
    let mut added = Imagined::default();
    if args.from_namespace.is_none() && args.to_namespace.is_none() {
        return Ok(added);
    }
    let situation = Situation::new(cluster.clone(), Besides::default(), false);
    let mut taken: Vec<IpAddr> = given.iter().flatten().filter_map(address_of).collect();
    let mut one = |namespace: &Option<String>, labels: &[(String, String)], end: &str| {
        let Some(namespace) = namespace else { return Ok(None) };
        let labels: Labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut pod = situation.imagine(&imagined(namespace, &labels, &[]), &taken);
        pod.id.name = format!("{}{end}", pod.id.name).into();
        let added = (pod.id.clone(), pod.ips.clone());
        taken.extend(&pod.ips);
        cluster.pods.insert(pod.id.clone(), pod);
        anyhow::Ok(Some(added))
    };
    added.from = one(&args.from_namespace, &args.from_labels, "")?;
    // The same labels twice are two pods.
    added.to = one(&args.to_namespace, &args.to_labels, if added.from.is_some() { " at the other end" } else { "" })?;
    Ok(added)
}

fn address_of(end: &End) -> Option<IpAddr> {
    match end {
        End::Address(address) => Some(*address),
        End::Pod(_) | End::Service(_) => None,
    }
}

impl Imagined {
    /// The addresses of an end: of the one that opens the connection, seen as egress, or of the other.
    pub(super) fn end(
        &self,
        cluster: &Cluster,
        given: Option<&End>,
        direction: Direction,
    ) -> anyhow::Result<Vec<IpAddr>> {
        let imagined = match direction {
            Direction::Egress => &self.from,
            Direction::Ingress => &self.to,
        };
        match (imagined, given) {
            (Some((_, addresses)), _) => Ok(addresses.clone()),
            (None, Some(end)) => addresses(cluster, end),
            (None, None) => None.context("is missing"),
        }
    }

    /// What is to be known of them.
    pub(super) fn hints(&self) -> impl Iterator<Item = String> {
        let all = [&self.from, &self.to].into_iter().flatten();
        all.map(|(id, addresses)| {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!(
                "{id} need not exist: it is asked about at {}, an address such as pods have",
                addresses.join(" and ")
            )
        })
    }
}
