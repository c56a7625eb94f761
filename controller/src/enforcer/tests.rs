use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};

use palisade_model::testing::{NODE, changes};
use palisade_model::{
    Age, ClusterPeer, ClusterPeers, ClusterPolicy, ClusterRule, Cost, Enforcement, Labels, Limit, NamespaceScope,
    NamespacedName, Peer, Peers, Phase, Pod, PodGroup, Policy, Ports, Requirement, Rule, Selector, Tier, TierAction,
};
use palisade_nft::{Elements, Fake, Mark, Operation, Outcome, Packet, PacketState, Table, Transport, Verdict};
use proptest::prelude::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;
use crate::render::TABLE;
use crate::worker::Worker;

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

fn gone(name: &str) -> Change {
    Change::PodGone(NamespacedName::new("shop", name))
}

/// A conntrack that remembers what it was to forget, and may fail.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<(Vec<BTreeSet<IpAddr>>, bool)>>);

impl Memory {
    fn forgotten(&self) -> Vec<BTreeSet<IpAddr>> {
        self.0.lock().unwrap().0.clone()
    }

    pub(crate) fn fails(&self, fails: bool) {
        self.0.lock().unwrap().1 = fails;
    }
}

impl Conntrack for Memory {
    fn clear(&mut self, _: u32, _: Option<Mark>) -> Result<usize, BackendError> {
        Ok(0)
    }

    fn forget(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<usize, BackendError> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(BackendError::System { what: "forget".to_owned(), errno: Errno(105) });
        }
        state.0.push(addresses.clone());
        Ok(1)
    }

    fn ends(&mut self, _: usize) -> Result<Option<BTreeSet<IpAddr>>, BackendError> {
        Ok(Some(BTreeSet::from([address(9)])))
    }

    fn settle(&mut self) {}
}

fn node(memory: &Memory) -> Enforcer<Fake> {
    enforcer_of(Fake::new(table())).with_owners_of(memory.clone())
}

fn change<B: Backend>(enforcer: &mut Enforcer<B>, changes: impl IntoIterator<Item = Change>) {
    changes.into_iter().for_each(|change| enforcer.apply(change));
    enforcer.commit().unwrap();
}

/// Whether nothing is let to or from an address, in both directions.
fn is_held(enforcer: &mut Enforcer<Fake>, number: u8) -> bool {
    let ruleset = enforcer.backend().ruleset().unwrap();
    let held: Vec<bool> = ["egress-pods-4", "ingress-pods-4"]
        .into_iter()
        .map(|map| match (&ruleset.sets[&Name::new(map).unwrap()].elements, address(number)) {
            (Elements::Ipv4Verdicts(map), IpAddr::V4(address)) => {
                map.get(&address) == Some(&Verdict::Goto(Name::new("renewed").unwrap()))
            }
            _ => false,
        })
        .collect();
    assert!(held.iter().all(|one| *one == held[0]), "in one direction: {held:?}");
    held[0]
}

#[test]
fn a_new_owner_waits_until_the_connections_of_the_old_one_are_forgotten() {
    let memory = Memory::default();
    let mut enforcer = node(&memory);
    change(&mut enforcer, [pod("old", 1, 1), pod("other", 1, 2)]);
    assert!(memory.forgotten().is_empty(), "who was first seen has no predecessor");
    memory.fails(true);
    change(&mut enforcer, [gone("old"), pod("new", 2, 1)]);
    assert!(is_held(&mut enforcer, 1) && !is_held(&mut enforcer, 2));
    memory.fails(false);
    while let Some(due) = enforcer.commit_is_due() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        enforcer.commit().unwrap();
    }
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(1)])]);
    assert!(!is_held(&mut enforcer, 1));
    assert_eq!(enforcer.backend().ruleset().unwrap().clone(), *enforcer.desired());
}

#[test]
fn of_who_comes_first_only_what_is_known_from_before_is_forgotten() {
    let memory = Memory::default();
    let mut enforcer = node(&memory);
    let settle = |enforcer: &mut Enforcer<Fake>| {
        while enforcer.commit_is_due().is_some() {
            enforcer.commit().unwrap();
        }
    };
    change(&mut enforcer, [pod("first", 1, 1)]);
    enforcer.forget_connections([address(1)]);
    settle(&mut enforcer);
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(1)])], "it has not been asked before");
    enforcer.look_back();
    settle(&mut enforcer);
    enforcer.forget_connections([address(2), address(9)]);
    assert!(!enforcer.is_held([address(2)]) && enforcer.is_held([address(9)]));
    settle(&mut enforcer);
    assert_eq!(memory.forgotten()[1..], [BTreeSet::from([address(9)])]);
    assert!(!enforcer.is_held([address(9)]));
    let mut unguarded = enforcer.with_origins(Origins::Believed);
    unguarded.forget_connections([address(3)]);
    assert!(unguarded.is_held([address(3)]), "others may have spoken for it");
}

/// A pod of a stateful set comes again under its name, and may get its old address.
#[test]
fn a_pod_that_is_created_anew_is_another_owner() {
    let memory = Memory::default();
    let mut enforcer = node(&memory);
    change(&mut enforcer, [pod("web-0", 1, 1)]);
    change(&mut enforcer, [pod("web-0", 1, 1)]);
    assert!(memory.forgotten().is_empty());
    change(&mut enforcer, [pod("web-0", 2, 1)]);
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(1)])]);
}

/// Nobody waits for it, so it is gathered; whoever comes then has it done at once.
#[test]
fn an_address_without_owner_is_forgotten_at_the_latest_when_somebody_gets_it() {
    let memory = Memory::default();
    let mut enforcer = node(&memory);
    change(&mut enforcer, [pod("old", 1, 1), pod("older", 1, 2)]);
    change(&mut enforcer, [gone("old"), gone("older")]);
    assert!(memory.forgotten().is_empty() && enforcer.commit_is_due().unwrap() > Instant::now());
    change(&mut enforcer, [pod("new", 2, 1)]);
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(1), address(2)])]);
    assert!(!is_held(&mut enforcer, 1));
}

/// Who keeps the address keeps the connections.
#[test]
fn a_deleted_pod_is_judged_while_a_link_leads_to_it() {
    let memory = Memory::default();
    let mut enforcer = node(&memory).with_lingering();
    let leads = |to: u8| NodeLinks { routes: vec![(address(to).into(), "veth1".to_owned())], ..NodeLinks::default() };
    enforcer.set_links(leads(1));
    change(&mut enforcer, [pod("web", 1, 1), pod("stray", 1, 2)]);
    change(&mut enforcer, [gone("web"), gone("stray")]);
    assert_eq!(render::local_pods(enforcer.desired()), [address(1)]);
    change(&mut enforcer, [pod("heir", 2, 2)]);
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(2)])]);
    assert_eq!(enforcer.commit_is_due(), None);
    enforcer.set_links(leads(2));
    change(&mut enforcer, []);
    assert_eq!(render::local_pods(enforcer.desired()), [address(2)]);
    assert!(enforcer.commit_is_due().is_some(), "now it is nobody's");
}

/// Who they are was not known before, whatever came first.
#[test]
fn of_pods_with_one_address_that_were_there_at_start_no_connections_are_forgotten() {
    let memory = Memory::default();
    let mut enforcer = node(&memory);
    let pods = [pod("old", 1, 1), pod("new", 2, 1)];
    pods.iter().cloned().for_each(|pod| enforcer.apply(pod));
    enforcer.plan().unwrap();
    assert!(enforcer.owners.held().is_empty(), "`diff` tells of no new owner");
    let mut enforcer = node(&memory);
    change(&mut enforcer, pods);
    assert!(memory.forgotten().is_empty() && !is_held(&mut enforcer, 1));
}

#[test]
fn a_restart_forgets_whose_pod_went_meanwhile_and_nobody_else() {
    let mut before = node(&Memory::default());
    change(&mut before, [pod("stays", 1, 1), pod("goes", 1, 2)]);
    let memory = Memory::default();
    let table_there = before.backend().ruleset().unwrap().clone();
    let mut after = enforcer_of(Fake::holding(table_there)).with_owners_of(memory.clone());
    change(&mut after, [pod("stays", 1, 1)]);
    change(&mut after, [pod("comes", 2, 2)]);
    assert_eq!(memory.forgotten(), [BTreeSet::from([address(2)])]);
}

/// A kernel that does not know what has these words in it.
struct Without(Fake, &'static str);

impl Backend for Without {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.0.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        let asks = |operation: &Operation| operation.to_string().contains(self.1);
        match transaction.operations.iter().position(asks) {
            Some(index) => Err(CommitError::Refused {
                index,
                operation: transaction.operations[index].to_string(),
                errno: Errno(nix::libc::ENOENT),
                detail: None,
            }),
            None => self.0.commit(table, transaction),
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.0.generation()
    }
}

#[test]
fn a_kernel_that_cannot_ask_its_routes_enforces_policies_all_the_same() {
    let mut enforcer = enforcer_of(Without(Fake::new(table()), "fib saddr"));
    change(&mut enforcer, [pod("web", 1, 1)]);
    let held = enforcer.backend().0.ruleset().unwrap().clone();
    assert_eq!(held, *enforcer.desired());
    assert!(render::origins(&held) == Origins::Believed && !render::local_pods(&held).is_empty());
}

#[test]
fn a_kernel_that_cannot_log_enforces_policies_all_the_same() {
    for word in ["log prefix", "limit rate"] {
        let enforcer = enforcer_of(Without(Fake::new(table()), word));
        let mut enforcer = enforcer.with_logs(Logs::STANDARD);
        change(&mut enforcer, [pod("web", 1, 1), policy("shop", "all", &[])]);
        let held = enforcer.backend().0.ruleset().unwrap().clone();
        assert_eq!(held, *enforcer.desired());
        assert_eq!(Logs::of(&held), Some(Logs(None)));
        assert_eq!((render::origins(&held), render::pods(&held).len()), (Origins::Guarded, 1));
    }
}

/// A kernel that does not take what names chains of one namespace.
struct Refusing {
    fake: Fake,
    word: &'static str,
    refused: usize,
}

impl Backend for Refusing {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.fake.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        let is_too_much = |operation: &Operation| matches!(operation, Operation::AddRule { chain, .. } if chain.as_str().contains(self.word));
        match transaction.operations.iter().position(is_too_much) {
            None => self.fake.commit(table, transaction),
            Some(index) => {
                self.refused += 1;
                let operation = transaction.operations[index].to_string();
                Err(CommitError::Refused { index, operation, errno: Errno(nix::libc::ENOMEM), detail: None })
            }
        }
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }

    fn guard(&mut self) -> Result<bool, CommitError> {
        Ok(false)
    }
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

/// Commits until that succeeds, as the agent does.
fn commit_at_last<B: Backend>(enforcer: &mut Enforcer<B>) {
    for _ in 0..10 {
        if enforcer.commit_some().is_ok() && enforcer.is_all_in_force() {
            return;
        }
    }
    panic!("{:?}", enforcer.commit_some());
}

#[test]
fn what_the_kernel_refuses_closes_the_namespace_that_needs_it_and_holds_up_nobody() {
    let backend = Refusing { fake: Fake::new(table()), word: "policies-ingress-big", refused: 0 };
    let mut enforcer = enforcer_of(backend);
    for change in [pod_of("big", 1), pod_of("shop", 2), policy("shop", "p", &["web"]), policy("big", "p", &["a"])] {
        enforcer.apply(change);
    }
    commit_at_last(&mut enforcer);
    let closed: Vec<_> = enforcer.index().closed().map(|(name, closed)| (name.to_string(), closed.limit)).collect();
    assert_eq!(closed, [("big".to_owned(), Limit::Kernel)]);
    let (held, refused) = (enforcer.backend().fake.ruleset().unwrap().clone(), enforcer.backend().refused);
    assert_eq!(held, *enforcer.desired());
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("policies-ingress-shop")));
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("pod-ingress-big")), "it is isolated");

    enforcer.apply(policy("shop", "p", &["web", "api"]));
    enforcer.commit_some().unwrap();
    assert_eq!(enforcer.backend().refused, refused, "it is not tried with every change of others");
    enforcer.backend().word = "nothing";
    enforcer.readmit();
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().closed().count(), 0);
}

/// Forbids the pods of `shop` to reach those with one of these labels.
fn cluster_policy(name: &str, apps: &[&str]) -> Change {
    let pods = |namespace: &str, pods| PodGroup { namespaces: NamespaceScope::Named(namespace.into()), pods };
    let deny = |app: &&str| ClusterRule {
        name: None,
        action: TierAction::Deny,
        peers: ClusterPeers::AnyOf(vec![ClusterPeer::Pods(pods(app, Selector::default()))]),
        ports: Ports::All,
    };
    Change::ClusterPolicy(ClusterPolicy {
        name: name.into(),
        enforcement: Enforcement::Enforced,
        tier: Tier::Admin,
        priority: 0,
        subject: pods("shop", Selector::default()),
        ingress: vec![],
        egress: apps.iter().map(deny).collect(),
    })
}

#[test]
fn of_cluster_policies_what_the_kernel_refuses_goes_back_and_holds_up_nobody() {
    let backend = Refusing { fake: Fake::new(table()), word: "nothing", refused: 0 };
    let mut enforcer = enforcer_of(backend);
    let rules = |enforcer: &mut Enforcer<Refusing>| {
        let held = enforcer.backend().fake.ruleset().unwrap().clone();
        assert_eq!(held, *enforcer.desired());
        held.chains.into_iter().find(|(name, _)| name.as_str().starts_with("admin-egress-")).unwrap().1.rules
    };
    for change in [pod_of("shop", 1), cluster_policy("a", &["x"]), cluster_policy("b", &["y", "z", "w"])] {
        enforcer.apply(change);
    }
    commit_at_last(&mut enforcer);
    let before = rules(&mut enforcer);
    enforcer.backend().word = "admin-egress";
    enforcer.apply(cluster_policy("a", &["x", "v"]));
    enforcer.apply(pod_of("big", 2));
    enforcer.apply(policy("big", "p", &["web"]));
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().refused_cluster_policies().collect::<Vec<_>>(), [&"a".into()]);
    assert_eq!((&rules(&mut enforcer), enforcer.index().closed().count()), (&before, 0));
    let held = enforcer.backend().fake.ruleset().unwrap();
    assert!(held.chains.keys().any(|name| name.as_str().starts_with("policies-ingress-big")), "others go on");
    enforcer.backend().word = "nothing";
    enforcer.readmit();
    commit_at_last(&mut enforcer);
    assert_eq!(enforcer.index().refused_cluster_policies().count(), 0);
    assert_ne!(rules(&mut enforcer), before);
}

/// Who changes what takes long waits for his turn, and others do not wait for him.
#[test]
fn who_takes_long_waits_for_his_turn() {
    let mut enforcer = enforcer_of(Fake::new(table()));
    change(
        &mut enforcer,
        [pod_of("big", 1), pod_of("shop", 2), policy("shop", "p", &["a"]), policy("big", "p", &["a"])],
    );
    let cost = Cost { elements: 100_000, ..enforcer.index().cost("big") };
    enforcer.turns.took(&[("big".into(), cost)], Duration::from_millis(60), Instant::now());
    let due = Instant::now() + Duration::from_millis(100);
    let policies = |enforcer: &mut Enforcer<Fake>| {
        let held = enforcer.backend().ruleset().unwrap().clone();
        let looks_up = |namespace: &str, app: &str| {
            let set = format!("pods-app-{app}-in-{namespace}");
            held.sets.keys().any(|name| name.as_str().starts_with(&set))
        };
        [looks_up("big", "b"), looks_up("shop", "b")]
    };
    for change in [policy("shop", "p", &["b"]), policy("big", "p", &["b"]), pod_of("big", 3)] {
        enforcer.apply(change);
    }
    enforcer.commit_some().unwrap();
    assert_eq!(policies(&mut enforcer), [false, true]);
    assert_eq!(enforcer.waiting(), BTreeSet::from(["big".into()]));
    assert!(enforcer.commit_is_due().is_some_and(|at| at > due));
    let held = enforcer.backend().ruleset().unwrap().clone();
    assert!(render::local_pods(&held).contains(&address(3)), "pods do not wait");

    while !enforcer.waiting().is_empty() {
        let due = enforcer.commit_is_due().expect("what waits is due some time");
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        enforcer.commit_some().unwrap();
    }
    assert_eq!(policies(&mut enforcer), [true, true]);
    assert_eq!(enforcer.backend().ruleset().unwrap().clone(), *enforcer.desired());
}

/// Where nothing is there yet, who has short policies does not wait for who has long ones. What is there stays, of everybody.
#[test]
fn at_the_start_of_a_node_what_is_long_comes_last() {
    let apps: Vec<String> = (0..200).map(|number| format!("app-{number}")).collect();
    let apps: Vec<&str> = apps.iter().map(String::as_str).collect();
    let policies = [policy("shop", "p", &["a"]), policy("big", "p", &apps), policy("long", "p", &apps[..120])];
    let all: Vec<_> = [pod_of("big", 1), pod_of("shop", 2), pod_of("long", 3)].into_iter().chain(policies).collect();
    let mut enforcer = enforcer_of(Fake::new(table()));
    all.iter().cloned().for_each(|change| enforcer.apply(change));
    let mut steps = Vec::new();
    while enforcer.commit_is_due().is_some() || steps.is_empty() {
        enforcer.commit_some().unwrap();
        let waiting = enforcer.waiting();
        let held = held(&mut enforcer);
        let judges = |namespace: &str| {
            held.chains.keys().any(|name| name.as_str().starts_with(&format!("pod-ingress-{namespace}")))
        };
        assert!(waiting.iter().all(|namespace| !judges(namespace)) && judges("shop"));
        assert_eq!(render::local_pods(&held).len(), 3, "pods do not wait");
        steps.push(waiting);
    }
    steps.dedup();
    assert_eq!(steps, [["big".into(), "long".into()].into(), BTreeSet::new()]);
    let held = held(&mut enforcer);
    assert_eq!(held, *enforcer.desired());

    let mut restarted = enforcer_of(Fake::holding(held));
    all.into_iter().for_each(|change| restarted.apply(change));
    assert!(restarted.commit_some().unwrap().is_none(), "nothing has changed");
    assert_eq!(restarted.waiting(), BTreeSet::new());
}

/// Who no longer has to be closed because somebody else needs less is enforced although nothing else happens.
#[test]
fn who_is_opened_by_anothers_change_does_not_wait_for_the_next() {
    let total = Cost { grants: 6, ..Cost::UNLIMITED };
    let shares = Shares { per_namespace: Cost::UNLIMITED, total, ..Shares::UNLIMITED };
    let mut enforcer = enforcer_of(Fake::new(table())).with_shares(shares);
    let policies = [policy("shop", "p", &["a", "b", "c"]), policy("busy", "p", &["a", "b"])];
    change(&mut enforcer, [pod_of("busy", 1), pod_of("shop", 2)].into_iter().chain(policies));
    let closed =
        |enforcer: &Enforcer<Fake>| enforcer.index().closed().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(closed(&enforcer), ["shop"]);
    let cost = Cost { elements: 100_000, ..Cost::default() };
    enforcer.turns.took(&[("busy".into(), cost)], Duration::from_millis(20), Instant::now());
    enforcer.apply(policy("busy", "p", &["a"]));
    while let Some(due) = enforcer.commit_is_due() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        enforcer.commit_some().unwrap();
    }
    assert_eq!(closed(&enforcer), [""; 0]);
    assert_eq!(enforcer.index().unsettled(), BTreeSet::new());
}

/// Packets that pass when the test says so.
fn with_packets(enforcer: &mut Enforcer<Fake>) -> UnboundedSender<()> {
    let (errands, begun) = mpsc::channel();
    let (pass, outcomes) = unbounded_channel();
    // Whoever begins to wait is to find somebody there.
    std::mem::forget(begun);
    enforcer.passage = Passage::with(|| {}, Worker::Elsewhere { errands, outcomes, outcome: None });
    pass
}

/// Commits until nothing is left, not even what waits for packets.
fn finish(enforcer: &mut Enforcer<Fake>, pass: &UnboundedSender<()>) {
    while enforcer.backlog.has_retired() || !enforcer.is_all_in_force() {
        if enforcer.passage.is_awaited() {
            pass.send(()).unwrap();
        }
        enforcer.commit_some().unwrap();
    }
}

fn held(enforcer: &mut Enforcer<Fake>) -> Ruleset {
    enforcer.backend().ruleset().unwrap().clone()
}

#[test]
fn nobody_waits_for_packets_that_may_be_at_what_goes() {
    let mut enforcer = enforcer_of(Fake::new(table()));
    let pass = with_packets(&mut enforcer);
    let looks_up = |ruleset: &Ruleset, app: &str| {
        ruleset.sets.keys().any(|name| name.as_str().starts_with(&format!("pods-app-{app}-in-shop")))
    };
    let edit = |enforcer: &mut Enforcer<Fake>, app| {
        enforcer.apply(policy("shop", "p", &[app]));
        enforcer.commit_some().unwrap();
        assert!(looks_up(&held(enforcer), app) && enforcer.is_all_in_force());
    };
    enforcer.apply(pod_of("shop", 1));
    edit(&mut enforcer, "a");
    edit(&mut enforcer, "b");
    assert!(looks_up(&held(&mut enforcer), "a"), "packets may be at it");
    assert_eq!(enforcer.commit_is_due(), None);
    edit(&mut enforcer, "c");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    assert!(!looks_up(&held(&mut enforcer), "a"));
    assert!(looks_up(&held(&mut enforcer), "b"), "who came in after the first edit may be at it");
    edit(&mut enforcer, "b");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    let ruleset = held(&mut enforcer);
    assert!(looks_up(&ruleset, "b") && looks_up(&ruleset, "c"), "the one came back, the other has just gone");
    pass.send(()).unwrap();
    enforcer.commit_some().unwrap();
    assert_eq!(held(&mut enforcer), *enforcer.desired());
}

/// However it is divided, and although all that should not be there goes at once when that is looked for.
#[test]
fn what_was_found_to_be_too_much_goes_after_what_names_it() {
    for budget in 1..150 {
        let mut enforcer = enforcer_of(Fake::new(table()));
        change(&mut enforcer, [pod_of("shop", 1), policy("shop", "p", &["a", "b"]), policy("shop", "q", &["c"])]);
        enforcer.backlog.set_budget(budget);
        let pass = with_packets(&mut enforcer);
        enforcer.apply(policy("shop", "p", &["d"]));
        enforcer.apply(Change::PolicyGone(NamespacedName::new("shop", "q")));
        enforcer.distrust();
        enforcer.commit_some().unwrap();
        finish(&mut enforcer, &pass);
        assert_eq!(held(&mut enforcer), *enforcer.desired());
    }
}

proptest! {
    #[test]
    fn what_waits_to_go_may_come_back(
        changes in changes(60),
        packets in prop::collection::vec(any::<bool>(), 60),
        budget in 1..300_usize,
        slow in prop::collection::vec(prop::bool::weighted(0.3), 60),
        checks in prop::collection::vec(prop::bool::weighted(0.1), 60),
    ) {
        let mut enforcer = enforcer_of(Fake::new(table()));
        enforcer.backlog.set_budget(budget);
        let pass = with_packets(&mut enforcer);
        enforcer.commit_some().unwrap();
        for (((change, passes), is_slow), is_checked) in changes.into_iter().zip(packets).zip(slow).zip(checks) {
            if is_checked {
                enforcer.distrust();
            }
            // A part each time, or all of them.
            enforcer.piece = if is_slow { Duration::ZERO } else { Duration::MAX };
            enforcer.apply(change);
            enforcer.commit_some().unwrap();
            if passes && enforcer.passage.is_awaited() {
                pass.send(()).unwrap();
            }
        }
        enforcer.piece = Duration::MAX;
        finish(&mut enforcer, &pass);
        prop_assert_eq!(&held(&mut enforcer), enforcer.desired());
    }
}

/// A backend that remembers what it held after each transaction.
struct Watched {
    fake: Fake,
    held: Vec<Ruleset>,
}

impl Backend for Watched {
    fn read(&mut self) -> Result<Option<Ruleset>, BackendError> {
        self.fake.read()
    }

    fn commit(&mut self, table: &Table, transaction: &Transaction) -> Result<(), CommitError> {
        self.fake.commit(table, transaction)?;
        self.held.extend(self.fake.ruleset().cloned());
        Ok(())
    }

    fn generation(&mut self) -> Result<u32, BackendError> {
        self.fake.generation()
    }
}

/// Whether it lets a TCP connection begin to a pod of the node.
fn lets(ruleset: &Ruleset, from: [u8; 4], to: u8) -> bool {
    let packet =
        Packet::new(from.into(), address(to), Transport::Ports { protocol: 6, destination: 80 }, PacketState::New);
    palisade_nft::walk(ruleset, &packet).unwrap().verdict == Outcome::Accept
}

/// What a change leads to after the table was deleted.
fn deleted(enforcer: &mut Enforcer<Watched>) -> Vec<Ruleset> {
    enforcer.backend().fake.tamper(|held| *held = None);
    enforcer.backend().held.clear();
    enforcer.distrust();
    enforcer.commit().unwrap();
    std::mem::take(&mut enforcer.backend().held)
}

/// Kernels before 6.9 let anybody delete it.
#[test]
fn a_large_table_that_is_gone_is_closed_before_it_is_written_again() {
    let mut enforcer = enforcer_of(Watched { fake: Fake::new(table()), held: vec![] });
    let clients = (0..5_000_u32).map(|number| {
        let Change::Pod(client) = pod(&format!("client-{number}"), 1, 1) else { unreachable!("it makes pods") };
        let labels = Labels::from_iter([("app", "web")]);
        let address = IpAddr::from((0x0a09_0000 + number).to_be_bytes());
        Change::Pod(Pod { labels, node: Some("elsewhere".into()), ips: vec![address], ..client })
    });
    let all = clients.chain([pod_of("shop", 1), pod_of("open", 9), policy("shop", "p", &["web"])]);
    change(&mut enforcer, all);
    let (allowed, forbidden) = ([10, 9, 0, 7], [10, 8, 0, 7]);
    assert!(lets(enforcer.desired(), allowed, 1) && !lets(enforcer.desired(), forbidden, 1));
    let held = deleted(&mut enforcer);
    assert!(held.iter().all(|ruleset| !lets(ruleset, forbidden, 1)), "it is closed before it is complete");
    assert!(held.iter().all(|ruleset| lets(ruleset, forbidden, 9)), "nobody else is");
    assert!(!lets(&held[0], allowed, 1) && held[0].sets.len() < enforcer.desired().sets.len(), "that takes long");
    assert_eq!(held.last().unwrap(), enforcer.desired());

    let mut small = enforcer_of(Watched { fake: Fake::new(table()), held: vec![] });
    change(&mut small, [pod_of("shop", 1), policy("shop", "p", &["web"])]);
    let written = small.desired().clone();
    assert_eq!(deleted(&mut small), [written], "what is small is written at once");
}
