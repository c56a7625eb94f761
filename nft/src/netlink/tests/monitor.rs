use std::collections::BTreeSet;

use super::namespace::{TABLE, change, in_namespace, load, open, where_tables_are_owned};
use super::sample::peers;
use crate::tests::build::{addresses, name};
use crate::{Backend, Elements, Event, Monitor, Operation, Ownership, Transaction};

fn heard(monitor: &mut Monitor) -> Vec<Event> {
    std::iter::from_fn(|| monitor.try_next().unwrap()).collect()
}

#[test]
fn each_commit_is_heard_and_whose_it_was() {
    in_namespace(|| {
        let mut monitor = Monitor::open(name(TABLE)).unwrap();
        assert_eq!(monitor.try_next().unwrap(), None);
        let mut kernel = open(Ownership::Plain);
        let committed = change(&mut kernel, None, &peers(addresses(&["10.0.0.1"]))).unwrap();
        let [Event::NewGeneration { generation, port, pid, touched, .. }] = &*heard(&mut monitor) else { panic!() };
        assert_eq!((*generation, *port, *touched), (committed, kernel.port(), true));
        assert!(*pid > 0);

        load("add table inet other; add table ip palisade");
        load("add element inet palisade peers { 10.0.0.2 }");
        let events = heard(&mut monitor);
        let told = events.iter().map(|event| match event {
            Event::NewGeneration { port, process, touched, .. } => (*port == kernel.port(), &**process, *touched),
            Event::Lost => panic!("lost"),
        });
        assert_eq!(told.collect::<Vec<_>>(), [(false, "nft", false), (false, "nft", true)]);
    });
}

#[test]
fn lost_events_are_told() {
    in_namespace(|| {
        let mut monitor = Monitor::open(name(TABLE)).unwrap();
        let many: BTreeSet<_> = (0..300_000_u32).map(Into::into).collect();
        change(&mut open(Ownership::Plain), None, &peers(Elements::Ipv4(many))).unwrap();
        assert!(heard(&mut monitor).contains(&Event::Lost));
        load("add table inet other");
        assert!(matches!(&*heard(&mut monitor), [Event::NewGeneration { touched: true, .. }]));
    });
}

#[test]
fn own_changes_are_not_heard_and_crowd_out_nothing() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let mut monitor = kernel.monitor().unwrap();
        let many: BTreeSet<_> = (0..300_000_u32).map(Into::into).collect();
        change(&mut kernel, None, &peers(Elements::Ipv4(many))).unwrap();
        assert_eq!(heard(&mut monitor), []);
        load("add element inet palisade peers { 240.0.0.1 }");
        let [Event::NewGeneration { port, touched, .. }] = &*heard(&mut monitor) else { panic!() };
        assert_ne!(*port, kernel.port());
        assert!(touched);
    });
}

#[test]
fn nobody_listens_while_nobody_else_can_write() {
    where_tables_are_owned(|| {
        let mut kernel = open(Ownership::Take);
        let mut monitor = kernel.monitor().unwrap();
        load("add table inet other");
        assert_eq!(heard(&mut monitor).len(), 1);

        let ruleset = peers(addresses(&["10.0.0.1"]));
        change(&mut kernel, None, &ruleset).unwrap();
        load("delete table inet other");
        assert_eq!(heard(&mut monitor), [], "the table is owned");

        let gone = Transaction { operations: vec![Operation::DeleteTable] };
        kernel.commit(&name(TABLE).into(), &gone).unwrap();
        load("add table inet other");
        assert_eq!(heard(&mut monitor).len(), 1, "there is no table to own");
    });
}

#[test]
fn an_orphan_is_listened_for_until_it_is_adopted() {
    where_tables_are_owned(|| {
        change(&mut open(Ownership::Take), None, &peers(addresses(&["10.0.0.1"]))).unwrap();
        let mut kernel = open(Ownership::Take);
        let mut monitor = kernel.monitor().unwrap();
        load("add element inet palisade peers { 10.0.0.2 }");
        assert_eq!(heard(&mut monitor).len(), 1);
        assert!(kernel.adopt().unwrap());
        load("add table inet other");
        assert_eq!(heard(&mut monitor), []);
    });
}

#[test]
fn what_could_not_be_made_is_listened_for() {
    in_namespace(|| {
        load("add table inet palisade");
        let mut kernel = open(Ownership::Take);
        let mut monitor = kernel.monitor().unwrap();
        let ruleset = peers(addresses(&["10.0.0.1"]));
        change(&mut kernel, None, &ruleset).unwrap();
        load("add element inet palisade peers { 10.0.0.2 }");
        assert_eq!(heard(&mut monitor).len(), 1, "the table that was there stays plain");
    });
}
