//! Single connections, judged by their addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use palisade_model::{Decision, NamespacedName, Traffic, Why};

use super::judge::{Judge, Party};
use super::situation::{Candidate, Situation};

/// Says of one connection after the other what policies say of it: those between a pod and itself, and a pod and its node,
/// among them.
#[derive(Debug)]
pub struct FlowJudge<'a> {
    situation: &'a Situation,
    judge: Judge<'a>,
    /// By their names.
    pods: HashMap<&'a NamespacedName, &'a Candidate>,
    workloads: HashMap<&'a NamespacedName, Vec<&'a Candidate>>,
}

impl<'a> FlowJudge<'a> {
    /// By these objects.
    pub fn new(situation: &'a Situation) -> Self {
        let (mut pods, mut workloads) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for candidate in situation.candidates.iter().map(|candidate| &**candidate) {
            pods.extend(candidate.pods.iter().map(|pod| (&pod.id, candidate)));
            workloads.entry(&candidate.workload).or_default().push(candidate);
        }
        Self { situation, judge: Judge::new(situation), pods, workloads }
    }

    /// An address of that family of the pod of this name; where that is gone, of another one of its workload.
    pub fn address_of(&self, pod: &NamespacedName, workload: &NamespacedName, ipv6: bool) -> Option<IpAddr> {
        let is_its = |address: &IpAddr| address.is_ipv6() == ipv6 && self.situation.owners.contains_key(address);
        let alike = self.workloads.get(workload).into_iter().flatten();
        let candidates = self.pods.get(pod).into_iter().chain(alike);
        candidates.flat_map(|candidate| &candidate.pods).flat_map(|pod| pod.ips.iter().copied()).find(is_its)
    }

    /// Whether it may be opened.
    pub fn allows(&mut self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> bool {
        let (source, destination) = (self.party(source), self.party(destination));
        // What nobody judges passes: most of what a node forwards may be none of its pods'.
        if source.pod.is_none() && destination.pod.is_none() {
            return true;
        }
        self.judge.allows(source, destination, &[traffic]).iter().all(|allowed| *allowed)
    }

    /// The ends that refuse it, and why.
    pub fn refusals(&mut self, source: IpAddr, destination: IpAddr, traffic: Traffic) -> Vec<Why> {
        let (source, destination) = (self.party(source), self.party(destination));
        let mut whys = self.judge.why(source, destination, traffic);
        whys.retain(|why| matches!(why.decision, Decision::Denied(_)));
        whys
    }

    /// What the pod at this address is one of.
    pub fn workload(&self, address: IpAddr) -> Option<&'a NamespacedName> {
        Some(&self.candidate(address)?.workload)
    }

    fn party(&self, address: IpAddr) -> Party<'a> {
        let candidate = self.candidate(address);
        let title = candidate.map_or("", |candidate| candidate.title.as_str());
        Party { address, title, pod: candidate.and_then(|candidate| candidate.pods.first()) }
    }

    fn candidate(&self, address: IpAddr) -> Option<&'a Candidate> {
        let number = self.situation.owners.get(&address)?;
        Some(&self.situation.candidates[*number])
    }
}

#[cfg(test)]
mod tests {
    use palisade_model::reference::Cluster;
    use palisade_model::testing::{bare_pod, changes, flows};
    use palisade_model::{Change, Labels, Pod};
    use proptest::prelude::*;

    use super::*;
    use crate::manifests::Besides;

    fn situation(changes: impl IntoIterator<Item = Change>) -> (Cluster, Situation) {
        let mut cluster = Cluster::default();
        changes.into_iter().for_each(|change| cluster.apply(change));
        let situation = Situation::new(cluster.clone(), Besides::default(), false);
        (cluster, situation)
    }

    proptest! {
        #[test]
        fn a_flow_is_judged_as_the_reference_does_and_refused_by_the_ends_that_refuse(changes in changes(30)) {
            let (cluster, situation) = situation(changes);
            let mut judge = FlowJudge::new(&situation);
            for flow in flows(&cluster) {
                let verdict = cluster.verdict(&flow);
                let allows = judge.allows(flow.source, flow.destination, flow.traffic);
                prop_assert_eq!(allows, verdict.allowed, "{:?}", flow);
                // A pod may have a node's address here: what its node's pods say to it passes whatever its policies say.
                if verdict.pass.is_some() {
                    continue;
                }
                let refusals = judge.refusals(flow.source, flow.destination, flow.traffic);
                for why in &refusals {
                    prop_assert!(!verdict.of(why.direction).allowed, "{:?} {:?}", flow, why);
                }
                prop_assert_eq!(refusals.is_empty(), verdict.allowed);
            }
        }
    }

    #[test]
    fn a_pod_that_is_gone_is_stood_for_by_another_of_its_workload() {
        let pod = |name: &str, address: &str| {
            Change::Pod(Pod {
                labels: Labels::from_iter([("statefulset.kubernetes.io/pod-name", name)]),
                ..bare_pod(NamespacedName::new("shop", name), [address.parse().unwrap()])
            })
        };
        let (_, situation) = situation([pod("db-0", "10.0.0.1"), pod("db-1", "10.0.0.2"), pod("db-2", "fd00::3")]);
        let judge = FlowJudge::new(&situation);
        let name = |name: &str| NamespacedName::new("shop", name);
        let address =
            |pod: &str, ipv6| judge.address_of(&name(pod), &name("db"), ipv6).map(|address| address.to_string());
        assert_eq!(address("db-1", false).as_deref(), Some("10.0.0.2"));
        assert_eq!(address("db-9", false).as_deref(), Some("10.0.0.1"));
        assert_eq!(address("db-0", true).as_deref(), Some("fd00::3"), "of the family that is asked for");
        assert_eq!(judge.address_of(&name("web"), &name("web"), false), None);
    }
}
