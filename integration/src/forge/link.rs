use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::{fs, thread};

use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{LinkAddr, bind, recvfrom, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::{BROADCAST, Frame, Mac, Packet};
use crate::netns::{Namespace, NetnsError};

/// Some 10,000 frames.
const RECEIVE_BUFFER: usize = 16 << 20;
/// Most frames: what is sent here is not longer.
const LONGEST: usize = 4096;
/// Asks for the hardware address of the gateway so often.
const ATTEMPTS: usize = 400;

/// A pod's end of its link, as a container with CAP_NET_RAW has it: sends any frame, and sees all that comes.
#[derive(Debug)]
pub struct Link {
    socket: Socket,
    mac: Mac,
    gateway: Mac,
}

impl Link {
    /// Opens it on a device: `eth0` of pods and external hosts. The gateway of who has none is everybody.
    ///
    /// # Errors
    /// Where the kernel refuses, or the gateway has no hardware address.
    pub fn open(namespace: &Namespace, device: &str) -> io::Result<Self> {
        namespace
            .enter(|| {
                let address = link_address(device)?;
                let everything = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?.to_be();
                let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(everything))))?;
                bind(socket.as_raw_fd(), &address)?;
                setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
                socket.set_nonblocking(true)?;
                Ok(Self { socket, mac: mac(&address)?, gateway: gateway()? })
            })
            .map_err(io::Error::other)?
    }

    /// Its hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Its gateway's.
    pub fn gateway(&self) -> Mac {
        self.gateway
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn send(&self, frame: &Frame) -> io::Result<()> {
        self.socket.send(&frame.bytes()).map(drop)
    }

    /// Sends a packet to the gateway, from the link's own hardware address.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn route(&self, packet: &Packet) -> io::Result<()> {
        self.send(&Frame::of(self.gateway, self.mac, packet))
    }

    /// What came since it was last asked: frames to this end, or to a group or everybody on the link.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn received(&self) -> io::Result<Vec<Vec<u8>>> {
        self.frames(|kind| kind != libc::PACKET_OUTGOING && kind != libc::PACKET_OTHERHOST)
    }

    /// What came since it was last asked, or was sent but by this link itself, be it for somebody else.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn seen(&self) -> io::Result<Vec<Vec<u8>>> {
        self.frames(|_| true)
    }

    fn frames(&self, wanted: impl Fn(u8) -> bool) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        let mut buffer = [0; LONGEST];
        loop {
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buffer).map_err(io::Error::from) {
                Ok((length, from)) if from.is_some_and(|from| wanted(from.pkttype())) => {
                    frames.push(buffer[..length].to_vec());
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The hardware address of a device.
///
/// # Errors
/// Where there is no such device.
pub fn mac_of(namespace: &Namespace, device: &str) -> Result<Mac, NetnsError> {
    let found = namespace.enter(|| link_address(device).and_then(|address| mac(&address)))?;
    found.map_err(|source| NetnsError::Kernel { action: format!("find {device}"), source })
}

fn link_address(device: &str) -> io::Result<LinkAddr> {
    let mut all = getifaddrs()?.filter(|one| one.interface_name == device).filter_map(|one| one.address);
    all.find_map(|address| address.as_link_addr().copied()).ok_or_else(|| ErrorKind::NotFound.into())
}

fn mac(address: &LinkAddr) -> io::Result<Mac> {
    address.addr().ok_or_else(|| ErrorKind::NotFound.into())
}

/// The hardware address of the default route's gateway, which the kernel asks for when something is sent to it.
fn gateway() -> io::Result<Mac> {
    let routes = fs::read_to_string("/proc/thread-self/net/route")?;
    let default =
        routes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|line| line[1] == "00000000");
    let Some(default) = default else { return Ok(BROADCAST) };
    let address = u32::from_str_radix(default[2], 16).map_err(io::Error::other)?;
    let address = Ipv4Addr::from(address.to_le_bytes());
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"?", (address, 9))?;
    for _ in 0..ATTEMPTS {
        if let Some(mac) = neighbour(address)? {
            return Ok(mac);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(ErrorKind::TimedOut.into())
}

fn neighbour(address: Ipv4Addr) -> io::Result<Option<Mac>> {
    let table = fs::read_to_string("/proc/thread-self/net/arp")?;
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = words.into_iter().find(|words| words[0] == address.to_string() && words[2] == "0x2");
    let Some(words) = found else { return Ok(None) };
    let octets = words[3].split(':').map(|octet| u8::from_str_radix(octet, 16)).collect::<Result<Vec<_>, _>>();
    Ok(octets.map_err(io::Error::other)?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::transport::echo;
    use crate::netns::{Network, Place};

    #[test]
    fn what_one_sends_the_other_sees_and_answers() {
        let mut network = Network::new(1).unwrap();
        let addresses = ["10.1.0.1", "10.1.0.2"].map(|address| address.parse().unwrap());
        let [one, other] = addresses.map(|address| network.attach_one(Place::Behind(0), &[address]).unwrap());
        let [one, other] = [one, other].map(|host| Link::open(host.namespace(), "eth0").unwrap());
        assert_eq!(one.gateway(), mac_of(network.nodes()[0].namespace(), "pod0").unwrap());
        one.route(&echo(addresses[0], addresses[1], 1, b"marked")).unwrap();
        let is_marked = |frame: &Vec<u8>| frame.ends_with(b"marked");
        let found = || other.received().unwrap().into_iter().find(is_marked);
        let frame = crate::patience::eventually(Duration::from_millis(2), found, || "it does not arrive".to_owned());
        assert_eq!(frame[..6], other.mac());
        let answered = || one.received().unwrap().into_iter().find(is_marked);
        crate::patience::eventually(Duration::from_millis(2), answered, || "it is not answered".to_owned());
    }
}
