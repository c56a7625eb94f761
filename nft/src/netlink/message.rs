use std::ffi::c_void;

use nftnl::{MsgType, NlMsg};

use super::attributes::{Attributes, Malformed, Writer, aligned};
use super::constants::*;
use crate::TableFamily;

const NETLINK_HEADER: usize = 16;
/// `struct nfgenmsg`: family, version, resource.
const NETFILTER_HEADER: usize = 4;

/// A message to nf_tables, to conntrack or to the log: never longer than [`Message::MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    subsystem: u8,
    kind: u8,
    flags: u16,
    family: u8,
    resource: u16,
    attributes: Vec<u8>,
}

/// A message would be longer than [`Message::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Message {
    /// The length, with headers, that keeps every attribute's length within its 16 bits. It is also less than
    /// [`nftnl::nft_nlmsg_maxsize`], which is what an [`NlMsg`] has room for.
    pub(super) const MAX: usize = u16::MAX as usize;

    /// A request of type `kind` (`NFT_MSG_...`) about an object of a table of `family`.
    pub(super) fn new(kind: u8, flags: u16, family: TableFamily, attributes: Writer) -> Result<Self, TooLong> {
        Self::to(NFNL_SUBSYS_NFTABLES, kind, flags, family.number(), 0, attributes)
    }

    /// A request of type `kind` (`IPCTNL_MSG_CT_...`) about connections of `family`.
    pub(super) fn conntrack(kind: u8, flags: u16, family: u8, attributes: Writer) -> Result<Self, TooLong> {
        Self::to(NFNL_SUBSYS_CTNETLINK, kind, flags, family, 0, attributes)
    }

    /// A request of type `kind` (`NFULNL_MSG_...`) about the log group `group`.
    pub(super) fn log(kind: u8, flags: u16, group: u16, attributes: Writer) -> Result<Self, TooLong> {
        Self::to(NFNL_SUBSYS_ULOG, kind, flags, NFPROTO_UNSPEC, group, attributes)
    }

    fn to(subsystem: u8, kind: u8, flags: u16, family: u8, resource: u16, attributes: Writer) -> Result<Self, TooLong> {
        let flags = flags | NLM_F_REQUEST;
        let message = Self { subsystem, kind, flags, family, resource, attributes: attributes.into_bytes() };
        if message.len() <= Self::MAX { Ok(message) } else { Err(TooLong) }
    }

    /// The same, to be acknowledged.
    pub(super) fn acknowledged(self) -> Self {
        Self { flags: self.flags | NLM_F_ACK, ..self }
    }

    /// The length in bytes.
    pub(super) fn len(&self) -> usize {
        NETLINK_HEADER + NETFILTER_HEADER + self.attributes.len()
    }

    /// The attributes.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.attributes)
    }

    /// Where `value`, the value of one of its attributes, ends, from the start of its header.
    pub(super) fn end_of(&self, value: &[u8]) -> usize {
        NETLINK_HEADER + NETFILTER_HEADER + value.as_ptr_range().end.addr() - self.attributes.as_ptr().addr()
    }

    /// As bytes.
    pub(super) fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.len()).expect("a message is at most Message::MAX long");
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&length.to_ne_bytes());
        bytes.extend_from_slice(&u16::from_be_bytes([self.subsystem, self.kind]).to_ne_bytes());
        bytes.extend_from_slice(&self.flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&[self.family, 0]);
        bytes.extend_from_slice(&self.resource.to_be_bytes());
        bytes.extend_from_slice(&self.attributes);
        bytes
    }
}

// SAFETY: `write` writes `self.len()` bytes, and that is at most `Message::MAX`, which is below `nft_nlmsg_maxsize()`
// (65,535 and a page).
unsafe impl NlMsg for Message {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, _: MsgType) {
        let bytes = self.to_bytes(seq);
        // SAFETY: the caller gives a buffer of at least `nft_nlmsg_maxsize()` bytes, which `bytes`, a fresh vector and
        // so apart from it, does not exceed.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.cast::<u8>(), bytes.len()) }
    }
}

/// A message that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received<'a> {
    /// Subsystem and type, or a control type of netlink's.
    pub(super) kind: u16,
    /// `NLM_F_...`
    pub(super) flags: u16,
    /// The sequence number of the request that it answers.
    pub(super) sequence: u32,
    /// The port of the socket that the request came from.
    pub(super) port: u32,
    /// What follows the netlink header.
    pub(super) body: &'a [u8],
}

impl<'a> Received<'a> {
    /// The type, if it is a message of nf_tables'.
    pub(super) fn nftables_kind(&self) -> Option<u8> {
        self.kind_of(NFNL_SUBSYS_NFTABLES)
    }

    /// The type, if it is a message of conntrack's.
    pub(super) fn conntrack_kind(&self) -> Option<u8> {
        self.kind_of(NFNL_SUBSYS_CTNETLINK)
    }

    /// The type, if it is a message of the log's.
    pub(super) fn log_kind(&self) -> Option<u8> {
        self.kind_of(NFNL_SUBSYS_ULOG)
    }

    fn kind_of(&self, wanted: u8) -> Option<u8> {
        let [subsystem, kind] = self.kind.to_be_bytes();
        (subsystem == wanted).then_some(kind)
    }

    /// The family, and the attributes, of a message of netfilter's.
    pub(super) fn content(&self) -> Result<(u8, Attributes<'a>), Malformed> {
        let (header, attributes) = self
            .body
            .split_first_chunk::<NETFILTER_HEADER>()
            .ok_or(Malformed("a message shorter than the netfilter header"))?;
        Ok((header[0], Attributes(attributes)))
    }
}

/// Reads messages that follow one another. After an error there is nothing more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Received<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some((header, _)) = bytes.split_first_chunk::<NETLINK_HEADER>() else {
            return Some(Err(Malformed("a message without a header")));
        };
        let length = word(header, 0) as usize;
        let Some(body) = bytes.get(NETLINK_HEADER..length) else {
            return Some(Err(Malformed("a message longer than what was received, or shorter than its header")));
        };
        self.0 = bytes.get(aligned(length)..).unwrap_or_default();
        Some(Ok(Received {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: word(header, 8),
            port: word(header, 12),
            body,
        }))
    }
}

fn word(header: &[u8; NETLINK_HEADER], at: usize) -> u32 {
    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::super::constants::{NFT_MSG_GETGEN, NFT_MSG_NEWTABLE};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut attributes = Writer::default();
        attributes.text(1, "palisade");
        let message = Message::new(NFT_MSG_NEWTABLE, 0x400, TableFamily::Inet, attributes).unwrap();
        let empty = Message::new(NFT_MSG_GETGEN, 0, TableFamily::Inet, Writer::default()).unwrap();
        let bytes = [message.to_bytes(7), empty.to_bytes(8)].concat();
        let read: Vec<_> = Messages(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!((read[0].nftables_kind(), read[0].flags, read[0].sequence), (Some(NFT_MSG_NEWTABLE), 0x401, 7));
        let (family, attributes) = read[0].content().unwrap();
        assert_eq!(family, NFPROTO_INET);
        assert_eq!(attributes.find(1).unwrap().unwrap().text(), "palisade");
        assert_eq!((read[1].nftables_kind(), read[1].sequence, read.len()), (Some(NFT_MSG_GETGEN), 8, 2));
    }

    #[test]
    fn what_would_overflow_lengths_is_refused() {
        let of = |length: usize| {
            let mut attributes = Writer::default();
            attributes.bytes(1, &vec![0; length]);
            Message::new(NFT_MSG_NEWTABLE, 0, TableFamily::Inet, attributes)
        };
        assert!(of(65_508).is_ok_and(|message| message.len() == 65_532));
        assert_eq!(of(65_512), Err(TooLong));
        assert_eq!(of(200_000), Err(TooLong));
        assert!(Message::MAX < nftnl::nft_nlmsg_maxsize() as usize);
    }

    #[test]
    fn garbage_ends_with_an_error() {
        let long = [[200, 0, 0, 0].as_slice(), &[0; 16]].concat();
        for bad in [&[0_u8; 15][..], &[0; 16], &long] {
            let read: Vec<_> = Messages(bad).collect();
            assert_eq!(read.len(), 1);
            assert!(read[0].is_err());
        }
    }
}
