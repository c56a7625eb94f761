//! Against the real kernel, with connections that no packet began.

mod events;
mod forget;
mod live;

use proptest::prelude::*;
use std::net::IpAddr;

use super::*;
use crate::netlink::attributes::Attributes;
use crate::netlink::tests::namespace::in_namespace;

const ALL: Mark = Mark { mask: 0, value: 0 };
const HIGH: u32 = 0xff00_0000;
/// What the tests mark with.
const MINE: Mark = Mark { mask: HIGH, value: 0x4100_0000 };
const NONE: Mark = Mark { mask: HIGH, value: 0 };
const NLM_F_EXCL: u16 = 0x200;
const CTA_TIMEOUT: u16 = 7;

/// What of a protocol makes up a tuple: ports, or what an echo has.
#[derive(Clone, Copy)]
enum Proto {
    Ports(u8, u16, u16),
    Icmp(u8),
    Icmpv6(u8),
    Other(u8),
}

#[derive(Clone, Copy)]
struct Tuple(IpAddr, IpAddr, Proto);

/// A connection as it is made: with a mark, in a zone.
#[derive(Clone, Copy)]
struct Made {
    original: Tuple,
    reply: Tuple,
    mark: u32,
    zone: u16,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A connection that is not translated.
fn made(source: &str, destination: &str, proto: Proto) -> Made {
    let (source, destination) = (address(source), address(destination));
    let back = match proto {
        Proto::Ports(protocol, source, destination) => Proto::Ports(protocol, destination, source),
        Proto::Icmp(_) => Proto::Icmp(0),
        Proto::Icmpv6(_) => Proto::Icmpv6(129),
        Proto::Other(protocol) => Proto::Other(protocol),
    };
    Made { original: Tuple(source, destination, proto), reply: Tuple(destination, source, back), mark: 0, zone: 0 }
}

fn udp(port: u16) -> Made {
    made("10.0.0.1", "10.0.0.2", Proto::Ports(17, port, 53))
}

impl Tuple {
    fn write(self, kind: u16, message: &mut Writer) {
        let Self(source, destination, proto) = self;
        message.nested(kind, |tuple| {
            tuple.nested(CTA_TUPLE_IP, |ip| match (source, destination) {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    ip.bytes(CTA_IP_V4_SRC, &source.octets());
                    ip.bytes(CTA_IP_V4_SRC + 1, &destination.octets());
                }
                (IpAddr::V6(source), IpAddr::V6(destination)) => {
                    ip.bytes(CTA_IP_V6_SRC, &source.octets());
                    ip.bytes(CTA_IP_V6_SRC + 1, &destination.octets());
                }
                _ => panic!("two families"),
            });
            tuple.nested(CTA_TUPLE_PROTO, |fields| match proto {
                Proto::Ports(protocol, source, destination) => {
                    fields.bytes(CTA_PROTO_NUM, &[protocol]);
                    fields.be16(CTA_PROTO_SRC_PORT, source);
                    fields.be16(CTA_PROTO_DST_PORT, destination);
                }
                Proto::Icmp(kind) => echo(fields, 1, 4, kind),
                Proto::Icmpv6(kind) => echo(fields, 58, 7, kind),
                Proto::Other(protocol) => fields.bytes(CTA_PROTO_NUM, &[protocol]),
            });
        });
    }
}

fn echo(fields: &mut Writer, protocol: u8, first: u16, kind: u8) {
    fields.bytes(CTA_PROTO_NUM, &[protocol]);
    fields.be16(first, 7);
    fields.bytes(first + 1, &[kind]);
    fields.bytes(first + 2, &[0]);
}

fn begin(connections: &[Made]) {
    let messages: Vec<Message> = connections.iter().map(|one| message(one, IPCTNL_MSG_CT_NEW)).collect();
    for messages in messages.chunks(CHUNK) {
        assert_eq!(Channel::open(0).unwrap().request_all(messages).unwrap(), []);
    }
}

fn end(connection: &Made) {
    let message = message(connection, IPCTNL_MSG_CT_DELETE);
    assert_eq!(Channel::open(0).unwrap().request_all(&[message]).unwrap(), []);
}

fn message(connection: &Made, kind: u8) -> Message {
    let Made { original, reply, mark, zone } = *connection;
    let mut attributes = Writer::default();
    original.write(CTA_TUPLE_ORIG, &mut attributes);
    reply.write(CTA_TUPLE_REPLY, &mut attributes);
    attributes.be32(CTA_TIMEOUT, 600);
    attributes.be32(CTA_MARK, mark);
    attributes.be16(CTA_ZONE, zone);
    let family = if original.0.is_ipv4() { NFPROTO_IPV4 } else { NFPROTO_IPV6 };
    Message::conntrack(kind, NLM_F_CREATE | NLM_F_EXCL, family, attributes).unwrap()
}

fn list(marked: Mark) -> Vec<Connection> {
    KernelConntrack::open().unwrap().list(marked).unwrap()
}

fn marks() -> Vec<u32> {
    let mut marks: Vec<u32> = list(ALL).iter().map(|connection| connection.mark).collect();
    marks.sort_unstable();
    marks
}

#[test]
fn each_kind_of_connection_can_be_marked() {
    in_namespace(|| {
        let ports = |protocol| Proto::Ports(protocol, 1000, 80);
        let dnat = Made {
            reply: Tuple(address("10.2.0.2"), address("10.0.0.1"), Proto::Ports(6, 8080, 1000)),
            ..made("10.0.0.1", "10.96.0.1", ports(6))
        };
        let snat = Made {
            reply: Tuple(address("fd00::2"), address("fd00::99"), Proto::Ports(17, 80, 4000)),
            ..made("fd00::1", "fd00::2", ports(17))
        };
        for made in [
            made("10.0.0.1", "10.0.0.2", ports(17)),
            made("fd00::1", "fd00::2", ports(132)),
            dnat,
            snat,
            made("10.0.0.1", "10.0.0.2", Proto::Icmp(8)),
            made("fd00::1", "fd00::2", Proto::Icmpv6(128)),
            made("10.0.0.1", "10.0.0.2", Proto::Other(50)),
        ] {
            begin(&[made]);
            assert_eq!(KernelConntrack::open().unwrap().mark(&list(ALL), MINE).unwrap(), 1);
            assert_eq!(marks(), [MINE.value]);
            end(&made);
        }
    });
}

#[test]
fn of_a_mark_only_the_bits_asked_for_are_written() {
    in_namespace(|| {
        begin(&[Made { mark: 0xf0ff_ff0f, ..udp(1) }, udp(2), Made { mark: 0xffff_ffff, ..udp(3) }]);
        let mut conntrack = KernelConntrack::open().unwrap();
        let all = list(ALL);
        assert_eq!(conntrack.mark(&all, MINE).unwrap(), 3);
        assert_eq!(marks(), [0x4100_0000, 0x41ff_ff0f, 0x41ff_ffff]);
        assert_eq!(conntrack.mark(&all, NONE).unwrap(), 3);
        assert_eq!(marks(), [0, 0x00ff_ff0f, 0x00ff_ffff]);
        assert_eq!(conntrack.mark(&[], MINE).unwrap(), 0);
    });
}

#[test]
fn those_with_a_mark_are_listed_alone() {
    in_namespace(|| {
        let marked = |mark, port| Made { mark, ..udp(port) };
        begin(&[marked(MINE.value | 1, 1), marked(0x4200_0000, 2), marked(0xc100_0000, 3), marked(1, 4), udp(5)]);
        let marks = |mark| {
            let mut marks: Vec<u32> = list(mark).iter().map(|connection| connection.mark).collect();
            marks.sort_unstable();
            marks
        };
        assert_eq!(marks(MINE), [MINE.value | 1]);
        assert_eq!(marks(Mark { mask: 0xc000_0000, value: 0x4000_0000 }), [MINE.value | 1, 0x4200_0000]);
        assert_eq!(marks(NONE), [0, 1]);
        assert_eq!(marks(ALL).len(), 5);
    });
}

#[test]
fn zones_are_told_apart() {
    in_namespace(|| {
        begin(&[udp(1), Made { zone: 5, mark: 2, ..udp(1) }]);
        let other = list(Mark { mask: 2, value: 2 });
        KernelConntrack::open().unwrap().mark(&other, MINE).unwrap();
        assert_eq!(marks(), [0, MINE.value | 2]);
    });
}

#[test]
fn connections_that_have_ended_are_passed_over() {
    in_namespace(|| {
        begin(&[udp(1), udp(2), udp(3)]);
        let all = list(ALL);
        end(&udp(2));
        end(&udp(3));
        assert_eq!(KernelConntrack::open().unwrap().mark(&all, MINE).unwrap(), 1);
        assert_eq!(marks(), [MINE.value]);
    });
}

#[test]
fn many_are_marked_at_once() {
    in_namespace(|| {
        begin(&(0..3_001).map(udp).collect::<Vec<_>>());
        let all = list(ALL);
        end(&udp(17));
        assert_eq!(KernelConntrack::open().unwrap().mark(&all, MINE).unwrap(), 3_000);
        assert_eq!(marks(), [MINE.value; 3_000]);
    });
}

#[test]
fn all_that_have_some_of_the_bits_are_cleared() {
    in_namespace(|| {
        let marked = |port| Made { mark: if port % 3 == 0 { 7 } else { u32::from(port % 3) << 24 | 7 }, ..udp(port) };
        begin(&(0..3_001).map(marked).collect::<Vec<_>>());
        let mut conntrack = KernelConntrack::open().unwrap();
        assert_eq!(conntrack.clear(HIGH, None).unwrap(), 2_000);
        assert_eq!(marks(), [7; 3_001]);
        assert_eq!(conntrack.clear(HIGH, None).unwrap(), 0);
    });
}

#[test]
fn keys_that_no_kernel_made_are_refused() {
    in_namespace(|| {
        let connection = |key: &[u8]| Connection { mark: 0, key: key.into() };
        let mut conntrack = KernelConntrack::open().unwrap();
        for key in [&[][..], &[2, 0, 0], &[2, 0, 0, 9, 0, 1, 0]] {
            let error = conntrack.mark(&[connection(key)], MINE).unwrap_err();
            assert!(matches!(error, BackendError::System { .. }), "{error}");
        }
        begin(&[udp(1)]);
        conntrack.settle();
        assert_eq!(conntrack.mark(&list(ALL), MINE).unwrap(), 1, "it works after errors");
    });
}

proptest! {
    #[test]
    fn garbage_is_no_connection(body in prop::collection::vec(any::<u8>(), 0..200), kind in 0..2_u16) {
        let message = crate::netlink::message::Received { kind: 0x100 | kind, flags: 0, sequence: 0, port: 0, body: &body };
        if let Ok(Some(entry)) = Entry::read(message) {
            let _ = (entry.connection(), entry.concerns(&[address("10.0.0.1")].into()), entry.deletion());
        }
    }

    #[test]
    fn a_message_that_was_cut_off_is_no_other_connection(length in 0..200_usize) {
        let whole = message(&udp(1), IPCTNL_MSG_CT_NEW).to_bytes(1);
        let body = &whole[16..whole.len().min(16 + length)];
        let received = |body| crate::netlink::message::Received { kind: 0x100, flags: 0, sequence: 0, port: 0, body };
        let read = |body| Entry::read(received(body)).map(|entry| entry.map(|entry| entry.connection()));
        let (told, expected) = (read(body), read(&whole[16..]).unwrap());
        prop_assert!(told.is_err() || told == Ok(expected), "{:?}", told);
    }
}

#[test]
fn a_listing_by_mark_asks_the_kernel_to_compare() {
    let request = listing(MINE);
    let numbers = |attributes: Attributes<'_>| {
        attributes.map(|one| one.unwrap()).map(|one| (one.kind, one.be32().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(request.attributes()), [(CTA_MARK, MINE.value), (CTA_MARK_MASK, MINE.mask)]);
}
