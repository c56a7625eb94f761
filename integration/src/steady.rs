//! Datagrams sent steadily, for as long as something else happens: which of them arrived, and when were they sent?

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::netns::Host;
use crate::patience::hold_datagrams;
use crate::probe::{Family, ProbeError};

/// How long datagrams may be under way.
const DRAIN: Duration = Duration::from_millis(300);
const READ_LIMIT: Duration = Duration::from_millis(50);
const FIRST_PORT: u16 = 1_024;
const NUMBER: usize = size_of::<u64>();

/// From where to where, to which UDP port.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// The source.
    pub from: &'a Host,
    /// The destination.
    pub to: &'a Host,
    /// With which addresses.
    pub family: Family,
    /// The destination's port. No other stream to that host has it.
    pub port: u16,
}

/// Streams that are being sent. Each datagram comes from another source port than those before, so that each is a new
/// connection.
#[derive(Debug)]
pub struct Steady {
    flows: Vec<Running>,
}

/// What became of one stream.
#[derive(Clone, Debug, Default)]
pub struct Record {
    datagrams: Vec<Datagram>,
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// When it was sent.
    pub sent: Instant,
    /// Whether it arrived.
    pub arrived: bool,
}

impl Steady {
    /// Begins to send a datagram on each stream every `period`.
    ///
    /// # Errors
    /// If a host has no address of the family, or a socket cannot be made.
    pub fn start(streams: &[Stream<'_>], period: Duration) -> Result<Self, ProbeError> {
        let flows = streams.iter().map(|stream| Running::start(stream, period)).collect::<Result<_, _>>()?;
        Ok(Self { flows })
    }

    /// How many datagrams of the stream of this number have arrived so far.
    pub fn arrived(&self, stream: usize) -> usize {
        self.flows[stream].log.lock(|record| record.datagrams.iter().filter(|datagram| datagram.arrived).count())
    }

    /// What became so far of the last `count` datagrams of the stream of this number, the oldest first.
    pub fn last(&self, stream: usize, count: usize) -> Vec<Datagram> {
        self.flows[stream].log.lock(|record| {
            let datagrams = &record.datagrams;
            datagrams[datagrams.len().saturating_sub(count)..].to_vec()
        })
    }

    /// What became so far of those datagrams of the stream of this number that were sent from `start` on.
    pub fn since(&self, stream: usize, start: Instant) -> Vec<Datagram> {
        self.flows[stream].log.lock(|record| {
            let datagrams = &record.datagrams;
            datagrams[datagrams.partition_point(|datagram| datagram.sent < start)..].to_vec()
        })
    }

    /// Ends all streams, lets what is under way arrive, and tells what became of each, in order.
    pub fn stop(self) -> Vec<Record> {
        for flow in &self.flows {
            flow.sending.store(false, Ordering::Relaxed);
        }
        thread::sleep(DRAIN);
        self.flows.iter().map(|flow| flow.log.lock(|record| record.clone())).collect()
    }
}

impl Record {
    /// All datagrams, in the order in which they were sent.
    pub fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }

    /// How many of those sent from `start` on arrived, and how many did not.
    pub fn since(&self, start: Instant) -> (usize, usize) {
        self.between(start, None)
    }

    /// How many of those sent before `end` arrived, and how many did not.
    pub fn until(&self, end: Instant) -> (usize, usize) {
        let Some(first) = self.datagrams.first() else { return (0, 0) };
        self.between(first.sent, Some(end))
    }

    fn between(&self, start: Instant, end: Option<Instant>) -> (usize, usize) {
        let meant = |datagram: &&Datagram| datagram.sent >= start && end.is_none_or(|end| datagram.sent < end);
        let (arrived, lost): (Vec<_>, Vec<_>) =
            self.datagrams.iter().filter(meant).copied().partition(|one| one.arrived);
        (arrived.len(), lost.len())
    }
}

/// One stream at work. Its threads end when this is dropped.
#[derive(Debug)]
struct Running {
    sending: Arc<AtomicBool>,
    receiving: Arc<AtomicBool>,
    log: Log,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Record>>);

impl Log {
    fn lock<T>(&self, work: impl FnOnce(&mut Record) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Running {
    fn start(stream: &Stream<'_>, period: Duration) -> Result<Self, ProbeError> {
        let from = address(stream.from, stream.family)?;
        let to = SocketAddr::new(address(stream.to, stream.family)?, stream.port);
        let socket = stream.to.namespace().enter(|| listen(to))?;
        let socket = socket.map_err(|source| ProbeError::Socket { action: format!("listen at UDP {to}"), source })?;
        let [sending, receiving] = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
        let log = Log::default();
        let receiver = {
            let (receiving, log) = (Arc::clone(&receiving), log.clone());
            thread::spawn(move || receive(&socket, &receiving, &log))
        };
        let sender = {
            let (sending, log) = (Arc::clone(&sending), log.clone());
            let namespace = stream.from.namespace().try_clone()?;
            thread::spawn(move || drop(namespace.enter(|| send((from, to), period, &sending, &log))))
        };
        Ok(Self { sending, receiving, log, threads: vec![sender, receiver] })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sending.store(false, Ordering::Relaxed);
        self.receiving.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn address(host: &Host, family: Family) -> Result<IpAddr, ProbeError> {
    let none = || ProbeError::NoAddress { addresses: host.addresses().to_vec(), family };
    host.address(family).ok_or_else(none)
}

fn listen(at: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(READ_LIMIT))?;
    hold_datagrams(&socket)?;
    Ok(socket)
}

fn send((from, to): (IpAddr, SocketAddr), period: Duration, sending: &AtomicBool, log: &Log) {
    let mut ports = (FIRST_PORT..=u16::MAX).cycle();
    let mut next = Instant::now();
    while sending.load(Ordering::Relaxed) {
        let Some(socket) = ports.by_ref().find_map(|port| UdpSocket::bind((from, port)).ok()) else { return };
        let number = log.lock(|record| {
            record.datagrams.push(Datagram { sent: Instant::now(), arrived: false });
            record.datagrams.len() as u64 - 1
        });
        let _ = socket.send_to(&number.to_be_bytes(), to);
        next = Instant::now().max(next + period);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn receive(socket: &UdpSocket, receiving: &AtomicBool, log: &Log) {
    let mut buffer = [0; NUMBER];
    while receiving.load(Ordering::Relaxed) {
        if let Ok(NUMBER) = socket.recv(&mut buffer) {
            let number = u64::from_be_bytes(buffer);
            log.lock(|record| {
                let datagram = usize::try_from(number).ok().and_then(|number| record.datagrams.get_mut(number));
                if let Some(datagram) = datagram {
                    datagram.arrived = true;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::{Network, Place};

    #[test]
    fn a_drop_shows_from_its_moment_on() {
        let mut network = Network::new(1).unwrap();
        let addresses = |last: u8| (Place::Behind(0), vec![IpAddr::from([10, 1, 0, last])]);
        let hosts = network.attach(&[addresses(1), addresses(2)]).unwrap();
        let stream = |port| Stream { from: &hosts[0], to: &hosts[1], family: Family::Ipv4, port };
        let steady = Steady::start(&[stream(80), stream(81)], Duration::from_millis(2)).unwrap();
        while steady.arrived(0) < 50 || steady.arrived(1) < 50 {
            thread::sleep(Duration::from_millis(5));
        }
        let before = Instant::now();
        let rules = "table ip t { chain f { type filter hook forward priority 0; udp dport 81 drop; }; }";
        network.nodes()[0].namespace().nft(rules).unwrap();
        let after = Instant::now();
        while steady.since(1, after).iter().filter(|datagram| !datagram.arrived).count() < 50 {
            thread::sleep(Duration::from_millis(5));
        }
        let records = steady.stop();
        assert_eq!(records[0].since(records[0].datagrams()[0].sent).1, 0, "an open stream loses nothing");
        assert_eq!(records[1].until(before).1, 0);
        assert_eq!(records[1].since(after).0, 0);
        assert!(records[1].since(after).1 >= 50);
    }
}
