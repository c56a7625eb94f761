use super::Packet;

/// A hardware address.
pub type Mac = [u8; 6];

/// Everybody on the link.
pub const BROADCAST: Mac = [0xff; 6];

const PPPOE_SESSION: u16 = 0x8864;

/// An Ethernet frame, whoever may say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// To whom.
    pub destination: Mac,
    /// From whom, as it says.
    pub source: Mac,
    /// VLAN tags, the outermost first: the EtherType of the tag (802.1Q: 0x8100, 802.1ad: 0x88a8), and its value.
    pub tags: Vec<[u16; 2]>,
    /// The EtherType.
    pub kind: u16,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A plain one with an IP packet.
    pub fn of(destination: Mac, source: Mac, packet: &Packet) -> Self {
        let kind = if packet.source.is_ipv4() { 0x0800 } else { 0x86dd };
        Self { destination, source, tags: Vec::new(), kind, payload: packet.bytes() }
    }

    /// The same behind these tags.
    pub fn tagged(self, tags: &[[u16; 2]]) -> Self {
        Self { tags: tags.to_vec(), ..self }
    }

    /// The same IP packet in a PPPoE session (RFC 2516).
    pub fn in_pppoe(self) -> Self {
        let point: u16 = if self.kind == 0x0800 { 0x0021 } else { 0x0057 };
        let length = u16::try_from(2 + self.payload.len()).expect("a frame has less than 65,535 bytes");
        let header = [[0x11, 0], [0, 1], length.to_be_bytes(), point.to_be_bytes()].concat();
        Self { kind: PPPOE_SESSION, payload: [header, self.payload].concat(), ..self }
    }

    /// The same behind the header of 802.3 and SNAP (RFC 1042): a length in place of the EtherType.
    pub fn in_snap(self) -> Self {
        let header = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &self.kind.to_be_bytes()].concat();
        let payload = [header, self.payload].concat();
        Self { kind: u16::try_from(payload.len()).expect("at most 1,500 bytes"), payload, ..self }
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        self.tags.iter().flatten().for_each(|half| bytes.extend(half.to_be_bytes()));
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_stand_before_the_packet() {
        let ends = ["10.1.0.1", "10.1.0.2"].map(|address| address.parse().unwrap());
        let packet = Packet::new(ends[0], ends[1], 17, vec![7; 8]);
        let plain = Frame::of(BROADCAST, [2; 6], &packet);
        let from_12th = |frame: Frame| frame.bytes()[12..].to_vec();
        assert_eq!(from_12th(plain.clone())[..3], [8, 0, 0x45]);
        assert_eq!(
            from_12th(plain.clone().tagged(&[[0x88a8, 3], [0x8100, 0]]))[..10],
            [0x88, 0xa8, 0, 3, 0x81, 0, 0, 0, 8, 0]
        );
        assert_eq!(from_12th(plain.clone().in_pppoe())[..11], [0x88, 0x64, 0x11, 0, 0, 1, 0, 30, 0, 0x21, 0x45]);
        assert_eq!(from_12th(plain.in_snap())[..11], [0, 36, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]);
    }
}
