//! Whatever the kernel answers, reading it ends with a value or an error.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::netlink::batch::Reply;
use crate::netlink::message::Messages;
use crate::netlink::{encode, read};
use crate::tests::arbitrary::rulesets;
use crate::tests::build::name;
use crate::{ElementsKind, Ruleset, Transaction, diff};

/// All that reads bytes.
fn read_all(bytes: &[u8]) {
    let table = name("palisade").into();
    let _ = read::table(bytes, &table);
    let _ = read::chains(bytes, &table);
    let _ = read::sets(bytes, &table);
    let _ = read::rules(bytes, &table).map(|rules| read::counters(&rules));
    let _ = read::stateful(bytes, &table).map(read::named_counters);
    let _ = read::flowtables(bytes, &table);
    let _ = read::generation(bytes);
    for kind in
        [ElementsKind::Ipv4, ElementsKind::Ipv6Ranges, ElementsKind::PortRangeVerdicts, ElementsKind::Ipv4Endpoints]
    {
        let _ = read::elements(bytes, &table, kind);
    }
    let _ = Reply::read_all(bytes);
    for message in Messages(bytes).flatten() {
        let _ = Reply::read(message);
    }
}

/// The messages that make `ruleset`, which are much like those that list it.
fn listed(ruleset: &Ruleset) -> Vec<u8> {
    let parts = encode::transaction(&ruleset.table, 0, &Transaction::from(&diff(None, ruleset))).unwrap();
    parts.iter().flat_map(|(_, message)| message.to_bytes(1)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_are_no_harm(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn mutated_listings_are_no_harm(
        ruleset in rulesets(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = listed(&ruleset);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes);
        bytes.truncate(end.index(bytes.len()));
        read_all(&bytes);
    }

    #[test]
    fn unharmed_listings_are_read(ruleset in rulesets()) {
        let bytes = listed(&ruleset);
        prop_assert!(read::table(&bytes, &ruleset.table).unwrap().is_some());
        prop_assert_eq!(read::chains(&bytes, &ruleset.table).unwrap().len(), ruleset.chains.len());
        prop_assert_eq!(read::sets(&bytes, &ruleset.table).unwrap().len(), ruleset.sets.len());
        prop_assert_eq!(read::stateful(&bytes, &ruleset.table).unwrap().len(), ruleset.counters.len());
        let rules = ruleset.chains.values().map(|chain| chain.rules.len()).sum::<usize>();
        prop_assert_eq!(read::rules(&bytes, &ruleset.table).unwrap().len(), rules);
    }
}
