use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A protocol that has ports and that NetworkPolicy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The IP protocol number (IANA).
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// As Kubernetes writes it: `TCP`, `UDP`, `SCTP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }

    /// The one of this [`name`](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

/// Its name.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// A protocol that policies can name, to a port of the destination.
    Port {
        /// The protocol.
        protocol: Protocol,
        /// The destination port.
        port: u16,
    },
    /// Another protocol, by its IP protocol number (1 is ICMP). Only rules without `ports` match it.
    Other(u8),
}

/// `TCP 80`, `ICMP`, or `protocol 50`.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { protocol, port } => write!(f, "{protocol} {port}"),
            Self::Other(1) => f.write_str("ICMP"),
            Self::Other(58) => f.write_str("ICMPv6"),
            Self::Other(number) => write!(f, "protocol {number}"),
        }
    }
}

/// The ports `first..=last`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// An `endPort` below its `port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("endPort {last} is below port {first}")]
pub struct PortRangeError {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The ports `first..=last`.
    ///
    /// # Errors
    /// [`PortRangeError`] where `last` is below `first`.
    pub fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        if last < first {
            return Err(PortRangeError { first, last });
        }
        Ok(Self { first, last })
    }

    /// The one port `port`.
    pub fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` lies within.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// `80` or `8000-9000`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// One entry of a rule's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortMatch {
    /// `port` (with `endPort`), or all ports of the protocol where no port is given.
    Numbers {
        /// The protocol.
        protocol: Protocol,
        /// The ports.
        ports: PortRange,
    },
    /// A container port's name; which number it means depends on the destination pod.
    Named {
        /// The protocol.
        protocol: Protocol,
        /// The name that the destination pod must declare for a port of that protocol.
        name: Arc<str>,
    },
}

/// `80/TCP`, `8000-9000/UDP`, `http/TCP`, or `TCP` where all ports are meant.
impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers { protocol, ports } if *ports == PortRange::ALL => write!(f, "{protocol}"),
            Self::Numbers { protocol, ports } => write!(f, "{ports}/{protocol}"),
            Self::Named { protocol, name } => write!(f, "{name}/{protocol}"),
        }
    }
}
