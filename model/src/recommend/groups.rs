//! Workloads, as far as labels tell them apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::selectors::exact;
use super::{End, Scope, Wish};
use crate::reference::Cluster;
use crate::stable::is_stable;
use crate::{Labels, NamespacedName, Phase, Pod, Selector, workload};

/// The workloads of the namespaces that matter.
#[derive(Debug)]
pub(super) struct Spaces(BTreeMap<Arc<str>, Space>);

/// The workloads of a namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// The stable labels that its pods have, each combination once.
    kinds: Vec<Labels>,
    pub(super) groups: Vec<Group>,
    of: HashMap<Arc<str>, usize>,
}

/// Workloads that labels do not tell apart: most often one.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Ascending.
    pub(super) workloads: BTreeSet<Arc<str>>,
    kinds: BTreeSet<usize>,
    /// Selects these kinds and no others, once it is known.
    selector: Option<Selector>,
}

impl Spaces {
    pub(super) fn new(cluster: &Cluster, wishes: &[Wish], scope: &Scope) -> Self {
        let ends = wishes.iter().flat_map(|wish| [&wish.from, &wish.to]).filter_map(|end| match end {
            End::Workload(id) => Some(&id.namespace),
            End::Network(_) => None,
        });
        let mut pods: BTreeMap<&Arc<str>, Vec<&Pod>> =
            ends.chain(&scope.namespaces).map(|namespace| (namespace, Vec::new())).collect();
        for pod in cluster.pods.values().filter(|pod| !pod.host_network && pod.phase == Phase::Active) {
            pods.entry(&pod.id.namespace).and_modify(|of_namespace| of_namespace.push(pod));
        }
        Self(pods.into_iter().map(|(namespace, pods)| (namespace.clone(), Space::of(&pods))).collect())
    }

    pub(super) fn get(&self, namespace: &str) -> Option<&Space> {
        self.0.get(namespace)
    }

    /// The group of a workload.
    pub(super) fn group_of(&self, workload: &NamespacedName) -> Option<usize> {
        self.get(&workload.namespace)?.of.get(&workload.name).copied()
    }

    /// Groups of more than one workload.
    pub(super) fn alike(&self) -> Vec<Vec<NamespacedName>> {
        let groups = self.0.iter().flat_map(|(namespace, space)| space.groups.iter().map(move |one| (namespace, one)));
        let several = groups.filter(|(_, group)| group.workloads.len() > 1);
        several.map(|(namespace, group)| group.names(namespace)).collect()
    }
}

impl Group {
    pub(super) fn names(&self, namespace: &Arc<str>) -> Vec<NamespacedName> {
        self.workloads.iter().map(|name| NamespacedName::new(namespace.clone(), name.clone())).collect()
    }

    fn join(&mut self, other: Self) {
        self.workloads.extend(other.workloads);
        self.kinds.extend(other.kinds);
        self.selector = None;
    }
}

impl Space {
    fn of(pods: &[&Pod]) -> Self {
        let mut numbers = HashMap::<Labels, usize>::new();
        let mut groups = BTreeMap::<&str, Group>::new();
        for pod in pods {
            let next = numbers.len();
            let kind = *numbers.entry(stable(&pod.labels)).or_insert(next);
            groups.entry(workload(&pod.id.name, &pod.labels)).or_default().kinds.insert(kind);
        }
        let mut kinds: Vec<(Labels, usize)> = numbers.into_iter().collect();
        kinds.sort_unstable_by_key(|(_, number)| *number);
        let kinds = kinds.into_iter().map(|(labels, _)| labels).collect();
        let named = |(name, group): (&str, Group)| Group { workloads: BTreeSet::from([name.into()]), ..group };
        let mut space = Self { kinds, groups: groups.into_iter().map(named).collect(), of: HashMap::new() };
        while space.join_those_alike() {}
        let of = space.groups.iter().enumerate();
        space.of = of.flat_map(|(at, group)| group.workloads.iter().map(move |name| (name.clone(), at))).collect();
        space
    }

    /// Joins groups with those that their labels cannot but select as well. Says whether there were any.
    fn join_those_alike(&mut self) -> bool {
        let before = self.groups.len();
        let mut joined: Vec<Group> = Vec::with_capacity(before);
        for mut group in std::mem::take(&mut self.groups) {
            if group.selector.is_none() {
                match self.select(&group.kinds) {
                    Ok(selector) => group.selector = Some(selector),
                    Err(narrowest) => group.kinds.extend(self.matching(&narrowest)),
                }
            }
            while let Some(at) = joined.iter().position(|other| !other.kinds.is_disjoint(&group.kinds)) {
                group.join(joined.remove(at));
            }
            joined.push(group);
        }
        joined.sort_by(|one, other| one.workloads.first().cmp(&other.workloads.first()));
        self.groups = joined;
        self.groups.iter().any(|group| group.selector.is_none())
    }

    fn matching(&self, selector: &Selector) -> impl Iterator<Item = usize> {
        (0..self.kinds.len()).filter(|kind| selector.matches(&self.kinds[*kind]))
    }

    fn select(&self, kinds: &BTreeSet<usize>) -> Result<Selector, Selector> {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for (kind, labels) in self.kinds.iter().enumerate() {
            if kinds.contains(&kind) { inside.push(labels) } else { outside.push(labels) }
        }
        exact(&inside, &outside)
    }

    /// What selects the pods of these groups and no others; `None` where no one selector does.
    pub(super) fn selector(&self, groups: &[usize]) -> Option<Selector> {
        match groups {
            [one] => self.groups[*one].selector.clone(),
            _ => {
                let kinds = groups.iter().flat_map(|group| &self.groups[*group].kinds).copied().collect();
                self.select(&kinds).ok()
            }
        }
    }
}

fn stable(labels: &Labels) -> Labels {
    labels.iter().filter(|(key, _)| is_stable(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}
