//! Packets in pieces, with headers that nobody needs, and in frames that are not theirs.

use fastrand::Rng;
use palisade_integration::forge::{BROADCAST, EXTENSIONS, Frame, Packet, extended, fragments};

use super::cast::{Actor, Cast};

/// The hop limits of which all but the first lead to another node's pod.
const HOP_LIMITS: [u8; 12] = [1, 4, 5, 64, 64, 64, 64, 128, 254, 255, 255, 255];

/// The packet, or what is left of it.
pub(super) fn packets(random: &mut Rng, packet: Packet) -> (String, Vec<Packet>) {
    let packet = if packet.source.is_ipv4() { optional(random, packet) } else { with_extensions(random, packet) };
    let limit = random.choice(HOP_LIMITS).unwrap_or(64);
    let packet = packet.hop_limit(limit);
    let (shape, packets) = cut(random, packet);
    (format!("{shape}, hop limit {limit}"), packets)
}

/// Options of IPv4 that routers let pass: nothing, router alert, a time stamp without room.
fn optional(random: &mut Rng, packet: Packet) -> Packet {
    let options: &[u8] = match random.u8(..12) {
        0 => &[1, 1, 1, 0],
        1 => &[148, 4, 0, 0],
        2 => &[68, 4, 5, 0xf0],
        _ => &[],
    };
    // The flag that is not to be used, or the one against fragments.
    let fragment = random.choice([0, 0, 0, 0x4000, 0x8000]).unwrap_or_default();
    Packet { options: options.to_vec(), fragment, identification: random.u16(..), ..packet }
}

fn with_extensions(random: &mut Rng, packet: Packet) -> Packet {
    let count = [0, 0, 0, 1, 2, 4][random.usize(..6)];
    // Hop-by-hop options may stand at the front alone.
    let packet = (0..count).fold(packet, |packet, _| extended(packet, EXTENSIONS[random.usize(1..3)]));
    if random.u8(..8) == 0 { extended(packet, EXTENSIONS[0]) } else { packet }
}

fn cut(random: &mut Rng, packet: Packet) -> (&'static str, Vec<Packet>) {
    let (length, identification) = (packet.payload.len(), random.u16(..));
    let pieces = |pieces: &[[usize; 2]]| fragments(&packet, identification, pieces);
    if packet.fragment & 0x4000 != 0 || length < 48 {
        return ("whole", vec![packet]);
    }
    match random.u8(..20) {
        0 => ("in two", pieces(&[[0, 24], [24, length]])),
        1 => ("in two, backwards", pieces(&[[24, length], [0, 24]])),
        2 => ("the first piece", pieces(&[[0, 40]])),
        3 => ("the last piece", pieces(&[[24, length]])),
        4 => ("in pieces of 8", pieces(&[[0, 8], [8, 16], [16, 24], [24, length]])),
        5 => ("overlapping", pieces(&[[0, 32], [8, length]])),
        6 => ("in one piece", pieces(&[[0, length]])),
        _ => ("whole", vec![packet]),
    }
}

/// To the node, or to a neighbour in some disguise.
pub(super) fn frames(
    random: &mut Rng,
    cast: &Cast,
    [from, to]: [&Actor; 2],
    packets: &[Packet],
) -> (String, Vec<Frame>) {
    let is_near = cast.bridged && from.node == to.node;
    let (destination, way) = match random.u8(..8) {
        0..4 if is_near => (to.mac, "straight"),
        4 if is_near => (BROADCAST, "to everybody"),
        _ => (from.gateway, "routed"),
    };
    let source = if is_near && random.u8(..20) == 0 { [2, 0, 0, random.u8(..), 0, 1] } else { from.mac };
    let (disguise, wrap): (_, fn(Frame) -> Frame) = match random.u8(..30) {
        0 if cast.bridged => ("802.1Q", |frame| frame.tagged(&[[0x8100, 0]])),
        1 if cast.bridged => ("802.1ad", |frame| frame.tagged(&[[0x88a8, 0]])),
        2 if cast.bridged => ("tagged twice", |frame| frame.tagged(&[[0x88a8, 3], [0x8100, 0]])),
        3 if cast.bridged => ("PPPoE", Frame::in_pppoe),
        4 if cast.bridged => ("SNAP", Frame::in_snap),
        _ => ("plain", |frame| frame),
    };
    let frames = packets.iter().map(|packet| wrap(Frame::of(destination, source, packet)));
    (format!("{way}, {disguise}"), frames.collect())
}
