//! Rules that log, and who reads that, in network namespaces.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::netlink::batch::Reply;
use crate::netlink::log::{LogError, LogReader, LogRecord, error};
use crate::netlink::socket::{Channel, Failure};
use crate::netlink::tests::counters::{bring_loopback_up, counted_in_time};
use crate::netlink::tests::namespace::{TABLE, change, in_namespace, open};
use crate::tests::build::{chain, counters, limit, log, name, rule};
use crate::{Action, BaseChain, Chain, Counter, Errno, Hook, Kernel, Match, Ownership, Ruleset, Statement, Verdict};

const GROUP: u16 = 6;
/// UDP ports: of what is told, of what is told with a limit, and of what says that nothing more comes.
const TOLD: u16 = 9;
const LIMITED: u16 = 10;
const LAST: u16 = 11;

/// What comes is counted, told under the name of what it is, and dropped.
fn logging() -> Ruleset {
    let told = |what: Match, prefix: &str| Statement {
        counter: Some(Counter::Named(name("dropped"))),
        log: Some(log(prefix, GROUP, 128)),
        ..rule([what], Verdict::Drop)
    };
    let limited =
        Statement { limit: Some(limit(1, 5)), action: Action::Continue, ..told(Match::UdpDport(LIMITED), "limited") };
    let rules = [
        limited,
        told(Match::UdpDport(TOLD), "udp"),
        told(Match::UdpDport(LAST), "last"),
        told(Match::L4Proto(6), "tcp"),
        told(Match::L4Proto(1), "icmp"),
        told(Match::Icmpv6Types { first: 128, last: 128 }, "icmpv6"),
        rule([], Verdict::Drop),
    ];
    let input = Chain { base: Some(BaseChain { hook: Hook::Input, priority: 0 }), ..chain(rules) };
    Ruleset { chains: [(name("input"), input)].into(), counters: counters(&["dropped"]), ..Ruleset::empty(name(TABLE)) }
}

/// A namespace where what comes is told.
fn with_logging(test: impl FnOnce(&mut Kernel) + Send) {
    in_namespace(|| {
        bring_loopback_up();
        let mut kernel = open(Ownership::Take);
        change(&mut kernel, None, &logging()).unwrap();
        test(&mut kernel);
    });
}

fn send(address: &str, port: u16, count: usize) {
    let address: IpAddr = address.parse().unwrap();
    let socket = UdpSocket::bind(SocketAddr::new(address, 0)).unwrap();
    for _ in 0..count {
        socket.send_to(&[1, 2, 3], (address, port)).unwrap();
    }
}

fn ping(address: &str, protocol: Protocol, kind: u8) {
    let address = SocketAddr::new(address.parse().unwrap(), 0);
    let socket = Socket::new(Domain::for_address(address), Type::RAW, Some(protocol)).unwrap();
    socket.send_to(&[kind, 0, 0, 0, 0, 0, 0, 0], &address.into()).unwrap();
}

/// What is told when `packets` have been dropped, but for one more that says so.
fn told(reader: &mut LogReader, kernel: &mut Kernel, packets: u64) -> Vec<LogRecord> {
    counted_in_time(kernel, "dropped", packets);
    let mut records = reader.try_recv().unwrap();
    send("127.0.0.1", LAST, 1);
    while records.last().is_none_or(|record| record.prefix != "last") {
        let mut ready = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ready, PollTimeout::from(60_000_u16)), Ok(1), "nothing comes any more");
        records.extend(reader.try_recv().unwrap());
    }
    records.pop();
    records
}

#[test]
fn dropped_packets_are_told() {
    with_logging(|kernel| {
        let mut reader = LogReader::open(GROUP).unwrap();
        let ends = ["127.0.0.1", "::1"];
        for address in ends {
            send(address, TOLD, 1);
            let server = SocketAddr::new(address.parse().unwrap(), 80);
            assert!(TcpStream::connect_timeout(&server, Duration::from_millis(1)).is_err());
        }
        ping("127.0.0.1", Protocol::ICMPV4, 8);
        ping("::1", Protocol::ICMPV6, 128);
        let records = told(&mut reader, kernel, 6);
        for record in &records {
            assert_eq!((record.input, record.output), (Some(1), None), "it came over the loopback interface");
            assert_eq!(record.source, record.destination);
            assert!(ends.contains(&record.source.to_string().as_str()));
        }
        let said = |record: &LogRecord| {
            let port = record.ports.map(|(_, destination)| destination);
            (record.prefix.clone(), record.protocol, port, record.icmp, record.tcp_flags)
        };
        for (family, header) in [("127.0.0.1", 20), ("::1", 40)] {
            let mut of_family = records.iter().filter(|record| record.source.to_string() == family);
            let udp = of_family.next().unwrap();
            assert_eq!(said(udp), ("udp".to_owned(), 17, Some(TOLD), None, None));
            assert_eq!(udp.length, header + 8 + 3);
            let tcp = of_family.next().unwrap();
            assert_eq!(said(tcp), ("tcp".to_owned(), 6, Some(80), None, Some(2)));
            let icmp = of_family.find(|record| record.protocol != 6).unwrap();
            let (prefix, protocol, kind) = if header == 20 { ("icmp", 1, 8) } else { ("icmpv6", 58, 128) };
            assert_eq!(said(icmp), (prefix.to_owned(), protocol, None, Some((kind, 0)), None));
            assert_eq!(icmp.length, header + 8);
        }
        assert_eq!((reader.lost(), reader.malformed()), (0, 0));
    });
}

#[test]
fn a_limit_holds_and_what_is_counted_is_all() {
    with_logging(|kernel| {
        let mut reader = LogReader::open(GROUP).unwrap();
        let begun = Instant::now();
        send("127.0.0.1", LIMITED, 500);
        let records = told(&mut reader, kernel, 500);
        let most = 5 + begun.elapsed().as_secs() as usize + 1;
        assert!((5..=most).contains(&records.len()), "{} of at most {most}", records.len());
        assert_eq!(kernel.named_counters().unwrap()[&name("dropped")].packets, 501);
        assert_eq!(reader.lost(), 0);
    });
}

#[test]
fn a_group_has_one_reader() {
    with_logging(|kernel| {
        let first = LogReader::open(GROUP).unwrap();
        assert_eq!(LogReader::open(GROUP).err(), Some(LogError::Taken { group: GROUP }));
        let mut other = LogReader::open(GROUP + 1).unwrap();
        send("127.0.0.1", TOLD, 3);
        counted_in_time(kernel, "dropped", 3);
        assert_eq!(other.try_recv(), Ok(vec![]));
        drop(first);
        let mut next = LogReader::open(GROUP).unwrap();
        assert_eq!(told(&mut next, kernel, 3).len(), 0, "nobody is told what came before");
        assert_eq!(next.lost(), 0);
    });
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    const SENT: usize = 3_000;
    with_logging(|kernel| {
        let mut reader = LogReader::open(GROUP).unwrap();
        SockRef::from(&reader).set_recv_buffer_size(1 << 12).unwrap();
        send("127.0.0.1", TOLD, SENT);
        let records = told(&mut reader, kernel, SENT as u64);
        assert!(reader.lost() > 0 && !records.is_empty());
        assert_eq!(records.len() as u64 + reader.lost(), SENT as u64);
        send("127.0.0.1", TOLD, 1);
        assert_eq!(told(&mut reader, kernel, SENT as u64 + 2).len(), 1);
        assert_eq!(records.len() as u64 + reader.lost(), SENT as u64, "nothing is counted twice");
    });
}

#[test]
fn whoever_waits_can_be_told_to_end() {
    with_logging(|_| {
        let mut reader = LogReader::open(GROUP).unwrap();
        let ender = reader.ender();
        let (heard, hears) = mpsc::channel();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                heard.send(reader.recv().unwrap()).unwrap();
                reader.recv().unwrap()
            });
            send("127.0.0.1", TOLD, 1);
            assert_eq!(hears.recv().unwrap()[0].prefix, "udp");
            ender.clone().end();
            ender.end();
            assert_eq!(waiting.join().unwrap(), []);
        });
        send("127.0.0.1", TOLD, 1);
        assert_eq!(reader.recv(), Ok(vec![]), "it has ended for good");
    });
}

#[test]
fn whether_there_are_groups_is_asked_without_taking_one() {
    in_namespace(|| {
        assert_eq!(LogReader::is_supported(), Ok(true));
        let _reader = LogReader::open(0).unwrap();
        assert_eq!(LogReader::is_supported(), Ok(true));
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
        assert_eq!(LogReader::is_supported(), Err(LogError::NotPermitted));
        assert_eq!(LogReader::open(GROUP).err(), Some(LogError::NotPermitted));
    });
}

#[test]
fn why_there_is_no_reader_is_told_apart() {
    in_namespace(|| {
        let mut channel = Channel::open(0).unwrap();
        let mut why = |errno| {
            let refused = Failure::Refused(Reply { sequence: 1, errno, words: None, offset: None });
            error::of_group(&mut channel, GROUP, &refused)
        };
        assert_eq!(why(libc::EINVAL), LogError::NoLog);
        assert_eq!(why(libc::EBUSY), LogError::Taken { group: GROUP });
        assert_eq!(why(libc::ENOMEM), LogError::System { what: "bind to a log group", errno: Errno(libc::ENOMEM) });
    });
}

#[test]
fn any_thread_may_have_it() {
    fn is_send<T: Send>() {}
    is_send::<LogReader>();
}
