//! The framing of netlink messages.

use std::fmt::Display;
use std::io;

use netlink_packet_core::{NLM_F_MULTIPART, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;

use super::LinksError;

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Those below are about netlink itself.
const FIRST_KIND: u16 = 16;

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_NEWNEIGH: u16 = 28;

/// A message of which only the header has been read.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    whole: &'a [u8],
}

/// The messages of a datagram.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Result<Raw<'_>, LinksError>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let message = Raw::new(datagram).ok_or_else(|| LinksError::Malformed("a message is cut short".to_owned()));
        // Messages are aligned to 4 bytes.
        let next = message.as_ref().map_or(usize::MAX, |message| message.whole.len().next_multiple_of(4));
        datagram = datagram.get(next..).unwrap_or_default();
        Some(message)
    })
}

impl<'a> Raw<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let half = |at: usize| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let length = word(bytes, 0)? as usize;
        let whole = bytes.get(..length).filter(|whole| whole.len() >= HEADER)?;
        Some(Self { kind: half(4)?, flags: half(6)?, sequence: word(bytes, 8)?, whole })
    }

    /// What it says. Of what is not understood a warning is all that comes: one strange device shall not hide the others.
    pub(super) fn parse(&self) -> Option<RouteNetlinkMessage> {
        if self.kind < FIRST_KIND {
            return None;
        }
        let warn = |error: &dyn Display| tracing::warn!(kind = self.kind, %error, "left out what rtnetlink told");
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(self.whole) {
            Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(message), .. }) => Some(message),
            Ok(_) => None,
            Err(error) => {
                warn(&error);
                None
            }
        }
    }

    /// The link that it is about, if it is about a link, an address, or a neighbour.
    pub(super) fn link(&self) -> Option<u32> {
        word(self.whole, HEADER + 4)
    }

    /// Whether an answer ends with it. A refusal is an error.
    pub(super) fn is_last(&self) -> Result<bool, LinksError> {
        let is_end = matches!(self.kind, NLMSG_ERROR | NLMSG_DONE);
        match word(self.whole, HEADER).map(u32::cast_signed) {
            Some(error) if is_end && error < 0 => Err(io::Error::from_raw_os_error(error.saturating_neg()).into()),
            _ => Ok(is_end || self.flags & NLM_F_MULTIPART == 0),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
