use std::os::fd::AsRawFd;
use std::process::Command;

use super::namespace::{change, commit, in_namespace, load, nft, open, where_tables_are_owned};
use super::sample::peers;
use crate::netlink::socket::Channel;
use crate::tests::build::{addresses, name};
use crate::{Backend, CommitError, Operation, Ownership};

fn add(address: &str) -> Operation {
    Operation::AddElements { set: name("peers"), elements: addresses(&[address]) }
}

#[test]
fn what_is_owned_nobody_else_can_write() {
    where_tables_are_owned(|| {
        let mut kernel = open(Ownership::Take);
        let held = peers(addresses(&["10.0.0.1"]));
        change(&mut kernel, None, &held).unwrap();
        let owner = kernel.owner().unwrap().unwrap();
        assert_eq!(owner.port, kernel.port());
        for ownership in [Ownership::Take, Ownership::Plain] {
            let mut other = open(ownership);
            let error = commit(&mut other, &[add("10.0.0.2")]).unwrap_err();
            assert!(matches!(&error, CommitError::Owned { owner: found, .. } if *found == owner), "{error}");
            assert!(matches!(other.adopt(), Err(CommitError::Owned { .. })));
            assert_eq!(other.read().unwrap().as_ref(), Some(&held));
        }
        assert!(nft(&["flush", "ruleset"], "").status.success());
        assert!(!nft(&["delete", "table", "inet", "palisade"], "").status.success());
        assert_eq!(kernel.read().unwrap(), Some(held));
        commit(&mut kernel, &[add("10.0.0.2")]).unwrap();
    });
}

#[test]
fn what_an_owner_leaves_behind_is_adopted_with_the_first_change() {
    where_tables_are_owned(|| {
        let held = peers(addresses(&["10.0.0.1"]));
        change(&mut open(Ownership::Take), None, &held).unwrap();
        let mut kernel = open(Ownership::Take);
        let generation = kernel.generation().unwrap();
        assert_eq!(kernel.read().unwrap().as_ref(), Some(&held));
        change(&mut kernel, Some(&held), &held).unwrap();
        assert_eq!((kernel.owner().unwrap(), kernel.generation().unwrap()), (None, generation));
        let after = peers(addresses(&["10.0.0.2"]));
        assert_eq!(change(&mut kernel, Some(&held), &after).unwrap(), generation + 1);
        assert_eq!(kernel.owner().unwrap().map(|owner| owner.port), Some(kernel.port()));
        assert_eq!(kernel.read().unwrap(), Some(after));
    });
}

#[test]
fn what_an_owner_leaves_behind_is_adopted_when_asked() {
    where_tables_are_owned(|| {
        let mut kernel = open(Ownership::Take);
        assert!(!kernel.adopt().unwrap());
        let held = peers(addresses(&["10.0.0.1"]));
        change(&mut open(Ownership::Take), None, &held).unwrap();
        assert!(kernel.adopt().unwrap());
        assert!(!kernel.adopt().unwrap());
        assert_eq!(kernel.owner().unwrap().map(|owner| owner.port), Some(kernel.port()));
        assert_eq!(kernel.read().unwrap(), Some(held));
    });
}

#[test]
fn what_an_owner_leaves_behind_can_be_deleted_and_made_anew() {
    where_tables_are_owned(|| {
        change(&mut open(Ownership::Take), None, &peers(addresses(&["10.0.0.1"]))).unwrap();
        let mut kernel = open(Ownership::Take);
        commit(&mut kernel, &[Operation::DeleteTable]).unwrap();
        assert_eq!(kernel.read().unwrap(), None);
        let after = peers(addresses(&["10.0.0.2"]));
        change(&mut kernel, None, &after).unwrap();
        assert_eq!(kernel.owner().unwrap().map(|owner| owner.port), Some(kernel.port()));
        assert_eq!(kernel.read().unwrap(), Some(after));
    });
}

#[test]
fn what_is_plain_stays_plain() {
    in_namespace(|| {
        load(&peers(addresses(&["10.0.0.1"])).to_text());
        let mut kernel = open(Ownership::Take);
        assert!(!kernel.adopt().unwrap());
        commit(&mut kernel, &[add("10.0.0.2")]).unwrap();
        assert_eq!(kernel.owner().unwrap(), None);
        load("add element inet palisade peers { 10.0.0.3 }");
        assert_eq!(kernel.read().unwrap(), Some(peers(addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]))));
    });
}

#[test]
fn who_wants_no_ownership_takes_none() {
    where_tables_are_owned(|| {
        change(&mut open(Ownership::Take), None, &peers(addresses(&["10.0.0.1"]))).unwrap();
        let mut kernel = open(Ownership::Plain);
        commit(&mut kernel, &[add("10.0.0.2")]).unwrap();
        assert!(!kernel.adopt().unwrap());
        assert_eq!(kernel.owner().unwrap(), None);
    });
}

#[test]
fn no_program_inherits_the_socket() {
    in_namespace(|| {
        let channel = Channel::open(0).unwrap();
        let descriptor = format!("/proc/self/fd/{}", channel.fd().as_raw_fd());
        assert!(std::fs::symlink_metadata(&descriptor).is_ok());
        assert!(!Command::new("readlink").arg(&descriptor).output().unwrap().status.success());
    });
}
