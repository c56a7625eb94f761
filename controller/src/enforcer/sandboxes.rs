//! What the node itself knows of its pods' addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use palisade_model::Sandbox;
use palisade_nft::Backend;

use super::Enforcer;
use crate::render::Origins;

impl<B: Backend> Enforcer<B> {
    /// A pod has these addresses, from the next commit on.
    pub fn set_sandbox(&mut self, sandbox: Sandbox) {
        self.index.set_sandbox(sandbox);
    }

    /// They are nobody's, from the next commit on.
    pub fn drop_sandbox(&mut self, id: &str) {
        self.index.drop_sandbox(id);
    }

    /// The sandboxes whose pods have come to have other labels or ports, since this was last asked.
    pub fn take_changed_sandboxes(&mut self) -> BTreeSet<Arc<str>> {
        self.index.take_changed_sandboxes()
    }

    /// Asks which addresses have connections: of others there is [nothing to forget](Enforcer::forget_connections).
    pub fn look_back(&mut self) {
        self.owners.look_back();
    }

    /// These addresses had no owner that is known of until now: what conntrack may know of them is to be forgotten, and nothing is
    /// let to or from them meanwhile.
    pub fn forget_connections(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        // Without the guard somebody may have begun some in their names later.
        let is_guarded = self.renderer.origins() == Origins::Guarded;
        let may_have_some = |address: &IpAddr| !is_guarded || self.owners.remembers(*address);
        let remembered: Vec<IpAddr> = addresses.into_iter().filter(may_have_some).collect();
        self.owners.forget(remembered, |_| true);
    }

    /// Whether nothing is let to or from one of these addresses, until what an earlier owner of it began is forgotten.
    pub fn is_held(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        addresses.into_iter().any(|address| self.owners.held().contains(&address))
    }

    /// Whether it is known which interfaces these addresses are behind; also where nobody asks.
    pub fn is_located(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        !self.links_known || addresses.into_iter().all(|address| self.renderer.is_located(address))
    }

    /// Has the interfaces of pods looked at again, these first.
    pub fn look_again(&self, links: &[String]) {
        (self.look_again)(links);
    }
}
