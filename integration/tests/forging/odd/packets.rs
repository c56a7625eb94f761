//! Packets of every kind.

use std::net::{IpAddr, SocketAddr};

use fastrand::Rng;
use palisade_integration::forge::transport::{
    SIGNED, Segment, echo, flags, gre, icmp, ip_in_ip, port_unreachable, sctp, tcp, too_big, udp, vxlan,
};
use palisade_integration::forge::{Frame, Packet};

use super::cast::{Actor, Cast};
use super::shapes;

const PORTS: [u16; 8] = [0, 1, 53, 67, 68, 4000, 4001, 65_535];
/// Where the nodes' tunnels end.
const TUNNEL: u16 = 8472;
const NUMBER: u32 = 2;

/// An odd packet from one to the other, in frames; and what to call it. What it carries is the mark, over and over.
pub(super) fn odd(random: &mut Rng, cast: &Cast, ends: [&Actor; 2], mark: &[u8]) -> (String, Vec<Frame>) {
    let v6 = random.bool();
    let (said, source) = cast.source(random, ends, v6);
    let [from, to] = ends;
    let data = mark.repeat(random.usize(2..40));
    // Sometimes to itself, in the other's name: so that what the sender says next is an answer.
    let is_turned = random.u8(..100) < 6;
    let (source, target) = if is_turned { (to.address(v6), from.address(v6)) } else { (source, to.address(v6)) };
    let (kind, packet) = payload(random, cast, ends, [source, target], &data);
    let (shape, packets) = shapes::packets(random, packet);
    let (way, frames) = shapes::frames(random, cast, ends, &packets);
    let family = if v6 { "IPv6" } else { "IPv4" };
    let said = if is_turned { "turned round".to_owned() } else { said };
    (format!("{family} {said}, {kind}, {shape}, {way}"), frames)
}

fn payload(random: &mut Rng, cast: &Cast, ends: [&Actor; 2], [from, to]: [IpAddr; 2], data: &[u8]) -> (String, Packet) {
    let mut port = || random.choice(PORTS).unwrap_or_default();
    let ports = [SocketAddr::new(from, port()), SocketAddr::new(to, port())];
    match random.u8(..100) {
        0..22 => ("UDP".to_owned(), udp(ports[0], ports[1], data)),
        22..50 => segment(random, ports, data),
        50..58 => ("echo".to_owned(), echo(from, to, random.u16(..), data)),
        58..66 => message(random, [from, to], data),
        66..72 => error(random, [from, to], data),
        72..78 => {
            let chunk = random.u8(..16);
            (format!("SCTP chunk {chunk}"), sctp(ports[0], ports[1], chunk, data))
        }
        78..84 => {
            let inner = udp(SocketAddr::new(ends[0].address(random.bool()), 4000), SocketAddr::new(to, 4000), data);
            let inner = if inner.source.is_ipv4() == inner.destination.is_ipv4() {
                inner
            } else {
                udp(ports[0], ports[1], data)
            };
            if random.bool() {
                ("IP in IP".to_owned(), ip_in_ip(from, to, &inner))
            } else {
                ("GRE".to_owned(), gre(from, to, &inner))
            }
        }
        84..88 => tunnelled(random, cast, ends, ports, data),
        _ => protocol(random, [from, to], data),
    }
}

fn segment(random: &mut Rng, [from, to]: [SocketAddr; 2], data: &[u8]) -> (String, Packet) {
    let usual = [flags::SYN, flags::SYN | flags::ACK, flags::ACK, flags::RST, flags::FIN | flags::ACK];
    let flags = if random.bool() { random.choice(usual).unwrap_or_default() } else { random.u8(..) };
    let options = if random.u8(..4) == 0 { SIGNED } else { &[] };
    let segment = Segment { sequence: random.u32(..), acknowledged: random.u32(..), flags, options };
    (format!("TCP {flags:#04x}"), tcp(from, to, segment, data))
}

/// ICMP of any type. Neighbour discovery that neighbours need is left out: it is allowed, and other tests are about it.
fn message(random: &mut Rng, [from, to]: [IpAddr; 2], data: &[u8]) -> (String, Packet) {
    let kind = match random.u8(..) {
        133 | 135 | 136 => 137,
        kind => kind,
    };
    let code = random.u8(..4);
    (format!("ICMP type {kind}, code {code}"), icmp(from, to, kind, code, &[&[0; 4], data].concat()))
}

/// One that quotes what the receiver might have said, to the sender or to its node.
fn error(random: &mut Rng, [from, to]: [IpAddr; 2], data: &[u8]) -> (String, Packet) {
    let mut port = || random.choice(PORTS).unwrap_or_default();
    let quoted = udp(SocketAddr::new(to, port()), SocketAddr::new(from, port()), data);
    if random.bool() {
        ("unreachable".to_owned(), port_unreachable(from, to, &quoted))
    } else {
        ("too big".to_owned(), too_big(from, to, 1400, &quoted))
    }
}

/// Through the tunnel between the nodes, where there is one: by an honest packet to the node.
fn tunnelled(
    random: &mut Rng,
    cast: &Cast,
    [from, to]: [&Actor; 2],
    inner: [SocketAddr; 2],
    data: &[u8],
) -> (String, Packet) {
    let Some(tunnels) = cast.tunnels else { return ("UDP".to_owned(), udp(inner[0], inner[1], data)) };
    let frame = Frame::of(tunnels[to.node], [2, 0, 0, 0, 0, 9], &udp(inner[0], inner[1], data));
    let outer = [SocketAddr::new(from.v4, random.u16(..)), SocketAddr::new(cast.node(to.node, false), TUNNEL)];
    ("VXLAN".to_owned(), vxlan(outer[0], outer[1], NUMBER, &frame.bytes()))
}

/// Of any number: in IPv6 also those of extension headers, without one.
fn protocol(random: &mut Rng, [from, to]: [IpAddr; 2], data: &[u8]) -> (String, Packet) {
    let number = match random.u8(..) {
        58 => 59,
        number => number,
    };
    (format!("protocol {number}"), Packet::new(from, to, number, data.to_vec()))
}
