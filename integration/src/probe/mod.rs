//! Who reaches whom, asked with real packets.
//!
//! All flows are probed at once from one process, with non-blocking sockets opened inside the namespaces of their hosts.
//! Every probe is a new connection: it uses a source port that its host has not used before. What becomes of a
//! [`Connection`] that was there before is told by [`talk`].

mod clients;
mod connection;
mod engine;
mod icmp;
pub(crate) mod sctp;
mod servers;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use crate::netns::{Host, NetnsError};

pub use connection::{Connection, talk};
pub use engine::probe;

/// An address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What a flow is made of, and what counts as its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A TCP connection to this port is established.
    Tcp(u16),
    /// A datagram to this UDP port is replied to.
    Udp(u16),
    /// An INIT chunk to this SCTP port is answered with INIT ACK. Raw sockets: the kernel needs no SCTP of its own.
    Sctp(u16),
    /// An ICMP or ICMPv6 echo request is replied to.
    Echo,
}

/// One question: does `from` reach `to`?
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// The source.
    pub from: &'a Host,
    /// The destination. The probe opens the port there.
    pub to: &'a Host,
    /// The address that is asked for, where it is not the destination's own: that of a Service, which nodes translate.
    pub called: Option<IpAddr>,
    /// With which addresses.
    pub family: Family,
    /// With which packets.
    pub kind: Kind,
    /// The answer that is hoped for: an expected answer is waited for patiently, an unexpected one for a short while.
    pub expected: bool,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For answers that are expected, from the start.
    pub answers: Duration,
    /// For answers that are not, from the last answer or packet sent.
    pub silence: Duration,
    /// Whether to leave at the first unexpected answer.
    pub stops_at_surprise: bool,
}

impl Patience {
    /// For a final verdict, also on a busy machine.
    pub const FULL: Self =
        Self { answers: Duration::from_secs(20), silence: Duration::from_millis(250), stops_at_surprise: false };
    /// For a first look, when what comes out wrong is asked again.
    pub const SHORT: Self =
        Self { answers: Duration::from_millis(600), silence: Duration::from_millis(120), stops_at_surprise: true };
}

/// Why flows could not be probed.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// A host has no address of the family that is asked for.
    #[error("a host with the addresses {addresses:?} has no {family} address to probe with")]
    NoAddress {
        /// Those that it has.
        addresses: Vec<IpAddr>,
        /// The family asked for.
        family: Family,
    },
    /// Its namespace cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A socket cannot be made.
    #[error("{action}: {source}")]
    Socket {
        /// What was tried.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ProbeError {
    fn socket(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Socket { action, source }
    }
}

impl Host {
    /// Its first address of a family.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses().iter().copied().find(|address| address.is_ipv6() == (family == Family::Ipv6))
    }

    /// The same, where a probe needs it.
    fn probed(&self, family: Family) -> Result<IpAddr, ProbeError> {
        self.address(family).ok_or_else(|| ProbeError::NoAddress { addresses: self.addresses().to_vec(), family })
    }
}

/// As a person writes it: `IPv4`, `IPv6`.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// As a person writes it: `TCP 80`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "TCP {port}"),
            Self::Udp(port) => write!(f, "UDP {port}"),
            Self::Sctp(port) => write!(f, "SCTP {port}"),
            Self::Echo => f.write_str("ICMP echo"),
        }
    }
}
