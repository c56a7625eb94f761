//! Requests, and their answers.

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use super::LinksError;
use super::channel::{Channel, Heard};
use super::message::{Raw, messages};

/// How often something is listed that changes meanwhile.
const TRIES: usize = 20;

impl Channel {
    /// Lists all that a request is about; begins anew where that changed meanwhile. `each` gets them by the try.
    pub(super) fn list<T: Default>(
        &mut self,
        request: &RouteNetlinkMessage,
        mut each: impl FnMut(&mut T, RouteNetlinkMessage),
    ) -> Result<T, LinksError> {
        for _ in 0..TRIES {
            let mut list = T::default();
            let mut is_whole = true;
            self.request(request, NLM_F_DUMP, |message| {
                is_whole &= message.flags & NLM_F_DUMP_INTR == 0;
                message.parse().into_iter().for_each(|message| each(&mut list, message));
            })?;
            if is_whole {
                return Ok(list);
            }
        }
        Err(io::Error::from(io::ErrorKind::Interrupted).into())
    }

    /// Asks for one thing.
    pub(super) fn get(&mut self, request: &RouteNetlinkMessage) -> Result<Option<RouteNetlinkMessage>, LinksError> {
        let mut answer = None;
        self.request(request, 0, |message| answer = message.parse())?;
        Ok(answer)
    }

    fn request(
        &mut self,
        request: &RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(Raw<'_>),
    ) -> Result<(), LinksError> {
        let sequence = self.number();
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request.clone()));
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.send(&bytes)?;
        loop {
            let datagram = match self.receive()? {
                Heard::Datagram(datagram, _) => datagram,
                Heard::Lost => continue,
                Heard::Nothing => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            };
            let mut done = false;
            for message in messages(datagram) {
                let message = message?;
                if message.sequence == sequence {
                    done |= message.is_last()?;
                    each(message);
                }
            }
            if done {
                return Ok(());
            }
        }
    }
}

/// The request for a link, by its index; for all of them if that is 0. Without their counters.
pub(super) fn link(index: u32) -> LinkMessage {
    let mut request = LinkMessage::default();
    request.header.index = index;
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    request
}
