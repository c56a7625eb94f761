//! The routes that lead over links that may be pods'.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::link::{Kind, Link};
use super::route::{Key, Lead, Route};

/// The links that matter, by index.
pub(super) type Links = BTreeMap<u32, Link>;

/// The routes over veth pairs and bridges. Of those over an uplink only what makes it one: there may be very many others.
#[derive(Debug, Default)]
pub(super) struct Routes {
    leads: BTreeMap<Key, Vec<Lead>>,
    /// How many of them make a link an uplink, by its index.
    evidence: BTreeMap<u32, usize>,
    /// Uplinks over which routes lead that are not kept.
    pruned: BTreeSet<u32>,
    /// Whether the kernel has others, for a reason that it does not tell one by one.
    stale: bool,
}

impl Routes {
    /// A route that there is. `replaces`: in place of one with the same key. Whether that changed anything.
    pub(super) fn add(&mut self, route: &Route, replaces: bool, links: &Links) -> bool {
        let mut changed = replaces && self.remove(&route.key, |_| true, links);
        for lead in &route.leads {
            changed |= self.add_lead(&route.key, lead, links);
        }
        changed
    }

    fn add_lead(&mut self, key: &Key, lead: &Lead, links: &Links) -> bool {
        let Some(over) = links.get(&lead.link).filter(|over| over.may_be_of_pods()) else { return false };
        let is_evidence = is_evidence(over, key, lead);
        if !is_evidence && self.is_uplink(lead.link) {
            self.pruned.insert(lead.link);
            return false;
        }
        let known = self.leads.entry(*key).or_default();
        if known.contains(lead) {
            return false;
        }
        known.push(*lead);
        *self.evidence.entry(lead.link).or_default() += usize::from(is_evidence);
        true
    }

    /// A route that there is no longer. Whether that changed anything.
    pub(super) fn delete(&mut self, route: &Route, links: &Links) -> bool {
        let is_it = |lead: &Lead| route.leads.iter().any(|gone| (lead.link, lead.gateway) == (gone.link, gone.gateway));
        self.remove(&route.key, is_it, links)
    }

    /// This link is gone, and with it the routes over it; IPv4 routes with all their ways.
    pub(super) fn delete_link(&mut self, link: u32) {
        self.leads.retain(|key, leads| {
            let gone = leads.extract_if(.., |lead| lead.link == link).count();
            self.stale |= gone > 0 && !leads.is_empty() && !key.is_ipv6();
            !leads.is_empty()
        });
        self.evidence.remove(&link);
        self.pruned.remove(&link);
    }

    /// This link is down. The routes over it go, but for ways of IPv4 routes that have others: they are dead as long as it
    /// is down.
    pub(super) fn link_down(&mut self, link: u32, links: &Links) {
        let mut many = 0;
        self.leads.retain(|key, leads| {
            let goes = key.is_ipv6() || leads.iter().all(|lead| lead.link == link);
            leads.retain(|lead| !goes || lead.link != link);
            let stays = leads.iter().filter(|lead| lead.link == link);
            many += stays.filter(|lead| links.get(&link).is_some_and(|over| is_evidence(over, key, lead))).count();
            !leads.is_empty()
        });
        let before = self.evidence.insert(link, many);
        self.stale |= many == 0 && before > Some(0) && self.pruned.contains(&link);
    }

    /// The node no longer has this address: the routes from it go without a word.
    pub(super) fn delete_source(&mut self, source: IpAddr) {
        self.stale |= self.leads.values().flatten().any(|lead| lead.source == Some(source));
    }

    /// Forgets what came before it was known that it leads over an uplink.
    pub(super) fn prune(&mut self, links: &Links) {
        let uplinks: BTreeSet<u32> =
            self.evidence.iter().filter(|(_, many)| **many > 0).map(|(link, _)| *link).collect();
        self.leads.retain(|key, leads| {
            let is_evidence = |lead: &Lead| links.get(&lead.link).is_some_and(|over| is_evidence(over, key, lead));
            let gone = leads.extract_if(.., |lead| uplinks.contains(&lead.link) && !is_evidence(lead));
            self.pruned.extend(gone.map(|lead| lead.link));
            !leads.is_empty()
        });
    }

    /// Whether a link leads to what is no pod.
    pub(super) fn is_uplink(&self, link: u32) -> bool {
        self.evidence.get(&link).is_some_and(|count| *count > 0)
    }

    /// Whether they must be listed anew.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// All ways that routes lead.
    pub(super) fn leads(&self) -> impl Iterator<Item = (&Key, &Lead)> {
        self.leads.iter().flat_map(|(key, leads)| leads.iter().map(move |lead| (key, lead)))
    }

    fn remove(&mut self, key: &Key, which: impl Fn(&Lead) -> bool, links: &Links) -> bool {
        let Some(leads) = self.leads.get_mut(key) else { return false };
        let gone: Vec<Lead> = leads.extract_if(.., |lead| which(lead)).collect();
        if leads.is_empty() {
            self.leads.remove(key);
        }
        for lead in gone.iter().filter(|lead| links.get(&lead.link).is_some_and(|over| is_evidence(over, key, lead))) {
            let Some(many) = self.evidence.get_mut(&lead.link) else { continue };
            *many = many.saturating_sub(1);
            self.stale |= *many == 0 && self.pruned.contains(&lead.link);
        }
        !gone.is_empty()
    }
}

/// Whether a way makes its link an uplink: a default route, or, but for bridges, a subnet that the node is in. What a
/// neighbour made the node believe (a router advertisement) does not: a pod can send it.
fn is_evidence(over: &Link, key: &Key, lead: &Lead) -> bool {
    let is_subnet = lead.is_connected && lead.gateway.is_none() && key.is_subnet();
    !lead.is_learned && (key.is_default() || is_subnet && over.kind != Kind::Bridge)
}
