//! What older kernels do, as far as this one can be made to do it.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Kernel, Ownership};
use crate::netlink::batch::{Outcome, wire};
use crate::netlink::encode;
use crate::netlink::monitor::Ear;
use crate::netlink::tests::namespace::{in_namespace, load};
use crate::netlink::tests::sample::peers;
use crate::tests::build::{addresses, name};
use crate::{Backend, Elements, Event, Monitor, Operation, Ruleset, Transaction, diff};

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
fn any_thread_may_have_it() {
    fn is_send<T: Send>() {}
    is_send::<Kernel>();
    is_send::<Monitor>();
}

#[test]
fn what_others_change_while_nobody_listens_is_told_as_lost() {
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Plain).unwrap();
        let held = peers(addresses(&["10.0.0.1"]));
        kernel.commit(&held.table, &Transaction::from(&diff(None, &held))).unwrap();
        let mut monitor = kernel.monitor().unwrap();
        let own = |kernel: &mut Kernel, address: &str| {
            let operations = vec![Operation::AddElements { set: name("peers"), elements: addresses(&[address]) }];
            let parts = encode::transaction(&held.table, 0, &Transaction { operations }).unwrap();
            let messages: Vec<_> = parts.iter().map(|(_, message)| message).collect();
            kernel.deliver(&wire(&messages, None).unwrap())
        };
        assert_eq!(kernel.unheard(|kernel| own(kernel, "10.0.1.1")), Ok((Outcome::Committed, None)));
        assert_eq!(monitor.try_next().unwrap(), None, "what is our own is not told");
        let delivery = kernel.unheard(|kernel| {
            load("add element inet palisade peers { 10.0.0.2 }");
            own(kernel, "10.0.1.2")
        });
        assert_eq!(delivery, Ok((Outcome::Committed, None)));
        let mut ready = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ready, PollTimeout::ZERO), Ok(1), "whoever waits is woken");
        assert_eq!(monitor.try_next().unwrap(), Some(Event::Lost));
        assert_eq!(monitor.try_next().unwrap(), None);
        load("add element inet palisade peers { 10.0.0.3 }");
        assert!(matches!(monitor.try_next().unwrap(), Some(Event::NewGeneration { touched: true, .. })));
    });
}

/// The kernel would make a message for each element, and keep them all.
#[test]
fn nobody_listens_to_a_large_change_of_our_own() {
    in_namespace(|| {
        let mut kernel = Kernel::open(name("palisade"), Ownership::Plain).unwrap();
        let mut monitor = kernel.monitor().unwrap();
        // The monitor would hear of what comes from this socket, too.
        let ear = Ear::of(&monitor, 0).unwrap();
        kernel.ear = Some(ear);
        let [none, one, many] = [0, 1, 5_000].map(|count| peers(Elements::Ipv4((0..count).map(Into::into).collect())));
        let mut is_heard = |from: Option<&Ruleset>, to: &Ruleset| {
            kernel.commit(&to.table, &Transaction::from(&diff(from, to))).unwrap();
            std::iter::from_fn(|| monitor.try_next().unwrap()).count() > 0
        };
        let heard = [is_heard(None, &none), is_heard(Some(&none), &one), is_heard(Some(&one), &many)];
        assert_eq!(heard, [true, true, false]);
        assert!(is_heard(Some(&one), &none), "afterwards it is listened again");
    });
}
