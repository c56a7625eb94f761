//! The enforcer over a netlink that fails in every way: at any moment the table is one that was asked for as a whole, it
//! is never gone, and when the faults end it is the one of a fresh start.
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

mod agent;
mod backend;

use std::cell::RefCell;
use std::collections::BTreeMap;

use backend::{Fault, Faulty, Lie, fault};
use palisade::enforcer::Enforcer;
use palisade::render::{TABLE, closed, render};
use palisade_model::reference::Cluster;
use palisade_model::testing::{self, NODE};
use palisade_model::{Change, Index};
use palisade_nft::{Fake, Name, Ruleset, diff};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

const EVENTS: usize = 60;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Change(Change),
    /// A commit, which meets a fault or not.
    Commit(Option<Fault>),
    /// Another hand is at the table, and the agent hears of it.
    Tamper(Hand),
    /// The periodic check is due.
    Check,
    /// The agent is killed, and the next one told everything anew.
    Restart,
    /// Pods of other nodes are not known.
    KnowsHere,
    /// All pods are.
    KnowsAll,
}

#[derive(Clone, Copy, Debug)]
enum Hand {
    DeletesTheTable,
    FlushesTheChains,
    FlushesTheSets,
    AddsForeignObjects,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let hand = prop_oneof![
        Just(Hand::DeletesTheTable),
        Just(Hand::FlushesTheChains),
        Just(Hand::FlushesTheSets),
        Just(Hand::AddsForeignObjects)
    ];
    let event = prop_oneof![
        20 => testing::change().prop_map(Event::Change),
        8 => Just(Event::Commit(None)),
        8 => fault().prop_map(|fault| Event::Commit(Some(fault))),
        1 => hand.prop_map(Event::Tamper),
        1 => Just(Event::Check),
        1 => Just(Event::Restart),
        1 => Just(Event::KnowsHere),
        1 => Just(Event::KnowsAll),
    ];
    vec(event, 1..=EVENTS)
}

/// A node that all of it happens to.
struct Node {
    enforcer: Enforcer<Faulty>,
    cluster: Cluster,
    /// What may be in force: what was asked for last with success, and since.
    asked: Vec<Option<Ruleset>>,
    /// Whether another hand has been at the table since the last success.
    tampered: bool,
}

impl Node {
    fn new(lie: Option<Lie>) -> Self {
        let enforcer = Enforcer::new(NODE, table(), Faulty::new(Fake::new(table()), lie));
        Self { enforcer, cluster: Cluster::default(), asked: vec![None], tampered: false }
    }

    fn undergo(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Change(change) => {
                self.cluster.apply(change.clone());
                self.enforcer.apply(change);
            }
            Event::Commit(fault) => {
                self.enforcer.backend().next = fault;
                self.commit()?;
                self.enforcer.backend().next = None;
            }
            Event::Tamper(hand) => {
                self.enforcer.backend().fake.tamper(|held| tamper(hand, held));
                self.enforcer.distrust();
                self.tampered = true;
            }
            Event::Check => self.enforcer.distrust(),
            Event::Restart => self.restart(),
            Event::KnowsHere => self.enforcer.knows_here(),
            Event::KnowsAll => self.enforcer.knows_all(),
        }
        self.check()
    }

    fn commit(&mut self) -> Result<(), String> {
        let was_gone = self.held().is_none();
        let result = self.enforcer.commit();
        let desired = self.enforcer.desired().clone();
        if result.is_err() {
            // A table that is gone, and takes long to write, is first one in which who is isolated is closed.
            self.asked.extend(was_gone.then(|| Some(closed(&desired))));
            self.asked.push(Some(desired));
            return Ok(());
        }
        self.asked = vec![Some(desired.clone())];
        self.tampered = false;
        match self.held() {
            held if held == Some(desired) => Ok(()),
            held => Err(format!("it says that it has committed, but holds {held:?}")),
        }
    }

    fn check(&mut self) -> Result<(), String> {
        let held = self.held();
        if self.tampered || self.asked.iter().any(|asked| judges_as(held.as_ref(), asked.as_ref())) {
            return Ok(());
        }
        Err(format!("it holds what nobody asked for: {held:?}"))
    }

    /// A new agent knows nothing, and has the kernel's table.
    fn restart(&mut self) {
        let Faulty { fake, met, lie, .. } =
            std::mem::replace(self.enforcer.backend(), Faulty::new(Fake::new(table()), None));
        self.enforcer = Enforcer::new(NODE, table(), Faulty { met, ..Faulty::new(fake, lie) });
        testing::objects(&self.cluster).for_each(|change| self.enforcer.apply(change));
    }

    /// The faults end: one commit after the last failed one, the table is as it shall be. Who was closed for what was refused
    /// again and again is tried again.
    fn recover(&mut self) -> Result<(), String> {
        self.enforcer.knows_all();
        self.enforcer.readmit();
        self.commit()?;
        let mut fresh = Index::new(NODE);
        testing::objects(&self.cluster).for_each(|change| fresh.apply(change));
        let fresh = render(table(), &fresh.take_delta());
        if self.held() == Some(fresh) { Ok(()) } else { Err("it is not what a fresh start gives".to_owned()) }
    }

    fn held(&mut self) -> Option<Ruleset> {
        self.enforcer.backend().fake.ruleset().cloned()
    }
}

fn play(events: Vec<Event>, lie: Option<Lie>) -> Result<BTreeMap<Fault, usize>, String> {
    let mut node = Node::new(lie);
    events.into_iter().try_for_each(|event| node.undergo(event))?;
    node.recover()?;
    Ok(std::mem::take(&mut node.enforcer.backend().met))
}

/// Whether `held` is what was `asked` for, but for objects that nothing in it uses.
fn judges_as(held: Option<&Ruleset>, asked: Option<&Ruleset>) -> bool {
    let Some(asked) = asked else { return held.is_none() };
    diff(held, asked).is_retirement()
}

fn tamper(hand: Hand, held: &mut Option<Ruleset>) {
    let Some(ruleset) = held else { return };
    match hand {
        Hand::DeletesTheTable => *held = None,
        Hand::FlushesTheChains => ruleset.chains.values_mut().for_each(|chain| chain.rules.clear()),
        Hand::FlushesTheSets => {
            for set in ruleset.sets.values_mut() {
                set.elements = palisade_nft::Elements::empty(set.elements.kind());
            }
        }
        Hand::AddsForeignObjects => drop(ruleset.foreign.insert("flowtable f".to_owned())),
    }
}

fn table() -> Name {
    Name::new(TABLE).unwrap()
}

#[test]
fn whatever_fails_the_table_is_one_that_was_asked_for() {
    let met = RefCell::new(BTreeMap::<Fault, usize>::new());
    let result = TestRunner::new(Config::with_source_file(file!())).run(&events(), |events| {
        let faults = play(events, None).map_err(TestCaseError::fail)?;
        faults.into_iter().for_each(|(fault, count)| *met.borrow_mut().entry(fault).or_default() += count);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    println!("faults met: {met:?}");
    for fault in [Fault::Stale, Fault::Owned, Fault::Dropped, Fault::Unacknowledged, Fault::Truncated] {
        assert!(met.borrow().get(&fault).is_some_and(|count| *count >= 10), "{fault:?} is hardly ever met: {met:?}");
    }
}

/// Backends that do what the kernel does not do are found out, and so would an enforcer be that brings the same about.
#[test]
fn a_backend_that_lies_is_found_out() {
    for lie in [Lie::DropsAndAcknowledges, Lie::AppliesHalf, Lie::LosesTheTable, Lie::ListsHalf] {
        let mut runner = TestRunner::deterministic();
        let caught = (0..200).any(|_| play(events().new_tree(&mut runner).unwrap().current(), Some(lie)).is_err());
        assert!(caught, "{lie:?} is not noticed");
    }
}
