//! Clusters of any size and endless streams of events over them, the same each time.

mod objects;

use std::collections::VecDeque;
use std::fmt;

use objects::Objects;

use crate::Change;

/// How many objects of a kind are changed at most at a time: the next event changes one of them back.
const WINDOW: usize = 64;

/// How large a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pods, local ones included.
    pub pods: u32,
    /// Namespaces.
    pub namespaces: u32,
    /// Policies.
    pub policies: u32,
    /// Pods on [`NODE`](super::NODE).
    pub local_pods: u32,
}

impl Size {
    /// The largest cluster that Kubernetes is made for.
    pub const FULL: Self = Self::of_pods(150_000);

    /// A cluster with a namespace and a policy for every 15 pods, and up to 110 local pods.
    pub const fn of_pods(pods: u32) -> Self {
        let namespaces = if pods < 15 { 1 } else { pods / 15 };
        let local_pods = if pods < 110 { pods } else { 110 };
        Self { pods, namespaces, policies: namespaces, local_pods }
    }
}

/// What the cluster is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Many namespaces of 15 pods, each with a policy of its own, whose peers are its own pods, one team's and a few
    /// everyone's.
    ManyNamespaces,
    /// Ten namespaces with all pods and policies: each policy selects one application.
    FewNamespaces,
    /// As `ManyNamespaces`, and each policy also admits the greater part of the cluster.
    WideSelectors,
    /// As `ManyNamespaces`, and each policy also names 16 blocks of addresses with 8 exceptions each.
    ManyCidrs,
    /// As `ManyNamespaces`, with named ports in both directions.
    NamedPorts,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ManyNamespaces, Self::FewNamespaces, Self::WideSelectors, Self::ManyCidrs, Self::NamedPorts];
}

/// As `many namespaces`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManyNamespaces => "many namespaces",
            Self::FewNamespaces => "few namespaces",
            Self::WideSelectors => "wide selectors",
            Self::ManyCidrs => "many CIDRs",
            Self::NamedPorts => "named ports",
        })
    }
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pod of another node goes, or comes back, that a local pod's policies name: it shares a local pod's namespace.
    RemotePod,
    /// A pod goes, or comes back, that may be anywhere.
    AnyPod,
    /// A local pod goes, or comes back.
    LocalPod,
    /// A pod that shares a local pod's namespace gets other labels, or its own back.
    PodLabels,
    /// A namespace gets other labels, or its own back.
    NamespaceLabels,
    /// A policy of a local pod's namespace is edited, or edited back.
    Policy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::RemotePod, Self::AnyPod, Self::LocalPod, Self::PodLabels, Self::NamespaceLabels, Self::Policy];

    fn is_of_pods(self) -> bool {
        matches!(self, Self::RemotePod | Self::AnyPod | Self::LocalPod | Self::PodLabels)
    }
}

/// As `remote pod comes or goes`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RemotePod => "remote pod comes or goes",
            Self::AnyPod => "any pod comes or goes",
            Self::LocalPod => "local pod comes or goes",
            Self::PodLabels => "pod relabelled",
            Self::NamespaceLabels => "namespace relabelled",
            Self::Policy => "policy edited",
        })
    }
}

/// A cluster, and what happens to it.
#[derive(Clone, Debug)]
pub struct Workload {
    objects: Objects,
    random: fastrand::Rng,
    /// The numbers of the objects that are changed now, by kind of event.
    changed: [VecDeque<u32>; Kind::ALL.len()],
}

impl Workload {
    /// A cluster that nothing has happened to yet. Equal arguments make equal clusters and events.
    pub fn new(shape: Shape, size: Size, seed: u64) -> Self {
        Self { objects: Objects::new(shape, size), random: fastrand::Rng::with_seed(seed), changed: Default::default() }
    }

    /// The cluster as it is at first: namespaces, pods, policies.
    pub fn cluster(&self) -> impl Iterator<Item = Change> + use<> {
        let (objects, size) = (self.objects, self.objects.size());
        let namespaces = (0..size.namespaces).map(move |number| objects.namespace(number, false));
        let pods = (0..size.pods).map(move |number| objects.pod(number, false));
        let policies = (0..size.policies).map(move |number| objects.policy(number, false));
        namespaces.chain(pods).chain(policies)
    }

    /// The cluster as it is after the events so far, in the order of [`Workload::cluster`].
    pub fn cluster_now(&self) -> impl Iterator<Item = Change> + use<> {
        let changes = Kind::ALL.into_iter().zip(self.changed.clone());
        let objects = self.objects;
        self.cluster().chain(
            changes.flat_map(move |(kind, numbers)| {
                numbers.into_iter().map(move |number| objects.event(kind, number, true))
            }),
        )
    }

    /// The next event of this kind.
    pub fn event(&mut self, kind: Kind) -> Change {
        let candidates = self.objects.candidates(kind);
        let changed = &mut self.changed[kind as usize];
        let full = changed.len() >= WINDOW.min(candidates as usize / 8).max(1);
        if full && let Some(number) = changed.pop_front() {
            return self.objects.event(kind, number, false);
        }
        let number = loop {
            let number = self.objects.candidate(kind, self.random.u32(..candidates));
            if !self.is_changed(kind, number) {
                break number;
            }
        };
        self.changed[kind as usize].push_back(number);
        self.objects.event(kind, number, true)
    }

    /// The next event of any kind, mostly of pods, as in clusters.
    pub fn any_event(&mut self) -> Change {
        let kind = match self.random.u32(..1_000) {
            0..700 => Kind::AnyPod,
            700..900 => Kind::RemotePod,
            900..996 => Kind::PodLabels,
            996 => Kind::LocalPod,
            997..999 => Kind::NamespaceLabels,
            _ => Kind::Policy,
        };
        self.event(kind)
    }

    /// Whether an event of a kind that concerns the same objects has changed this one.
    fn is_changed(&self, kind: Kind, number: u32) -> bool {
        let alike = |other: &Kind| *other == kind || (other.is_of_pods() && kind.is_of_pods());
        Kind::ALL.into_iter().filter(alike).any(|other| self.changed[other as usize].contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reference::Cluster;

    fn cluster(changes: impl Iterator<Item = Change>) -> Cluster {
        let mut cluster = Cluster::default();
        changes.for_each(|change| cluster.apply(change));
        cluster
    }

    #[test]
    fn the_cluster_is_what_events_make_it() {
        for shape in Shape::ALL {
            let mut workload = Workload::new(shape, Size::of_pods(450), 7);
            let events: Vec<_> = (0..3_000).map(|_| workload.any_event()).collect();
            let replayed = cluster(workload.cluster().chain(events));
            assert_eq!(replayed, cluster(workload.cluster_now()), "{shape}");
            assert_ne!(replayed, cluster(workload.cluster()), "{shape}");
        }
    }

    #[test]
    fn it_is_as_large_as_asked_for_and_the_same_each_time() {
        for shape in Shape::ALL {
            let size = Size { pods: 900, namespaces: 60, policies: 120, local_pods: 30 };
            let made = || Workload::new(shape, size, 1);
            let cluster = cluster(made().cluster());
            assert_eq!((cluster.pods.len(), cluster.policies.len()), (900, 120));
            let local = cluster.pods.values().filter(|pod| pod.node.as_deref() == Some(super::super::NODE));
            assert_eq!(local.count(), 30);
            let events = |mut workload: Workload| (0..100).map(|_| workload.any_event()).collect::<Vec<_>>();
            assert_eq!(events(made()), events(made()));
        }
    }

    #[test]
    fn every_kind_of_event_happens() {
        let mut workload = Workload::new(Shape::ManyNamespaces, Size::of_pods(1_500), 3);
        let mut seen = BTreeMap::<u8, usize>::new();
        for _ in 0..10_000 {
            let kind = match workload.any_event() {
                Change::PodGone(_) => 0,
                Change::Pod(_) => 1,
                Change::Namespace(_) => 2,
                Change::Policy(_) => 3,
                Change::NamespaceGone(_) | Change::PolicyGone(_) => panic!("the cluster shrinks"),
                other => panic!("{other:?} is no part of these clusters"),
            };
            *seen.entry(kind).or_default() += 1;
        }
        assert_eq!(seen.len(), 4);
    }
}
