//! Who owns an address that pods claim.

use std::collections::HashMap;
use std::net::IpAddr;

use super::slots::PodId;

/// The claims of pods on addresses. The claimant of the highest rank owns the address, whatever the order of the claims.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    owners: HashMap<IpAddr, PodId>,
    /// The claimants that do not own it, of the few addresses that have several.
    rivals: HashMap<IpAddr, Vec<PodId>>,
}

impl Addresses {
    pub(super) fn owner(&self, address: IpAddr) -> Option<PodId> {
        self.owners.get(&address).copied()
    }

    /// Whether a pod that claims the address owns it.
    pub(super) fn owns(&self, claimant: PodId, address: IpAddr) -> bool {
        self.rivals.get(&address).is_none_or(|rivals| !rivals.contains(&claimant))
    }

    /// The addresses that several pods claim, with who does: the owner first.
    pub(super) fn contested(&self) -> impl Iterator<Item = (IpAddr, impl Iterator<Item = PodId>)> {
        self.rivals
            .iter()
            .map(|(address, rivals)| (*address, self.owners.get(address).into_iter().chain(rivals).copied()))
    }

    /// Enters a claim.
    pub(super) fn claim<R: Ord>(&mut self, address: IpAddr, pod: PodId, rank: impl Fn(PodId) -> R) {
        let Some(owner) = self.owners.get_mut(&address) else {
            self.owners.insert(address, pod);
            return;
        };
        let (winner, loser) = if rank(pod) > rank(*owner) { (pod, *owner) } else { (*owner, pod) };
        *owner = winner;
        self.rivals.entry(address).or_default().push(loser);
    }

    /// Withdraws a claim that was entered before.
    pub(super) fn release<R: Ord>(&mut self, address: IpAddr, pod: PodId, rank: impl Fn(PodId) -> R) {
        let mut rivals = self.rivals.remove(&address).unwrap_or_default();
        rivals.retain(|rival| *rival != pod);
        if self.owner(address) == Some(pod) {
            match rivals.iter().copied().max_by_key(|rival| rank(*rival)) {
                Some(heir) => {
                    self.owners.insert(address, heir);
                    rivals.retain(|rival| *rival != heir);
                }
                None => {
                    self.owners.remove(&address);
                }
            }
        }
        if !rivals.is_empty() {
            self.rivals.insert(address, rivals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slot;
    use super::*;

    #[test]
    fn the_highest_rank_owns_in_any_order() {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let pods = [0, 1, 2].map(PodId::from_index);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut addresses = Addresses::default();
            for at in order {
                addresses.claim(address, pods[at], |pod| pod);
            }
            assert_eq!(addresses.owner(address), Some(pods[2]));
            assert_eq!(pods.map(|pod| addresses.owns(pod, address)), [false, false, true]);
            addresses.release(address, pods[0], |pod| pod);
            assert_eq!(addresses.owner(address), Some(pods[2]));
            addresses.release(address, pods[2], |pod| pod);
            assert_eq!(addresses.owner(address), Some(pods[1]));
            assert!(addresses.owns(pods[1], address));
            addresses.release(address, pods[1], |pod| pod);
            assert!(addresses.owners.is_empty() && addresses.rivals.is_empty());
        }
    }
}
