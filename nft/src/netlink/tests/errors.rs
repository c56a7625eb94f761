use std::collections::BTreeSet;

use super::namespace::{TABLE, change, commit, in_namespace, list, open, owns_tables};
use super::sample::{everything, peers};
use crate::tests::build::{addresses, name, ranges, rule, v4};
use crate::{
    Backend, CommitError, Elements, Errno, Kernel, Match, Name, OpenError, Operation, Ownership, Transaction, Verdict,
    diff,
};

fn add(elements: Elements) -> Operation {
    Operation::AddElements { set: name("peers"), elements }
}

fn delete(elements: Elements) -> Operation {
    Operation::DeleteElements { set: name("peers"), elements }
}

#[test]
fn what_is_refused_is_named_and_nothing_is_applied() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        let held = peers(addresses(&["10.0.0.1"]));
        change(&mut kernel, None, &held).unwrap();
        let generation = kernel.generation().unwrap();
        let missing = Operation::DeleteChain { name: name("missing") };
        let error = commit(&mut kernel, &[add(addresses(&["10.0.0.2"])), missing]).unwrap_err();
        let CommitError::Refused { index, operation, errno, .. } = &error else { panic!("{error}") };
        assert_eq!((*index, &**operation, *errno), (1, "delete chain missing", Errno(libc::ENOENT)));
        assert!(!error.state_unknown());
        assert_eq!(kernel.generation().unwrap(), generation);
        assert_eq!(kernel.read().unwrap(), Some(held));
    });
}

#[test]
fn of_many_elements_the_refused_one_is_named() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let many: BTreeSet<_> = (0..5_000).map(|i| (v4("10.1.0.0").to_bits() + i).into()).collect();
        change(&mut kernel, None, &peers(Elements::Ipv4(many.clone()))).unwrap();
        let more = many.into_iter().chain([v4("10.200.0.1")]).chain((0..9).map(|i| [11, 0, 0, i].into())).collect();
        let error = commit(&mut kernel, &[delete(Elements::Ipv4(more))]).unwrap_err();
        let CommitError::Refused { index: 0, operation, errno: Errno(libc::ENOENT), detail: Some(detail) } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(detail, "element 10.200.0.1");
        assert!(operation.len() < 400 && operation.ends_with("..."), "{operation}");
    });
}

#[test]
fn of_many_ranges_the_refused_one_is_named() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        change(&mut kernel, None, &peers(ranges(&[("10.0.0.5", "10.0.0.20")]))).unwrap();
        let overlapping = ranges(&[("9.0.0.0", "9.0.0.9"), ("10.0.0.0", "10.0.0.9")]);
        let error = commit(&mut kernel, &[add(overlapping)]).unwrap_err();
        assert_eq!(error.errno(), Errno(libc::EEXIST));
        assert!(error.to_string().ends_with("(element 10.0.0.0-10.0.0.9)"), "{error}");
        let missing = ranges(&[("10.0.0.5", "10.0.0.20"), ("240.0.0.0", "255.255.255.255")]);
        let error = commit(&mut kernel, &[delete(missing)]).unwrap_err();
        assert!(error.to_string().ends_with("(element 240.0.0.0/4)"), "{error}");
    });
}

#[test]
fn nothing_to_do_moves_nothing() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        let held = peers(addresses(&["10.0.0.1"]));
        change(&mut kernel, None, &held).unwrap();
        let generation = kernel.generation().unwrap();
        assert_eq!(change(&mut kernel, Some(&held), &held).unwrap(), generation);
        assert_eq!(commit(&mut kernel, &[add(addresses(&[]))]), Ok(generation));
    });
}

#[test]
fn a_replacement_is_one_generation() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        change(&mut kernel, None, &everything()).unwrap();
        let before = kernel.generation().unwrap();
        let replacement = peers(addresses(&["10.0.0.1"]));
        let mut operations = vec![Operation::DeleteTable];
        operations.extend(Transaction::from(&diff(None, &replacement)).operations);
        assert_eq!(commit(&mut kernel, &operations), Ok(before + 1));
        assert_eq!(kernel.read().unwrap(), Some(replacement));
        assert_eq!(kernel.owner().unwrap().is_some(), owns_tables());
    });
}

#[test]
fn a_transaction_for_another_generation_is_stale() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let held = peers(addresses(&["10.0.0.1"]));
        let expected = change(&mut kernel, None, &held).unwrap();
        let transaction = Transaction { operations: vec![add(addresses(&["10.0.0.2"]))] };
        kernel.commit_at(&transaction, Some(expected)).unwrap();
        assert_eq!(kernel.generation(), Ok(expected + 1));
        let transaction = Transaction { operations: vec![add(addresses(&["10.0.0.3"]))] };
        let error = kernel.commit_at(&transaction, Some(expected)).unwrap_err();
        assert_eq!(error, CommitError::Stale { expected });
        assert_eq!(kernel.generation(), Ok(expected + 1));
        assert_eq!(kernel.read().unwrap(), Some(peers(addresses(&["10.0.0.1", "10.0.0.2"]))));
    });
}

#[test]
fn a_rule_that_fits_no_message_is_refused() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let rule = rule(vec![Match::L4Proto(6); 2_000], Verdict::Accept);
        let operations = [Operation::DeleteTable, Operation::AddRule { chain: name("c"), rule }];
        let error = commit(&mut kernel, &operations).unwrap_err();
        assert!(matches!(error, CommitError::Refused { index: 1, errno: Errno(libc::EMSGSIZE), .. }), "{error}");
    });
}

#[test]
fn only_the_own_table_is_written() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let transaction = Transaction { operations: vec![Operation::CreateTable { comment: None }] };
        let error = kernel.commit(&Name::new("other").unwrap().into(), &transaction).unwrap_err();
        assert!(matches!(error, CommitError::Rejected { .. }), "{error}");
        assert_eq!(list(), "");
        assert_eq!(kernel.read().unwrap(), None);
    });
}

#[test]
fn without_the_capability_opening_says_so() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    in_namespace(|| {
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
        let error = Kernel::open(name(TABLE), Ownership::Take).err().unwrap();
        assert!(matches!(error, OpenError::NotPermitted), "{error}");
    });
}
