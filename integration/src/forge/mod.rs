//! Packets and frames that no honest stack sends, and who sees them.
//!
//! - [`Packet`] is an IP packet of any source, protocol and shape; [`transport`] fills it.
//! - [`Frame`] carries it over a link: tagged, encapsulated, from any MAC address.
//! - [`Link`] sends frames out of a pod as a container with CAP_NET_RAW does, and sees what reaches one.

mod extension;
mod frame;
mod link;
mod packet;
pub mod transport;

pub use extension::{EXTENSIONS, extended, fragments};
pub use frame::{BROADCAST, Frame, Mac};
pub use link::{Link, mac_of};
pub use packet::Packet;

/// The numbers of IP protocols.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// Generic Routing Encapsulation.
    pub const GRE: u8 = 47;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}
