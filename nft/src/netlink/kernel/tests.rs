//! What older kernels do, as far as this one can be made to do it.

use super::old::retires_in_two_steps;
use super::{Kernel, Ownership};
use crate::netlink::batch::{Outcome, Reply, outcome, wire};
use crate::netlink::encode;
use crate::netlink::socket::Channel;
use crate::netlink::tests::namespace::{in_namespace, load};
use crate::netlink::tests::sample::peers;
use crate::tests::build::{addresses, chain, jump, name, rule, table};
use crate::{Backend, CommitError, Monitor, Operation, Transaction, diff};

#[test]
fn old_kernels_are_told_apart() {
    for old in ["5.10.0-28-amd64", "6.1.0", "4.19.1", "6.0"] {
        assert!(retires_in_two_steps(old), "{old}");
    }
    for new in ["6.2.0", "6.18.44-fc-v657", "10.0", "", "strange"] {
        assert!(!retires_in_two_steps(new), "{new}");
    }
}

#[test]
fn where_tables_cannot_be_owned_they_are_plain() {
    const NO_SUCH_FLAG: u32 = 0x80;
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Take).unwrap();
        kernel.flags = NO_SUCH_FLAG;
        let written = peers(addresses(&["10.0.0.1"]));
        kernel.commit(&written.table, &Transaction::from(&diff(None, &written))).unwrap();
        assert_eq!((kernel.flags, kernel.owned, kernel.owner().unwrap()), (0, false, None));
        assert_eq!(kernel.read().unwrap(), Some(written));
    });
}

#[test]
fn a_plain_table_in_the_way_stays_plain_and_is_no_sign_of_an_old_kernel() {
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Take).unwrap();
        let flags = kernel.flags;
        load("add table inet palisade");
        let written = peers(addresses(&["10.0.0.1"]));
        kernel.commit(&written.table, &Transaction::from(&diff(None, &written))).unwrap();
        assert_eq!((kernel.flags, kernel.owned, kernel.owner().unwrap()), (flags, false, None));
        assert_eq!(kernel.read().unwrap(), Some(written));
    });
}

#[test]
fn of_two_steps_the_refused_operation_is_named_by_its_place_in_the_one() {
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Take).unwrap();
        kernel.attempt(&Transaction::from(&diff(None, &table(&[("a", chain([]))], &[]))), None).unwrap();
        let flush = |name| Operation::FlushChain { chain: name };
        let delete = Operation::DeleteChain { name: name("a") };
        let operations = vec![flush(name("a")), delete, flush(name("missing"))];
        let error = kernel.attempt_in_two_steps(&Transaction { operations }, None).unwrap_err();
        assert!(matches!(error, CommitError::Refused { index: 2, .. }), "{error}");
    });
}

#[test]
fn any_thread_may_have_it() {
    fn is_send<T: Send>() {}
    is_send::<Kernel>();
    is_send::<Monitor>();
}

#[test]
fn two_steps_lead_where_one_does() {
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Take).unwrap();
        let before = table(&[("a", chain([rule([], jump("b"))])), ("b", chain([]))], &[("s", addresses(&[]))]);
        let after = table(&[("a", chain([]))], &[]);
        kernel.attempt(&Transaction::from(&diff(None, &before)), None).unwrap();
        let generation = kernel.generation().unwrap();
        kernel.attempt_in_two_steps(&Transaction::from(&diff(Some(&before), &after)), Some(generation)).unwrap();
        assert_eq!(kernel.generation().unwrap(), generation + 2);
        assert_eq!(kernel.read().unwrap(), Some(after));
    });
}

#[test]
fn the_last_message_acknowledged_is_the_batch_committed() {
    const FLAGS_OF_END: usize = 14;
    in_namespace(|| {
        let mut channel = Channel::open(0).unwrap();
        let table = encode::new_table(&name("palisade").into(), 0, None).unwrap();
        let mut wire = wire(&[&table], None).unwrap();
        let (end, last) = (wire.bytes.len() - FLAGS_OF_END, 20 + 6);
        wire.bytes[end] &= !4;
        wire.bytes[last] |= 4;
        wire.acknowledged = wire.first;
        channel.send(&wire.bytes).unwrap();
        let replies = std::iter::from_fn(|| channel.receive().unwrap());
        let replies = replies.flat_map(|datagram| Reply::read_all(&datagram).unwrap()).collect();
        assert_eq!(outcome(&wire, replies), Outcome::Committed);
    });
}
