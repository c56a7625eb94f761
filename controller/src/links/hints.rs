//! What tells that the other end of a port may have changed.
//!
//! With `CAP_NET_BROADCAST` that is what happens to links and addresses in the namespaces of pods. Without, it is what
//! bridges learn: that something speaks on a port. A pod can make either happen as often as it likes, so this is heard
//! apart from the rest, a little at a time, and what is lost of it does no harm.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::libc::{AF_BRIDGE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK, RTNLGRP_NEIGH};
use socket2::{SockFilter, SockRef};

use super::channel::{Channel, Heard};
use super::link::Far;
use super::message::{RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, Raw, messages};
use super::ports::Ports;

const ROOM: usize = 1 << 18;
/// How many datagrams are heard at most, and how long nothing is then.
const AT_ONCE: usize = 500;
const PAUSE: Duration = Duration::from_millis(5);
/// How often all ports are asked whatever is heard, with and without hearing what happens in pods' namespaces.
const EVERY: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(30));

/// Hears that.
pub(super) struct Hints {
    hearing: Channel,
    hears_pods: bool,
    /// Until then it is not heard.
    deaf_until: Instant,
    /// When all ports are asked.
    round: Instant,
}

impl Hints {
    /// From now on.
    pub(super) fn open(now: Instant) -> io::Result<Self> {
        let groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
        let mut hearing = Channel::hearing(&groups, ROOM)?;
        let hears_pods = hearing.hear_all_namespaces();
        if !hears_pods {
            hearing = Channel::hearing(&[], ROOM)?;
            SockRef::from(&hearing).attach_filter(&bridges_only())?;
            hearing.join(RTNLGRP_NEIGH)?;
        }
        tracing::debug!(hears_pods, "hears of the other ends of ports");
        Ok(Self { hearing, hears_pods, deaf_until: now, round: now + Self::every(hears_pods) })
    }

    /// What to wait for, if it is heard now.
    pub(super) fn fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        (self.deaf_until <= now).then(|| self.hearing.as_fd())
    }

    /// When to come back, whatever happens; `has_ports`: whether there is anything to come back for.
    pub(super) fn due(&self, has_ports: bool, now: Instant) -> Option<Instant> {
        let round = has_ports.then_some(self.round);
        Some(self.deaf_until).filter(|until| *until > now).into_iter().chain(round).min()
    }

    /// Hears what has come, and lets the ports know.
    pub(super) fn hear(&mut self, ports: &mut Ports, now: Instant) -> io::Result<()> {
        if self.round <= now {
            self.round = now + Self::every(self.hears_pods);
            ports.ask_all(now);
        }
        if self.deaf_until > now {
            return Ok(());
        }
        for _ in 0..AT_ONCE {
            match self.hearing.receive()? {
                Heard::Datagram(datagram, namespace) => {
                    messages(datagram).flatten().for_each(|message| tell(message, namespace, ports, now));
                }
                Heard::Lost => ports.suspect_all(now),
                Heard::Nothing => break,
            }
            self.deaf_until = now + PAUSE;
        }
        Ok(())
    }

    fn every(hears_pods: bool) -> Duration {
        if hears_pods { EVERY.0 } else { EVERY.1 }
    }
}

fn tell(message: Raw<'_>, namespace: Option<i32>, ports: &mut Ports, now: Instant) {
    let Some(index) = message.link() else { return };
    match (message.kind, namespace) {
        (RTM_NEWLINK | RTM_NEWADDR | RTM_DELADDR, Some(namespace)) => ports.begin_far(Far { namespace, index }, now),
        (RTM_NEWNEIGH, None) => ports.suspect(index, now),
        _ => {}
    }
}

/// A program of the classic BPF that takes messages about bridges.
fn bridges_only() -> [SockFilter; 4] {
    use nix::libc::{BPF_ABS, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET};
    const FAMILY_OFFSET: u32 = 16;
    const WHOLE: u32 = u32::MAX;
    const NOTHING: u32 = 0;
    let code = |parts: [u32; 3]| u16::try_from(parts.into_iter().sum::<u32>()).unwrap_or_default();
    [
        SockFilter::new(code([BPF_LD, BPF_B, BPF_ABS]), 0, 0, FAMILY_OFFSET),
        SockFilter::new(code([BPF_JMP, BPF_JEQ, BPF_K]), 0, 1, AF_BRIDGE.unsigned_abs()),
        SockFilter::new(code([BPF_RET, BPF_K, 0]), 0, 0, WHOLE),
        SockFilter::new(code([BPF_RET, BPF_K, 0]), 0, 0, NOTHING),
    ]
}
