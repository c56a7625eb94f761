//! Whose connections are forgotten when an address has a new owner.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use palisade_nft::{Elements, Mark, Verdict};

use super::*;

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

fn gone(name: &str) -> Change {
    Change::PodGone(NamespacedName::new("shop", name))
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
