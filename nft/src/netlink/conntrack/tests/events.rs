//! Connections that begin and end are told, and how many are not.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::collection::vec;
use socket2::SockRef;

use super::*;
use crate::netlink::attributes::Malformed;
use crate::netlink::log::tests::packets::mutated;
use crate::netlink::tests::counters::bring_loopback_up;
use crate::netlink::tests::namespace::load;
use crate::{CounterValue, Tuple as ReadTuple};

/// The next `count` events, and what else comes with them.
fn hear(events: &mut ConnectionEvents, count: usize) -> Vec<ConnectionEvent> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let mut ready = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ready, PollTimeout::from(60_000_u16)), Ok(1), "nothing comes any more");
        heard.extend(events.try_recv().unwrap());
    }
    heard
}

fn read(bytes: &[u8]) -> Result<Vec<ConnectionEvent>, Malformed> {
    Messages(bytes).filter_map(|message| message.and_then(ConnectionEvent::read).transpose()).collect()
}

#[test]
fn packets_that_begin_connections_are_told_and_what_they_were() {
    in_namespace(|| {
        bring_loopback_up();
        fs::write("/proc/sys/net/netfilter/nf_conntrack_acct", "1").unwrap();
        load("table inet t { chain c { type filter hook input priority 0; ct mark set 0x41000000; }; }");
        let mut events = ConnectionEvents::open().unwrap();
        let [client, server] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [from, to] = [&client, &server].map(|socket| socket.local_addr().unwrap());
        client.send_to(b"question", to).unwrap();
        server.recv_from(&mut [0; 9]).unwrap();
        server.send_to(b"answer", from).unwrap();
        client.recv_from(&mut [0; 9]).unwrap();
        KernelConntrack::open().unwrap().forget(&[from.ip()].into()).unwrap();
        let heard = hear(&mut events, 2);
        let ports = (from.port(), to.port());
        let original = ReadTuple { source: from.ip(), destination: to.ip(), protocol: 17, ports: Some(ports) };
        let reply = ReadTuple { ports: Some((ports.1, ports.0)), ..original };
        let counted = |length: u64| Some(CounterValue { packets: 1, bytes: 20 + 8 + length });
        let ended = ConnectionEvent {
            phase: ConnectionPhase::Ended,
            original,
            reply,
            mark: 0x4100_0000,
            id: heard[0].id,
            sent: counted(8),
            received: counted(6),
        };
        assert_eq!(heard[1], ended);
        assert_eq!((heard[0].phase, heard[0].original), (ConnectionPhase::Begun, original));
        assert_eq!((heard.len(), events.lost(), events.malformed()), (2, 0, 0));
    });
}

#[test]
fn connections_of_all_kinds_are_told() {
    let ports = |protocol| Proto::Ports(protocol, 40_000, 80);
    let mut translated = made("10.0.0.1", "10.96.0.1", ports(6));
    translated.reply.0 = address("10.0.0.9");
    let connections = [
        translated,
        made("fd00::1", "fd00::2", ports(132)),
        made("10.0.0.1", "10.0.0.2", Proto::Icmp(8)),
        made("fd00::1", "fd00::2", Proto::Icmpv6(128)),
        Made { zone: 7, mark: 5, ..made("10.0.0.1", "10.0.0.2", Proto::Other(89)) },
    ];
    in_namespace(|| {
        let mut events = ConnectionEvents::open().unwrap();
        begin(&connections);
        connections.iter().for_each(end);
        let heard = hear(&mut events, 2 * connections.len());
        let (begun, ended) = heard.split_at(connections.len());
        for ((connection, begun), ended) in connections.iter().zip(begun).zip(ended) {
            assert_eq!((begun.phase, ended.phase), (ConnectionPhase::Begun, ConnectionPhase::Ended));
            assert_eq!((begun.id, begun.original, begun.reply), (ended.id, ended.original, ended.reply));
            let Tuple(source, destination, proto) = connection.original;
            assert_eq!((begun.original.source, begun.original.destination), (source, destination));
            assert_eq!((begun.reply.source, begun.mark), (connection.reply.0, connection.mark));
            let expected = match proto {
                Proto::Ports(protocol, source, destination) => (protocol, Some((source, destination))),
                Proto::Icmp(_) => (1, None),
                Proto::Icmpv6(_) => (58, None),
                Proto::Other(protocol) => (protocol, None),
            };
            assert_eq!((begun.original.protocol, begun.original.ports), expected);
        }
    });
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    const BEGUN: u16 = 5_000;
    in_namespace(|| {
        let mut events = ConnectionEvents::open().unwrap();
        SockRef::from(&events).set_recv_buffer_size(1 << 14).unwrap();
        begin(&(1..=BEGUN).map(udp).collect::<Vec<_>>());
        let lost = events.lost();
        let heard = hear(&mut events, usize::from(BEGUN) - usize::try_from(lost).unwrap());
        assert!(lost > 0 && !heard.is_empty());
        assert_eq!((heard.len() as u64 + lost, events.lost()), (u64::from(BEGUN), lost));
        begin(&[udp(BEGUN + 1)]);
        let next = hear(&mut events, 1);
        assert_eq!(next[0].original.ports, Some((BEGUN + 1, 53)));
        assert_eq!(events.lost(), lost, "it goes on");
    });
}

#[test]
fn whoever_waits_can_be_told_to_end() {
    in_namespace(|| {
        let mut events = ConnectionEvents::open().unwrap();
        let ender = events.ender();
        let (heard, hears) = mpsc::channel();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                heard.send(events.recv().unwrap().len()).unwrap();
                events.recv().unwrap()
            });
            begin(&[udp(1)]);
            assert_eq!(hears.recv(), Ok(1));
            ender.end();
            assert_eq!(waiting.join().unwrap(), []);
        });
    });
}

#[test]
fn what_says_no_addresses_is_malformed() {
    let empty = Message::conntrack(IPCTNL_MSG_CT_NEW, 0, NFPROTO_IPV4, Writer::default()).unwrap();
    assert!(read(&empty.to_bytes(1)).is_err());
    let question = Message::conntrack(IPCTNL_MSG_CT_GET, 0, NFPROTO_IPV4, Writer::default()).unwrap();
    assert_eq!(read(&question.to_bytes(1)), Ok(vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_are_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn mutated_events_are_no_harm(
        bytes in mutated((any::<u16>(), any::<u32>(), any::<bool>()).prop_map(|(port, mark, begins)| {
            let kind = if begins { IPCTNL_MSG_CT_NEW } else { IPCTNL_MSG_CT_DELETE };
            message(&Made { mark, ..udp(port) }, kind).to_bytes(1)
        })),
    ) {
        let _ = read(&bytes);
    }
}
