mod owners;
mod refusals;
mod repair;
mod retirement;
mod turns;

pub(crate) use owners::Memory;

use palisade_model::testing::NODE;
use palisade_model::{
    Age, Enforcement, Labels, NamespaceScope, NamespacedName, Peer, Peers, Phase, Pod, PodGroup, Policy, Ports,
    Requirement, Rule, Selector,
};
use palisade_nft::Fake;

use super::*;
use crate::render::TABLE;

fn table() -> Name {
    Name::new(TABLE).unwrap()
}

/// One that is cut short by no clock, however slow the machine is.
fn enforcer_of<B: Backend>(backend: B) -> Enforcer<B> {
    let mut enforcer = Enforcer::new(NODE, table(), backend);
    enforcer.piece = Duration::MAX;
    enforcer
}

fn address(number: u8) -> IpAddr {
    [10, 0, 0, number].into()
}

fn pod(name: &str, created: i64, number: u8) -> Change {
    Change::Pod(Pod {
        id: NamespacedName::new("shop", name),
        uid: None,
        labels: Labels::default(),
        node: Some(NODE.into()),
        ips: vec![address(number)],
        host_ips: vec![],
        host_network: false,
        phase: Phase::Active,
        terminating: false,
        age: Age { created, ..Age::default() },
        ports: vec![],
    })
}

fn change<B: Backend>(enforcer: &mut Enforcer<B>, changes: impl IntoIterator<Item = Change>) {
    changes.into_iter().for_each(|change| enforcer.apply(change));
    enforcer.commit().unwrap();
}

fn policy(namespace: &str, name: &str, peers: &[&str]) -> Change {
    let rule = |app: &&str| Rule {
        peers: Peers::AnyOf(vec![Peer::Pods(PodGroup {
            namespaces: NamespaceScope::Named(namespace.into()),
            pods: Requirement::new("app", "In", [*app]).into_iter().collect(),
        })]),
        ports: Ports::All,
    };
    Change::Policy(Policy {
        id: NamespacedName::new(namespace, name),
        enforcement: Enforcement::Enforced,
        selector: Selector::default(),
        ingress: Some(peers.iter().map(rule).collect()),
        egress: None,
    })
}

fn pod_of(namespace: &str, number: u8) -> Change {
    let Change::Pod(pod) = pod("server", 1, number) else { unreachable!("it makes pods") };
    Change::Pod(Pod { id: NamespacedName::new(namespace, "server"), ..pod })
}

fn held(enforcer: &mut Enforcer<Fake>) -> Ruleset {
    enforcer.backend().ruleset().unwrap().clone()
}
