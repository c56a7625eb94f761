use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::namespace::{TABLE, change, in_namespace, open};
use super::sample::peers;
use crate::tests::build::{chain, commented, name, rule};
use crate::{AddressField, Backend, Elements, Match, Ownership, Range, Ruleset, Verdict};

#[test]
fn a_hundred_thousand_elements_are_one_commit() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        let before = kernel.generation().unwrap();
        let keys: BTreeSet<Ipv4Addr> = (0..100_000_u32).map(|i| (i * 7).into()).collect();
        let written = peers(Elements::Ipv4(keys));
        assert_eq!(change(&mut kernel, None, &written).unwrap(), before + 1);
        assert_eq!(kernel.read().unwrap(), Some(written.clone()));
        let empty = peers(Elements::Ipv4(BTreeSet::new()));
        assert_eq!(change(&mut kernel, Some(&written), &empty).unwrap(), before + 2);
        assert_eq!(kernel.read().unwrap(), Some(empty));
    });
}

#[test]
fn many_ranges_are_one_commit() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        let range = |i: u32| Range { first: Ipv4Addr::from_bits(i << 16), last: Ipv4Addr::from_bits((i << 16) + i) };
        let written = peers(Elements::Ipv4Ranges((0..20_000).map(range).collect()));
        change(&mut kernel, None, &written).unwrap();
        assert_eq!(kernel.read().unwrap(), Some(written));
    });
}

/// More messages, and more bytes, than a socket takes or acknowledges unasked.
#[test]
fn thousands_of_chains_and_rules_are_one_commit() {
    in_namespace(|| {
        let mut kernel = open(Ownership::Take);
        let before = kernel.generation().unwrap();
        let pod = |i: u32| {
            let address = Match::Address(AddressField::Saddr, Ipv4Addr::from_bits(i).into());
            (name(&format!("pod-{i}")), commented(chain([rule([address], Verdict::Drop)]), "a pod"))
        };
        let written = Ruleset { chains: (0..4_000).map(pod).collect(), ..Ruleset::empty(name(TABLE)) };
        assert_eq!(change(&mut kernel, None, &written).unwrap(), before + 1);
        assert_eq!(kernel.read().unwrap(), Some(written));
    });
}
