mod node;
mod shop;

use futures::FutureExt;
use palisade_model::reference::{Cluster, Flow, Traffic};
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, NamespacedName};
use palisade_nft::{Action, Chain, Errno, Fault, Name, Outcome, Ruleset, Transport, Verdict};
use proptest::prelude::*;

use self::node::{Memory, Node, OTHERS};
use self::shop::{gone, ip, pod, policy, shop, shop_in_background};
use super::*;
use crate::enforcer::SettleError;
use crate::render::{PodRange, judged_chain};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Change,
    Commit,
    Settle,
    /// A packet of the connection with this number.
    Packet(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Change),
        2 => Just(Step::Commit),
        2 => Just(Step::Settle),
        8 => any::<usize>().prop_map(Step::Packet),
    ];
    prop::collection::vec(step, 300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a connection was marked with on the way.
    #[test]
    fn packets_pass_as_the_policies_in_force_say(changes in testing::changes(60), steps in steps()) {
        let mut last = Cluster::default();
        changes.iter().cloned().for_each(|change| last.apply(change));
        let flows = testing::flows(&last);
        let memory = Memory::with(flows.len());
        let mut node = Node::new(NODE, &memory);
        node.enforcer.commit().unwrap();
        let (mut known, mut in_force) = (Cluster::default(), Cluster::default());
        let mut changes = changes.into_iter();
        for step in steps {
            match step {
                Step::Change => changes.next().into_iter().for_each(|change| {
                    known.apply(change.clone());
                    node.enforcer.apply(change);
                }),
                Step::Commit => {
                    node.enforcer.commit().unwrap();
                    in_force = known.clone();
                }
                Step::Settle => drop(node.settle().unwrap()),
                Step::Packet(_) if flows.is_empty() => {}
                Step::Packet(number) => {
                    let flow = &flows[number % flows.len()];
                    let passed = node.passes(number % flows.len(), &ends(flow));
                    let expected = testing::passes(&in_force, flow);
                    prop_assert!(expected.is_none_or(|expected| expected == passed), "{:?} {}", flow, passed);
                }
            }
        }
    }

    /// That an element comes into a set forbids nothing, unless it is known to.
    #[test]
    fn sets_only_allow(changes in testing::changes(60)) {
        let mut node = Node::new(NODE, &Memory::default());
        node.change(changes);
        for statement in node.enforcer.desired().chains.values().flat_map(Chain::statements) {
            let only_allows = |set: &Name| node.enforcer.renderer().only_allows(set) && !is_map(&node, set);
            let looks_up = statement.lookups().any(|(_, set)| only_allows(set));
            let allows = match &statement.action {
                Action::Verdict(Verdict::Accept) => true,
                Action::Verdict(Verdict::Goto(chain)) => *chain == judged_chain() || chain.as_str().starts_with("audit-"),
                _ => false,
            };
            prop_assert!(!looks_up || allows, "{statement:?}");
        }
    }
}

fn is_map(node: &Node, set: &Name) -> bool {
    node.enforcer.desired().sets[set].elements.kind().is_map()
}

fn ends(flow: &Flow) -> (std::net::IpAddr, std::net::IpAddr, Transport) {
    let transport = match flow.traffic {
        Traffic::Port { protocol, port } => Transport::Ports { protocol: protocol.number(), destination: port },
        Traffic::Other(protocol) => Transport::Other(protocol),
    };
    (flow.source, flow.destination, transport)
}

#[test]
fn what_forbids_nothing_leaves_the_epoch() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web"])]);
    node.settle().unwrap().unwrap();
    let epoch = node.epoch();
    assert!(epoch.is_some());
    node.change([pod(14, "web", "there"), pod(15, "mail", "there")]);
    assert_eq!(node.epoch(), epoch);
    assert_eq!(node.enforcer.settle_is_due(), None);
}

#[test]
fn what_may_forbid_something_ends_it_in_the_same_commit() {
    for change in [gone(11), policy("q", "web", &[]), pod(1, "db", "here"), pod(11, "mail", "there")] {
        let (mut node, memory) = shop();
        node.change([policy("p", "db", &["web"])]);
        node.settle().unwrap().unwrap();
        assert!(node.reaches(11, 2) && memory.mark(0) != OTHERS, "marked");
        let before = node.held();
        node.change([change]);
        assert_eq!(node.epoch(), None);
        assert_eq!(Epoch::in_force(&node.held()), None);
        assert_ne!(before, node.held());
        assert_eq!(node.settle().unwrap().unwrap().swept, None, "it is not for that that marks are cleared");
        assert!(node.epoch().is_some() && node.epoch() == Epoch::in_force(&node.held()));
    }
}

/// Connections that were judged come before the pod range is asked for: with a pod that goes, which nothing isolates, the epoch
/// has to end, where there is a range.
#[test]
fn a_pod_that_goes_ends_it_where_the_pod_range_is_guarded() {
    for guarded in [false, true] {
        let (mut node, memory) = shop();
        let networks = if guarded { vec!["10.0.0.0/29".parse().unwrap()] } else { vec![] };
        node.enforcer.set_pod_range(PodRange::of(&networks));
        node.change([policy("p", "db", &["web"]), pod(3, "cart", "here")]);
        node.settle().unwrap().unwrap();
        assert!(node.reaches(11, 3) && memory.mark(0) != OTHERS, "marked");
        node.change([pod(4, "cart", "here")]);
        assert!(node.epoch().is_some(), "who comes forbids nothing");
        node.change([gone(3)]);
        assert_eq!((node.epoch().is_none(), node.reaches(11, 3)), (guarded, !guarded));
    }
}

#[test]
fn what_is_forbidden_stops_and_goes_on_when_it_is_allowed_again() {
    let (mut node, memory) = shop();
    node.change([policy("p", "db", &["web"])]);
    node.settle().unwrap();
    assert!(node.reaches(11, 2) && node.reaches(11, 2));
    let marked = memory.mark(0);
    node.change([gone(11)]);
    assert!(!node.reaches(11, 2));
    node.settle().unwrap();
    assert!(!node.reaches(11, 2), "the mark is of another epoch");
    node.change([pod(11, "web", "there")]);
    assert!(node.reaches(11, 2));
    assert_ne!(memory.mark(0), marked);
    assert_eq!(memory.mark(0) & OTHERS, OTHERS);
}

#[test]
fn epochs_follow_one_another_at_their_leisure() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web"])]);
    let after = |node: &Node| node.enforcer.settle_is_due().unwrap().saturating_duration_since(Instant::now());
    assert!(after(&node) > SHORTEST / 2);
    node.enforcer.epochs().resting_until = Instant::now();
    node.change([policy("p", "db", &["mail"])]);
    assert!(after(&node) > QUIET / 2 && after(&node) <= QUIET, "it is put off as long as something is forbidden");
    assert!(node.enforcer.settle().unwrap().is_none());
    assert_eq!(node.epoch(), None);
    node.settle().unwrap().unwrap();
    assert_eq!(node.enforcer.settle_is_due(), None);
}

#[test]
fn marks_are_cleared_when_numbers_run_out() {
    let (mut node, memory) = shop();
    assert_eq!(memory.state().swept, 1, "at start");
    let mut epochs = std::collections::BTreeSet::from([node.epoch()]);
    for round in 1..=Epoch::COUNT - 2 {
        node.change([
            if round % 2 == 0 { pod(1, "db", "here") } else { pod(1, "web", "here") },
            policy("p", "db", &[]),
        ]);
        node.change([Change::PolicyGone(NamespacedName::new("shop", "p"))]);
        assert!(node.reaches(11, 1));
        node.settle().unwrap();
        epochs.insert(node.epoch());
    }
    assert_eq!((memory.state().swept, epochs.len()), (1, usize::from(Epoch::COUNT) - 1), "each is another one");
    assert!(node.reaches(11, 1) && memory.mark(0) != OTHERS);
    node.settle().unwrap();
    assert_eq!(memory.state().swept, 2);
    assert_eq!(memory.mark(0), OTHERS, "of others' bits none is cleared");
    let epoch = node.epoch();
    node.change([policy("p", "db", &[])]);
    node.settle().unwrap();
    assert!(node.epoch().is_some() && node.epoch() != epoch);
}

#[test]
fn without_numbers_everything_is_judged_and_committed() {
    let (mut node, memory) = shop();
    node.enforcer.epochs().unused = 0;
    memory.state().fails = true;
    node.change([policy("p", "db", &["web"])]);
    let error = node.settle().unwrap_err();
    assert!(matches!(error, SettleError::Sweep(_)) && error.to_string().contains("cannot clear the marks"), "{error}");
    assert!(node.reaches(11, 2) && !node.reaches(13, 2));
    node.change([policy("p", "db", &["mail"])]);
    assert!(!node.reaches(11, 2) && node.reaches(13, 2));
    assert_eq!(node.epoch(), None);
    for _ in 0..20 {
        node.settle().unwrap_err();
    }
    node.enforcer.epochs().resting_until = Instant::now();
    node.enforcer.settle().unwrap_err();
    assert!(node.enforcer.settle_is_due().unwrap() > Instant::now() + LONGEST_PAUSE / 2);
    memory.state().fails = false;
    node.settle().unwrap();
    assert!(node.epoch().is_some());
    node.enforcer.epochs().unused = 0;
    memory.state().fails = true;
    node.settle().unwrap_err();
    assert!(
        node.enforcer.settle_is_due().unwrap() < Instant::now() + LONGEST_PAUSE / 2,
        "the next error is a first one"
    );
}

#[test]
fn no_epoch_begins_that_is_not_in_force() {
    for fault in [Fault::Refuse(Errno(105)), Fault::LoseAcknowledgement] {
        let (mut node, _) = shop();
        node.change([policy("p", "db", &["web"])]);
        node.enforcer.backend().inject(fault);
        assert!(matches!(node.settle().unwrap_err(), SettleError::Commit(_)));
        assert_eq!((node.epoch(), node.enforcer.settle_is_due()), (None, None), "{fault:?}");
        node.change([gone(11)]);
        assert_eq!(Epoch::in_force(&node.held()), None);
        node.settle().unwrap();
        assert!(node.epoch().is_some() && node.epoch() == Epoch::in_force(&node.held()));
    }
}

#[test]
fn an_epoch_ends_only_with_a_commit_that_is_in_force() {
    let (mut node, _) = shop();
    node.change([policy("p", "db", &["web"])]);
    node.settle().unwrap();
    node.enforcer.backend().inject(Fault::Refuse(Errno(105)));
    node.enforcer.apply(gone(11));
    node.enforcer.commit().unwrap_err();
    assert!(node.reaches(11, 2), "what was in force still is");
    assert!(node.settle().unwrap().is_none());
    node.change([]);
    assert!(!node.reaches(11, 2));
}

#[test]
fn a_repair_ends_the_epoch_and_a_check_does_not() {
    let (mut node, _) = shop();
    let epoch = node.epoch();
    node.enforcer.distrust();
    node.change([]);
    assert_eq!((node.epoch(), epoch.is_some()), (epoch, true));
    node.enforcer.backend().tamper(|table| {
        table.as_mut().unwrap().chains.values_mut().for_each(|chain| chain.comment = None);
    });
    node.enforcer.distrust();
    node.change([]);
    assert_eq!((node.epoch(), Epoch::in_force(&node.held())), (None, None));
}

/// Nothing is written, and nothing is interrupted; but what is not known to be right is judged again.
#[test]
fn the_epoch_of_a_table_that_is_there_is_kept() {
    let (mut before, memory) = shop();
    before.change([policy("p", "db", &["web"])]);
    before.settle().unwrap();
    let (epoch, held) = (before.epoch(), before.held());
    let mut node = Node::holding("here", &memory, held.clone());
    node.know(shop::PODS.clone());
    node.know([policy("p", "db", &["web"])]);
    assert!(node.enforcer.commit().unwrap().is_none());
    assert_eq!((node.epoch(), node.held()), (epoch, held));
    memory.state().marks[0] = epoch.unwrap().mark().value | OTHERS;
    let settled = node.settle().unwrap().unwrap();
    assert!(settled.commit.is_none() && settled.swept.unwrap().cleared == 1, "{settled:?}");
    assert_eq!((memory.mark(0), node.epoch()), (OTHERS, epoch));
    node.change([gone(11)]);
    node.settle().unwrap();
    assert!(node.epoch().is_some() && node.epoch() != epoch);
}

/// Connections got its mark all the time.
#[test]
fn the_epoch_that_is_over_in_a_table_that_is_there_does_not_come_back() {
    let (mut before, memory) = shop();
    before.change([policy("p", "db", &["web"])]);
    before.settle().unwrap();
    let epoch = before.epoch();
    before.change([policy("p", "db", &["mail"])]);
    assert!(before.reaches(13, 2) && memory.mark(0) != OTHERS);
    let held = before.held();
    let mut node = Node::holding("here", &memory, held.clone());
    node.know(shop::PODS.clone());
    node.know([policy("p", "db", &["mail"])]);
    assert!(node.enforcer.commit().unwrap().is_none());
    assert_eq!((node.epoch(), node.held()), (None, held));
    for number in 1..Epoch::COUNT {
        let settled = node.settle().unwrap().unwrap();
        assert_eq!(settled.swept.is_some(), number == 1);
        assert!(node.epoch().is_some() && node.epoch() != epoch);
        node.change([policy("p", "db", if number % 2 == 0 { &["mail"] } else { &["web"] })]);
    }
}

#[test]
fn the_epoch_of_a_table_that_is_not_as_it_should_be_is_not() {
    let (mut before, memory) = shop();
    before.change([policy("p", "db", &["web", "mail"])]);
    before.settle().unwrap();
    let held = before.held();
    let mut opened = held.clone();
    opened.chains.get_mut(&judged_chain()).unwrap().rules.truncate(1);
    for held in [held, opened] {
        let mut node = Node::holding("here", &memory, held);
        node.know(shop::PODS.clone());
        node.change([policy("p", "db", &["web"])]);
        assert_eq!((node.epoch(), Epoch::in_force(&node.held())), (None, None));
    }
}

#[test]
fn in_the_background_nobody_waits() {
    let (mut node, memory) = shop_in_background();
    node.change([policy("p", "db", &["web"])]);
    let held = memory.hold();
    assert!(node.settle().unwrap().is_none(), "packets are under way");
    assert_eq!((node.enforcer.settle_is_due(), node.enforcer.settling().now_or_never()), (None, None));
    node.change([policy("q", "web", &[])]);
    drop(held);
    assert!(node.settled().unwrap().commit.is_none(), "they may be of before the last commit");
    assert_eq!(node.epoch(), None);
    assert!(node.settled().unwrap().commit.is_some());
    assert!(node.epoch().is_some());
}

#[test]
fn where_there_is_no_conntrack_epochs_begin_all_the_same() {
    let mut epochs = Epochs::new(palisade_nft::NoConntrack);
    let settled = epochs.settle().unwrap().unwrap();
    assert_eq!((settled.begins, epochs.current()), (Some(Epoch::LAST.next()), settled.begins));
    assert!(format!("{epochs:?}").starts_with("Epochs { current: Some("));
}

fn accepted(outcome: Outcome) -> bool {
    outcome == Outcome::Accept
}

fn tcp() -> Transport {
    Transport::Ports { protocol: 6, destination: 80 }
}

impl Node {
    /// Whether the next packet of the connection between these pods passes.
    fn reaches(&mut self, from: u8, to: u8) -> bool {
        self.passes(0, &(ip(from), ip(to), tcp()))
    }

    fn epoch(&mut self) -> Option<Epoch> {
        self.enforcer.epochs().current()
    }

    fn held(&mut self) -> Ruleset {
        self.enforcer.backend().ruleset().cloned().unwrap()
    }
}
