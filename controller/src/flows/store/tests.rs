use proptest::prelude::*;

use super::super::record::tests::{from_address, record};
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn added(records: impl IntoIterator<Item = Record>, bounds: Bounds) -> Store {
    let mut store = Store::with(bounds);
    records.into_iter().for_each(|record| store.add(&Arc::new(record)));
    store
}

#[test]
fn flows_between_workloads_are_united() {
    let mut other_pod = record();
    other_pod.time = at(1);
    other_pod.pod.name = "db-7".to_owned();
    other_pod.peer.address = [10, 0, 0, 9].into();
    let other_port = Record { port: Some(81), ..record() };
    let store = added([record(), other_port, other_pod], BOUNDS);
    let entries: Vec<_> = store.entries().map(|entry| (entry.packets, entry.bytes, entry.sample.port)).collect();
    assert_eq!(entries, [(3, 180, Some(81)), (6, 360, Some(80))]);
    let entry = store.entries().nth(1).unwrap();
    assert_eq!((&*entry.workload, &*entry.peer), ("shop/db", "shop/web"));
    assert_eq!((entry.first, entry.last, &*entry.sample.pod.name), (at(1), record().time, "db-0"));
}

#[test]
fn addresses_are_united_by_their_prefix() {
    let addresses = ["192.0.2.1", "192.0.2.200", "192.0.3.1", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"];
    let records = addresses.map(|address| from_address(address.parse::<std::net::IpAddr>().unwrap()));
    let store = added(records, BOUNDS);
    let mut peers: Vec<_> = store.entries().map(|entry| (entry.peer.clone(), entry.packets)).collect();
    peers.sort();
    let expected = [("192.0.2.0/24", 6), ("192.0.3.0/24", 3), ("2001:db8:0:1::/64", 3), ("2001:db8::/64", 6)];
    assert_eq!(peers, expected.map(|(peer, packets)| (peer.to_owned(), packets)));
}

#[test]
fn the_one_with_the_oldest_packet_goes() {
    let of_port = |port, second| Record { port: Some(port), time: at(second), ..record() };
    let few = Bounds { entries: 2, ..BOUNDS };
    let store = added([of_port(1, 1), of_port(2, 2), of_port(1, 3), of_port(3, 4)], few);
    let ports: Vec<_> = store.entries().map(|entry| entry.sample.port.unwrap()).collect();
    assert_eq!((ports, store.gone()), (vec![3, 1], Gone { entries: 1, packets: 3 }));
}

fn arbitrary() -> impl Strategy<Value = Record> {
    let text = prop_oneof![4 => Just(String::new()), 1 => "[a-z]{0,2000}"];
    (0..40_i64, 0..6_u16, 0..4_u8, 1..100_u64, any::<bool>(), text).prop_map(
        |(second, port, peer, packets, is_pod, text)| {
            let ports = Record { port: Some(port), time: at(second), packets, text, ..from_address([192, 0, peer, 1]) };
            let peer = if is_pod { record().peer } else { ports.peer };
            Record { peer, ..ports }.bounded()
        },
    )
}

proptest! {
    #[test]
    fn bounds_hold_and_counts_are_kept(records in prop::collection::vec(arbitrary(), 0..100)) {
        let bounds = Bounds { entries: 8, entries_bytes: 12 << 10, latest: 10, latest_bytes: 8 << 10 };
        let mut store = Store::with(bounds);
        for record in &records {
            store.add(&Arc::new(record.clone()));
            prop_assert!(store.entries.len() <= bounds.entries);
            prop_assert_eq!(store.by_age.len(), store.entries.len());
            let bytes: usize = store.entries.values().map(Entry::size).sum();
            prop_assert_eq!(store.bytes, bytes);
            prop_assert!(bytes <= bounds.entries_bytes);
            let latest = store.latest(None, None);
            prop_assert!(latest.len() <= bounds.latest);
            prop_assert!(latest.iter().map(|record| record.size()).sum::<usize>() <= bounds.latest_bytes);
        }
        let told: u64 = records.iter().map(|record| record.packets).sum();
        let kept: u64 = store.entries().map(|entry| entry.packets).sum();
        prop_assert_eq!(kept + store.gone().packets, told);
        for entry in store.entries() {
            let same: Vec<_> = records.iter().filter(|one| Key::of(one) == Key::of(&entry.sample)).collect();
            prop_assert!(same.iter().all(|one| one.time <= entry.last));
            prop_assert_eq!(entry.sample.time, entry.last);
        }
    }

    /// Where nothing has to go, what is told is what a naive sum says.
    #[test]
    fn with_room_nothing_is_lost(records in prop::collection::vec(arbitrary(), 0..100)) {
        let store = added(records.clone(), BOUNDS);
        prop_assert_eq!(store.gone(), Gone::default());
        for entry in store.entries() {
            let same: Vec<_> = records.iter().filter(|one| Key::of(one) == Key::of(&entry.sample)).collect();
            prop_assert_eq!(entry.packets, same.iter().map(|one| one.packets).sum::<u64>());
            prop_assert_eq!(Some(entry.first), same.iter().map(|one| one.time).min());
            prop_assert_eq!(Some(entry.last), same.iter().map(|one| one.time).max());
        }
        let latest = store.latest(None, None);
        let sum = |of: &mut dyn Iterator<Item = u64>| of.sum::<u64>();
        prop_assert_eq!(
            sum(&mut latest.iter().map(|record| record.packets)),
            sum(&mut records.iter().map(|record| record.packets))
        );
    }
}
