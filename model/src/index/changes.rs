//! Taking in changes: what each one makes of classes, addresses, members and of what has to be settled.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::Index;
use super::objects::{Claim, ClassKey, PodRecord};
use super::slots::{ClassId, GroupId, PodId, SetId};
use crate::{Labels, Member, NamespacedName, Pod, Policy};

type Memberships = Vec<(SetId, Member)>;

/// Whose connections those of an address are.
#[derive(PartialEq, Eq)]
pub(super) enum Owner {
    Sandbox(Arc<str>),
    Pod(NamespacedName, i64),
}

impl Index {
    pub(super) fn set_pod(&mut self, id: &NamespacedName, pod: Option<&Pod>) {
        // What a pod of this node claims is not what the API showed, where sandboxes have a say.
        let shown_here = self.bound_pod(id).map(|before| Claim::new(before, &self.node));
        let bound = self.bind(id, pod);
        let old = self.cluster.pod(id);
        let before = shown_here.as_ref().or(old.map(|old| &self.cluster.pods[old].claim));
        let claim = |pod: &Pod| match &bound {
            Some(bound) => self.claim(bound),
            None => Claim::new(pod, &self.node).after(before),
        };
        let new = pod.map(|pod| (ClassKey::new(&pod.labels, &pod.ports), claim(pod)));
        let left = self.left_behind(old, pod);
        for address in new.iter().flat_map(|(_, claim)| &claim.addresses) {
            self.release(*address);
        }
        self.set_claim(id, old, new);
        self.place_sandboxes(id);
        self.linger(id, left.as_ref());
    }

    /// Enters what a pod claims from now on, with its class; or takes it out. `old` is what it was so far.
    pub(super) fn set_claim(&mut self, id: &NamespacedName, old: Option<PodId>, new: Option<(ClassKey, Claim)>) {
        if self.is_known(old, new.as_ref()) {
            return;
        }
        let old_claim = old.map(|pod| &self.cluster.pods[pod].claim);
        let claims = || old_claim.into_iter().chain(new.as_ref().map(|(_, claim)| claim));
        let addresses: BTreeSet<IpAddr> = claims().flat_map(|claim| claim.addresses.iter().copied()).collect();
        if claims().any(|claim| claim.local) {
            self.dirty_pods.insert(id.clone());
        }

        let before = self.standing(&addresses, |owned| owned - 1);
        let owners: Vec<_> = addresses.iter().map(|address| self.owner(*address)).collect();
        self.replace_pod(id, old, new);
        let after = self.standing(&addresses, |owned| owned + 1);
        for (address, owner) in addresses.iter().zip(owners) {
            match (owner, self.owner(*address)) {
                (None, Some(_)) => self.owned.push(*address),
                (Some(before), after) if after.as_ref() != Some(&before) => drop(self.disowned.insert(*address)),
                _ => {}
            }
        }
        for (before, after) in before.iter().zip(&after) {
            self.note_moves(before, after);
        }
    }

    pub(super) fn set_namespace(&mut self, name: &Arc<str>, labels: Option<Labels>) {
        let space = match (self.cluster.space(name), &labels) {
            (None, None) => return,
            (Some(space), _) => space,
            (None, Some(_)) => self.cluster.space_or_new(name),
        };
        let classes: Vec<ClassId> = self.cluster.spaces[space].classes.values().copied().collect();
        let counted: Vec<_> = classes.iter().map(|class| self.counted_groups(*class)).collect();
        if self.cluster.relabel(space, labels) {
            for (class, counted) in classes.iter().zip(counted) {
                self.regroup(*class, &counted);
            }
            self.place_again(&classes);
        }
        self.cluster.retire_space(space);
    }

    pub(super) fn set_policy(&mut self, id: &NamespacedName, policy: Option<Policy>) {
        let space = match (self.cluster.space(&id.namespace), &policy) {
            (None, None) => return,
            (Some(space), _) => space,
            (None, Some(_)) => self.cluster.space_or_new(&id.namespace),
        };
        let old = self.cluster.spaces[space].policies.get(&id.name);
        if old.map(|old| &**old) == policy.as_ref() {
            return;
        }
        let selectors: Vec<_> =
            old.map(|old| &**old).into_iter().chain(&policy).map(|policy| policy.selector.clone()).collect();
        let selects = |name: &Arc<str>| {
            let pod = self.cluster.spaces[space].pods[name];
            let labels = &self.cluster.classes[self.cluster.pods[pod].class].key.labels;
            selectors.iter().any(|selector| selector.matches(labels))
        };
        let selected = self.cluster.spaces[space].local.iter().filter(|name| selects(name));
        self.dirty_pods.extend(selected.map(|name| NamespacedName::new(id.namespace.clone(), name.clone())));
        self.dirty_policies.insert(id.clone());
        self.bills.readmit(&id.namespace);

        self.cluster.replace_policy(space, &id.name, policy);
        self.cluster.retire_space(space);
    }

    /// Whether a pod is already in the index as it is now.
    fn is_known(&self, old: Option<PodId>, new: Option<&(ClassKey, Claim)>) -> bool {
        match (old, new) {
            (None, None) => true,
            (Some(old), Some((key, claim))) => {
                let old = &self.cluster.pods[old];
                old.claim == *claim && self.cluster.classes[old.class].key == *key
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The memberships of each address, as things stand. Local owners may have to be judged differently; `count` counts the
    /// addresses that the owners' classes own.
    fn standing(&mut self, addresses: &BTreeSet<IpAddr>, count: fn(u32) -> u32) -> Vec<Memberships> {
        addresses.iter().map(|address| self.standing_at(*address, count)).collect()
    }

    /// Who owns an address: its sandbox, or the pod, with the time since when there is such a one.
    pub(super) fn owner(&self, address: IpAddr) -> Option<Owner> {
        if let Some(sandbox) = self.sandbox_at(address) {
            return Some(Owner::Sandbox(sandbox.clone()));
        }
        let owner = self.cluster.owner(address)?;
        Some(Owner::Pod(self.cluster.pod_name(owner), self.cluster.pods[owner].claim.age.created))
    }

    fn standing_at(&mut self, address: IpAddr, count: fn(u32) -> u32) -> Memberships {
        let Some(owner) = self.cluster.owner(address) else { return Vec::new() };
        let PodRecord { class: id, claim: Claim { local, lingering, .. }, .. } = self.cluster.pods[owner];
        if local {
            self.dirty_pods.insert(self.cluster.pod_name(owner));
        }
        if lingering {
            return Vec::new();
        }
        let class = &mut self.cluster.classes[id];
        class.owned = count(class.owned);
        let class = &self.cluster.classes[id];
        self.memberships_of(&class.groups, &self.counted_groups(id), &class.key, address)
    }

    /// The memberships of the address of a pod of these listed and counted groups: ascending.
    fn memberships_of(
        &self,
        listed: &[GroupId],
        counted: &[GroupId],
        class: &ClassKey,
        address: IpAddr,
    ) -> Memberships {
        let mut memberships = self.sets.listed.memberships(listed, class, address);
        if !counted.is_empty() {
            memberships.extend(self.sets.counted.memberships(counted, class, address));
            memberships.sort_unstable();
        }
        memberships
    }

    /// The groups that are not listed and match a class: ascending.
    fn counted_groups(&self, class: ClassId) -> Vec<GroupId> {
        if self.sets.counted.is_empty() {
            return Vec::new();
        }
        self.sets.counted.matching(&self.cluster, &self.cluster.classes[class])
    }

    fn replace_pod(&mut self, id: &NamespacedName, old: Option<PodId>, new: Option<(ClassKey, Claim)>) {
        let new = new.map(|(key, claim)| (self.class_or_new(&id.namespace, &key), claim));
        let old_class = old.map(|pod| self.cluster.detach(pod).class);
        if let Some((class, claim)) = new {
            self.cluster.attach(class, &id.name, claim);
        }
        if let Some(class) = old_class.filter(|class| self.cluster.classes[*class].pods.is_empty()) {
            self.retire_class(class);
        }
    }

    fn class_or_new(&mut self, namespace: &Arc<str>, key: &ClassKey) -> ClassId {
        let space = self.cluster.space_or_new(namespace);
        if let Some(class) = self.cluster.spaces[space].classes.get(key) {
            return *class;
        }
        let class = self.cluster.insert_class(space, key);
        self.regroup(class, &[]);
        class
    }

    fn retire_class(&mut self, class: ClassId) {
        let space = self.cluster.classes[class].space;
        for group in self.counted_groups(class) {
            self.sets.withdraw(false, group, class);
        }
        for group in self.cluster.remove_class(class) {
            self.sets.withdraw(true, group, class);
        }
        self.tiers.forget_class(class);
        self.cluster.retire_space(space);
    }

    /// Matches a class anew, which matched these groups that are not listed, and moves its pods' addresses accordingly.
    fn regroup(&mut self, id: ClassId, counted: &[GroupId]) {
        let listed_now = self.sets.listed.matching(&self.cluster, &self.cluster.classes[id]);
        let counted_now = self.counted_groups(id);
        if self.cluster.classes[id].groups == listed_now && *counted == *counted_now {
            return;
        }
        let listed = std::mem::replace(&mut self.cluster.classes[id].groups, listed_now.clone());
        for (is_listed, before, now) in [(true, &*listed, &*listed_now), (false, counted, &*counted_now)] {
            for group in before {
                self.sets.withdraw(is_listed, *group, id);
            }
            for group in now {
                self.sets.enter(is_listed, *group, id);
            }
        }
        let class = &self.cluster.classes[id];
        let addresses: Vec<IpAddr> = class.pods.iter().flat_map(|pod| self.cluster.peers(*pod)).collect();
        for address in addresses {
            let class = &self.cluster.classes[id];
            let before = self.memberships_of(&listed, counted, &class.key, address);
            let after = self.memberships_of(&listed_now, &counted_now, &class.key, address);
            self.note_moves(&before, &after);
        }
    }

    /// Notes the difference between an address's memberships before and after; both are ascending.
    fn note_moves(&mut self, before: &Memberships, after: &Memberships) {
        for (set, member) in before.iter().filter(|membership| after.binary_search(membership).is_err()) {
            self.sets.note(*set, *member, false);
        }
        for (set, member) in after.iter().filter(|membership| before.binary_search(membership).is_err()) {
            self.sets.note(*set, *member, true);
        }
    }
}
