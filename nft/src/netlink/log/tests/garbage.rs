//! Whatever is told, reading it ends with a record or a count.

use proptest::collection::vec;
use proptest::prelude::*;

use super::packets::{ipv4, mutated, tcp, valid};
use crate::netlink::attributes::{Attributes, Writer};
use crate::netlink::constants::*;
use crate::netlink::log::record::{LogRecord, Told};
use crate::{Family, Tuple};

/// What the kernel tells of `payload`, with its connection.
fn told(payload: &[u8]) -> Vec<u8> {
    let mut message = Writer::default();
    message.text(NFULA_PREFIX, "dropped");
    message.be32(NFULA_IFINDEX_INDEV, 4);
    message.be32(NFULA_IFINDEX_OUTDEV, 5);
    message.be32(NFULA_IFINDEX_PHYSINDEV, 6);
    message.be32(NFULA_SEQ, 9);
    message.nested(NFULA_CT, |connection| {
        connection.nested(CTA_TUPLE_ORIG, |tuple| {
            tuple.nested(CTA_TUPLE_IP, |ends| {
                ends.bytes(CTA_IP_V4_SRC, &[10, 0, 0, 1]);
                ends.bytes(CTA_IP_V4_DST, &[10, 96, 0, 1]);
            });
            tuple.nested(CTA_TUPLE_PROTO, |above| {
                above.bytes(CTA_PROTO_NUM, &[6]);
                above.be16(CTA_PROTO_SRC_PORT, 40_000);
                above.be16(CTA_PROTO_DST_PORT, 80);
            });
        });
    });
    message.bytes(NFULA_PAYLOAD, payload);
    message.into_bytes()
}

fn read(bytes: &[u8]) -> Option<LogRecord> {
    Told::read(Attributes(bytes)).ok()?.record().ok()
}

#[test]
fn all_that_is_told_is_read() {
    let bytes = told(&ipv4(6, 0, 0, &tcp(40_000, 8080, 2)));
    let (source, destination) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let original = Tuple { source, destination: "10.96.0.1".parse().unwrap(), protocol: 6, ports: Some((40_000, 80)) };
    let record = LogRecord {
        prefix: "dropped".to_owned(),
        source,
        destination,
        protocol: 6,
        ports: Some((40_000, 8080)),
        icmp: None,
        tcp_flags: Some(2),
        length: 40,
        input: Some(6),
        output: Some(5),
        original: Some(original),
        reply: None,
    };
    assert_eq!(record.family(), Family::Ipv4);
    assert_eq!(read(&bytes), Some(record));
    assert_eq!(Told::read(Attributes(&bytes)).unwrap().sequence, Some(9));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_are_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = Tuple::read(Attributes(&bytes));
    }

    #[test]
    fn mutated_messages_are_no_harm(bytes in mutated(valid().prop_map(|packet| told(&packet)))) {
        let _ = read(&bytes);
    }

    #[test]
    fn unharmed_messages_are_read(packet in valid()) {
        prop_assert!(read(&told(&packet)).is_some_and(|record| record.length as usize == packet.len()));
    }
}
