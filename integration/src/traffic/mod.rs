//! Traffic that never pauses, thousands of packets a second, and counted to the last one: how many of those that are
//! allowed were lost, and how many of those that are forbidden came through?
//!
//! The kernels of the pods count what they send and what arrives, of all protocols, so that no thread that is late counts
//! as a packet lost, and no packet that TCP sends again makes up for one.

mod counters;
mod senders;
mod servers;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use self::counters::Way;
use crate::netns::{Host, Namespace, NetnsError};
use crate::probe::Family;

/// Where datagrams are received that come from a new port each.
const SINK_PORT: u16 = 5_000;
/// Where datagrams and streams are answered.
const ECHO_PORT: u16 = 5_001;
/// How long packets may be under way.
const DRAIN: Duration = Duration::from_millis(500);

/// Why there is no traffic.
#[derive(Debug, Error)]
pub enum TrafficError {
    /// A pod cannot be prepared.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A socket cannot be made.
    #[error("{action}: {source}")]
    Socket {
        /// What for.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// What a pod's kernel counts cannot be read.
    #[error("the counters of a pod say nothing of {0}")]
    NoCount(String),
}

/// Traffic of every kind, in both families, to a server: from a friend, which shall reach it, and from a stranger, which
/// shall not. UDP and TCP, of new and of established connections. Ends when dropped.
#[derive(Debug)]
pub struct Traffic {
    going: Going,
    sent: Arc<Sent>,
    asked: Way,
    answered: Way,
    forbidden: Way,
    threads: Vec<JoinHandle<()>>,
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets between friend and server, both ways.
    pub allowed: u64,
    /// How many of these did not arrive.
    pub lost: u64,
    /// TCP connections that the friend made.
    pub connections: u64,
    /// TCP connections of the friend that failed, or broke.
    pub broken: u64,
    /// The stranger's packets.
    pub forbidden: u64,
    /// How many of these arrived.
    pub leaked: u64,
}

/// What the threads have done.
#[derive(Debug, Default)]
struct Sent {
    allowed: AtomicU64,
    forbidden: AtomicU64,
    connections: AtomicU64,
    broken: AtomicU64,
}

/// Whether the threads are to go on.
#[derive(Clone, Debug)]
struct Going(Arc<[AtomicBool; 2]>);

impl Traffic {
    /// Begins. The three are pods of nodes, with an address of each family.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn start(server: &Host, friend: &Host, stranger: &Host) -> Result<Self, TrafficError> {
        let mut traffic = Self {
            going: Going(Arc::new([AtomicBool::new(true), AtomicBool::new(true)])),
            sent: Arc::default(),
            asked: Way::counted("asked", friend, server)?,
            answered: Way::counted("answered", server, friend)?,
            forbidden: Way::counted("forbidden", stranger, server)?,
            threads: Vec::new(),
        };
        for family in [Family::Ipv4, Family::Ipv6] {
            traffic.serve(server, family)?;
            traffic.send(friend, server, family, &senders::FRIEND)?;
            traffic.send(stranger, server, family, &senders::STRANGER)?;
        }
        Ok(traffic)
    }

    /// How many of the stranger's packets came through so far.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn leaked(&self) -> Result<u64, TrafficError> {
        self.forbidden.arrived()
    }

    /// Waits till `count` more datagrams of the friend's and packets of the stranger's have been sent.
    pub fn pass(&self, count: u64) {
        let sent = || [&self.sent.allowed, &self.sent.forbidden].map(|sent| sent.load(Ordering::Relaxed));
        let goal = sent().map(|sent| sent + count);
        while sent().iter().zip(goal).any(|(sent, goal)| *sent < goal) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it, lets what is under way arrive, and tells what became of everything.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn stop(self) -> Result<Tally, TrafficError> {
        self.going.end_sending();
        thread::sleep(DRAIN);
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let allowed = self.asked.sent()? + self.answered.sent()?;
        let arrived = self.asked.arrived()? + self.answered.arrived()?;
        Ok(Tally {
            allowed,
            lost: allowed - arrived,
            connections: count(&self.sent.connections),
            broken: count(&self.sent.broken),
            forbidden: self.forbidden.sent()?,
            leaked: self.leaked()?,
        })
    }

    fn serve(&mut self, server: &Host, family: Family) -> Result<(), TrafficError> {
        let address = address(server, family);
        let threads = server.namespace().enter(|| servers::start(address, &self.going))?;
        let failed = |source| TrafficError::Socket { action: format!("serve at {address}"), source };
        self.threads.extend(threads.map_err(failed)?);
        Ok(())
    }

    fn send(
        &mut self,
        from: &Host,
        to: &Host,
        family: Family,
        senders: &[senders::Sender],
    ) -> Result<(), TrafficError> {
        let ends = (address(from, family), address(to, family));
        for &sender in senders {
            let namespace: Namespace = from.namespace().try_clone()?;
            let (going, sent) = (self.going.clone(), Arc::clone(&self.sent));
            self.threads.push(thread::spawn(move || drop(namespace.enter(|| sender(ends, &going, &sent)))));
        }
        Ok(())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.going.end_sending();
        self.going.end_receiving();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Tally {
    /// Whether nothing was lost, and nothing came through.
    pub fn is_right(&self) -> bool {
        self.lost == 0 && self.broken == 0 && self.leaked == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, lost, connections, broken, forbidden, leaked } = self;
        write!(
            f,
            "{lost} of {allowed} allowed packets lost, {broken} of {connections} connections broken, \
             {leaked} of {forbidden} forbidden packets leaked"
        )
    }
}

impl Going {
    fn sending(&self) -> bool {
        self.0[0].load(Ordering::Relaxed)
    }

    fn receiving(&self) -> bool {
        self.0[1].load(Ordering::Relaxed)
    }

    fn end_sending(&self) {
        self.0[0].store(false, Ordering::Relaxed);
    }

    fn end_receiving(&self) {
        self.0[1].store(false, Ordering::Relaxed);
    }
}

/// # Panics
/// If the host has none.
fn address(host: &Host, family: Family) -> IpAddr {
    host.address(family).expect("the ends of traffic have addresses of both families")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::netns::{Network, Place};

    /// For some connections, on a busy machine.
    const LONG_ENOUGH: Duration = Duration::from_secs(60);

    const FORBID: &str = "table inet t { chain f { type filter hook forward priority 0; ct state established accept; \
                          ip saddr 10.1.0.3 drop; ip6 saddr fd01::3 drop; }; }";

    fn tally(while_it_runs: impl FnOnce(&Namespace)) -> Tally {
        let mut network = Network::new(1).unwrap();
        let pod = |last: u8| {
            let addresses = [format!("10.1.0.{last}"), format!("fd01::{last}")];
            (Place::Behind(0), addresses.iter().map(|address| address.parse().unwrap()).collect())
        };
        let hosts = network.attach(&[1, 2, 3].map(pod)).unwrap();
        let node = network.nodes()[0].namespace();
        node.nft(FORBID).unwrap();
        let traffic = Traffic::start(&hosts[0], &hosts[1], &hosts[2]).unwrap();
        traffic.pass(500);
        while_it_runs(node);
        traffic.pass(500);
        // Whose SYN was lost tries again a second later.
        let started = Instant::now();
        while traffic.sent.connections.load(Ordering::Relaxed) <= 10 && started.elapsed() < LONG_ENOUGH {
            thread::sleep(Duration::from_millis(1));
        }
        let tally = traffic.stop().unwrap();
        assert!(tally.allowed > 1_000 && tally.forbidden > 1_000, "{tally}");
        assert!(tally.connections > 10, "{tally}");
        tally
    }

    #[test]
    fn nothing_is_wrong_where_nothing_happens() {
        let tally = tally(|_| ());
        assert!(tally.is_right(), "{tally}");
    }

    #[test]
    fn a_door_that_opens_for_a_moment_shows() {
        let tally = tally(|node| {
            node.nft("flush chain inet t f").unwrap();
            node.nft("delete table inet t").unwrap();
            node.nft(FORBID).unwrap();
        });
        assert!(tally.leaked > 0, "{tally}");
    }

    #[test]
    fn a_moment_of_deafness_shows() {
        let tally = tally(|node| {
            node.nft("add table inet u; add chain inet u f { type filter hook forward priority -1; policy drop; }")
                .unwrap();
            node.nft("delete table inet u").unwrap();
        });
        assert!(tally.lost > 0, "{tally}");
        assert_eq!(tally.leaked, 0, "{tally}");
    }
}
