use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::namespace::{blocks, change, commit, expressions, in_namespace, list, load, open};
use super::sample::{everything, frames, peers};
use crate::tests::arbitrary::{operations, pairs, rulesets};
use crate::tests::build::{addresses, name, ranges};
use crate::{Backend, CommitError, Errno, Fake, Kernel, Operation, Ownership, Transaction};

#[test]
fn both_ways_of_writing_are_listed_alike_and_read_alike() {
    let written = everything();
    let by_netlink = in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        change(&mut kernel, None, &written).unwrap();
        assert_eq!(kernel.read().unwrap().as_ref(), Some(&written));
        (blocks(), expressions())
    });
    let by_text = in_namespace(|| {
        load(&written.to_text());
        assert_eq!(open(Ownership::Plain).read().unwrap().as_ref(), Some(&written));
        (blocks(), expressions())
    });
    assert_eq!(by_netlink, by_text);
    assert!(by_text.1.len() > 50);
}

#[test]
fn so_is_a_table_of_frames_beside_one_of_packets_by_the_same_name() {
    let (packets, frames) = (peers(addresses(&["10.0.0.1"])), frames());
    let by_netlink = in_namespace(|| {
        let mut others = open(Ownership::Plain);
        change(&mut others, None, &packets).unwrap();
        let mut kernel = Kernel::open(frames.table.clone(), Ownership::Take).unwrap();
        change(&mut kernel, None, &frames).unwrap();
        assert_eq!(kernel.read().unwrap().as_ref(), Some(&frames));
        assert_eq!(others.read().unwrap().as_ref(), Some(&packets));
        let listing = list();
        in_namespace(|| load(&listing.replace("flags owner,persist", "")));
        (blocks(), expressions())
    });
    let by_text = in_namespace(|| {
        load(&packets.to_text());
        load(&frames.to_text());
        let mut kernel = Kernel::open(frames.table.clone(), Ownership::Plain).unwrap();
        assert_eq!(kernel.read().unwrap().as_ref(), Some(&frames));
        (blocks(), expressions())
    });
    assert_eq!(by_netlink, by_text);
}

#[test]
fn what_is_listed_loads_again() {
    let written = everything();
    in_namespace(|| {
        change(&mut open(Ownership::Plain), None, &written).unwrap();
        let listing = list();
        in_namespace(|| {
            load(&listing);
            assert_eq!(open(Ownership::Plain).read().unwrap().as_ref(), Some(&written));
        });
    });
}

#[test]
fn what_is_written_is_read_whatever_was_there() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        check(100, pairs(), |(before, after)| {
            let held = kernel.read().unwrap();
            for (from, to) in [(held.as_ref(), &before), (Some(&before), &after)] {
                let committed = change(&mut kernel, from, to);
                prop_assert!(committed.is_ok(), "{}", committed.unwrap_err());
                prop_assert_eq!(kernel.read().unwrap(), Some(to.clone()));
            }
            Ok(())
        });
    });
}

#[test]
fn what_nft_made_is_read_and_changed() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        check(60, pairs(), |(before, after)| {
            load(&before.to_text());
            prop_assert_eq!(kernel.read().unwrap(), Some(before.clone()));
            let committed = change(&mut kernel, Some(&before), &after);
            prop_assert!(committed.is_ok(), "{}", committed.unwrap_err());
            prop_assert_eq!(kernel.read().unwrap(), Some(after));
            Ok(())
        });
    });
}

#[test]
fn whatever_it_is_both_ways_of_writing_are_listed_alike() {
    check(40, rulesets(), |written| {
        let by_text = in_namespace(|| {
            load(&written.to_text());
            (blocks(), expressions())
        });
        let by_netlink = in_namespace(|| {
            change(&mut open(Ownership::Take), None, &written).unwrap();
            (blocks(), expressions())
        });
        prop_assert_eq!(by_netlink, by_text);
        Ok(())
    });
}

#[test]
fn the_kernel_refuses_what_the_fake_refuses() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        check(300, operations(), |(before, operations)| {
            let held = kernel.read().unwrap();
            change(&mut kernel, held.as_ref(), &before).unwrap();
            let mut fake = Fake::holding(before.clone());
            let transaction = Transaction { operations };
            let by_fake = fake.commit(&before.table, &transaction);
            let by_kernel = kernel.commit(&before.table, &transaction);
            let why = |result: Result<_, CommitError>| -> Option<Refusal> {
                match result {
                    Ok(_) => None,
                    Err(CommitError::Refused { index, operation, errno, .. }) => Some((index, operation, errno)),
                    Err(error) => panic!("{error}"),
                }
            };
            let (mut by_kernel, by_fake) = (why(by_kernel), why(by_fake));
            // Linux 6.1 says so of a base chain that is there with another hook.
            if let (Some((index, _, errno @ Errno(libc::EEXIST))), Some((.., wanted @ Errno(libc::EOPNOTSUPP)))) =
                (&mut by_kernel, &by_fake)
                && matches!(transaction.operations[*index], Operation::CreateChain { base: Some(_), .. })
            {
                *errno = *wanted;
            }
            if by_kernel != by_fake && is_overlooked(&transaction, by_fake.as_ref(), by_kernel.as_ref()) {
                return Ok(());
            }
            prop_assert_eq!(by_kernel, by_fake, "{}", transaction);
            prop_assert_eq!(kernel.read().unwrap(), fake.ruleset().cloned());
            Ok(())
        });
    });
}

type Refusal = (usize, String, Errno);

/// Whether the fake refused ranges that the kernel does not look at as a whole: that one up to the highest key is in the
/// way of another, or is not the one that is there. Or a set that some kernels do not look at.
fn is_overlooked(transaction: &Transaction, by_fake: Option<&Refusal>, by_kernel: Option<&Refusal>) -> bool {
    let Some((index, _, errno)) = by_fake else { return false };
    match (&transaction.operations[*index], errno) {
        (Operation::AddElements { elements, .. }, Errno(libc::EEXIST))
        | (Operation::DeleteElements { elements, .. }, Errno(libc::ENOENT)) => elements.kind().is_interval(),
        // Linux 5.10 takes a set that is there as another type for that one.
        (Operation::CreateSet { .. }, Errno(libc::EEXIST)) => by_kernel.is_none_or(|(at, ..)| at > index),
        _ => false,
    }
}

#[test]
fn a_range_that_the_kernel_should_not_have_taken_is_told() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        let highest = "255.255.255.255";
        change(&mut kernel, None, &peers(ranges(&[("144.0.0.0", highest)]))).unwrap();
        let all = ranges(&[("0.0.0.0", highest)]);
        commit(&mut kernel, &[Operation::AddElements { set: name("peers"), elements: all }]).unwrap();
        let read = kernel.read().unwrap().unwrap();
        assert_eq!(read.foreign, ["set peers".to_owned()].into());
    });
}

/// Of a range up to the highest key it compares only where it begins.
#[test]
fn a_range_that_begins_alike_is_deleted_by_the_kernel() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Plain);
        change(&mut kernel, None, &peers(ranges(&[("144.0.0.0", "200.0.0.0")]))).unwrap();
        let longer = ranges(&[("144.0.0.0", "255.255.255.255")]);
        commit(&mut kernel, &[Operation::DeleteElements { set: name("peers"), elements: longer }]).unwrap();
        assert_eq!(kernel.read().unwrap(), Some(peers(ranges(&[]))));
    });
}

fn check<S: Strategy>(cases: u32, strategy: S, mut test: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let test = RefCell::new(&mut test);
    let result = TestRunner::new(config).run(&strategy, |value| (test.borrow_mut())(value));
    result.unwrap_or_else(|error| panic!("{error}"));
}
