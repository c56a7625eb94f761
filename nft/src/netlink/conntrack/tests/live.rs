//! Connections as they are, with what is counted of them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::netlink::attributes::Malformed;
use crate::netlink::log::tests::packets::mutated;
use crate::netlink::tests::counters::bring_loopback_up;
use crate::netlink::tests::namespace::load;
use crate::{CounterValue, LiveConnection, Tuple as ReadTuple};

/// Conntrack looks at what passes where a rule asks for it.
const TRACKING: &str = "table inet t { chain c { type filter hook input priority 0; ct state new accept; }; }";

fn live() -> Vec<LiveConnection> {
    let mut connections = Vec::new();
    KernelConntrack::open().unwrap().live(|one| connections.push(one)).unwrap();
    connections
}

fn count(of: &str) {
    fs::write(format!("/proc/sys/net/netfilter/nf_conntrack_{of}"), "1").unwrap();
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn what_is_counted_of_connections_is_told() {
    in_namespace(|| {
        bring_loopback_up();
        load(TRACKING);
        ["acct", "timestamp"].into_iter().for_each(count);
        let before = now();
        let [client, server] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [from, to] = [&client, &server].map(|socket| socket.local_addr().unwrap());
        client.send_to(b"question", to).unwrap();
        server.recv_from(&mut [0; 9]).unwrap();
        server.send_to(b"answer", from).unwrap();
        client.recv_from(&mut [0; 9]).unwrap();
        let [one] = live().try_into().unwrap();
        let original =
            ReadTuple { source: from.ip(), destination: to.ip(), protocol: 17, ports: Some((from.port(), to.port())) };
        assert_eq!((one.original, one.reply.ports), (original, Some((to.port(), from.port()))));
        let counted = |length: u64| Some(CounterValue { packets: 1, bytes: 20 + 8 + length });
        assert_eq!((one.sent, one.received, one.is_over), (counted(8), counted(6), false));
        assert!((before..=now()).contains(&one.begun.unwrap()), "{one:?}");
    });
}

#[test]
fn where_nothing_is_counted_nothing_is_told_of_it() {
    in_namespace(|| {
        begin(&[
            udp(1),
            made("fd00::1", "fd00::2", Proto::Ports(132, 1, 2)),
            made("10.0.0.1", "10.0.0.2", Proto::Icmp(8)),
        ]);
        let connections = live();
        assert_eq!(connections.len(), 3);
        assert!(
            connections.iter().all(|one| (one.sent, one.received, one.begun, one.is_over) == (None, None, None, false))
        );
    });
}

#[test]
fn a_tcp_connection_is_over_when_both_ends_have_closed_it() {
    in_namespace(|| {
        bring_loopback_up();
        load(TRACKING);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"a").unwrap();
        server.read_exact(&mut [0]).unwrap();
        let is_over = || live().iter().map(|one| one.is_over).collect::<Vec<_>>();
        assert_eq!(is_over(), [false]);
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        assert_eq!(is_over(), [false], "the server may still send");
        drop(server);
        let patience = std::time::Instant::now();
        while is_over() != [true] {
            assert!(patience.elapsed().as_secs() < 60, "{:?}", live());
            std::thread::yield_now();
        }
    });
}

proptest! {
    #[test]
    fn mutated_connections_are_no_harm(
        bytes in mutated(any::<u16>().prop_map(|port| message(&udp(port), IPCTNL_MSG_CT_NEW).to_bytes(1))),
    ) {
        let read = |bytes: &[u8]| -> Result<Vec<LiveConnection>, Malformed> {
            Messages(bytes).filter_map(|message| message.and_then(LiveConnection::read).transpose()).collect()
        };
        let _ = read(&bytes);
    }
}
