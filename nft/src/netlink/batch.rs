//! A batch: what the kernel applies whole or not at all, as the bytes of one datagram.

use nftnl::{Batch, MsgType};

use super::attributes::{Attributes, Malformed, Writer};
use super::constants::*;
use super::message::{Message, Messages, Received};

/// The length of BEGIN and of END: a netlink and a netfilter header each.
const FRAME: usize = 20;
const LENGTH: std::ops::Range<usize> = 0..4;
const FLAGS: std::ops::Range<usize> = 6..8;

/// A batch on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wire {
    /// All messages, between BEGIN and END.
    pub(super) bytes: Vec<u8>,
    /// The sequence number of the first message after BEGIN: each one after has the next.
    pub(super) first: u32,
    /// The sequence number whose acknowledgement means that the batch was committed.
    pub(super) acknowledged: u32,
}

/// The batch of `messages`. It is refused with ERESTART where the ruleset's generation is not `generation`.
///
/// The last message is to be acknowledged, which every kernel does when all is done (END is acknowledged from 6.10 on alone).
/// One acknowledgement, however many messages there are, cannot overflow the socket's buffer.
///
/// # Errors
/// Where there are no messages, or more than 2 GB of them.
pub(super) fn wire(messages: &[&Message], generation: Option<u32>) -> Result<Wire, Malformed> {
    let last = messages.last().ok_or(Malformed("a batch without messages"))?;
    let length = 2 * FRAME + messages.iter().map(|message| message.len()).sum::<usize>();
    let page = i32::try_from(length).map_err(|_| Malformed("a batch of 2 GB"))?;
    let mut batch = Batch::with_page_size(page.cast_unsigned());
    for message in messages {
        batch.add(*message, MsgType::Add);
    }
    let bytes = batch.finalize().iter().collect::<Vec<_>>().concat();
    frame(bytes, last.len(), generation)
}

/// Asks for the one acknowledgement, which `Batch` asks of BEGIN and END where it takes the kernel to be new, and names the
/// generation.
fn frame(mut bytes: Vec<u8>, last: usize, generation: Option<u32>) -> Result<Wire, Malformed> {
    let end_at = bytes.len() - FRAME;
    let last_at = end_at - last;
    let first = header(&bytes[FRAME..])?.sequence;
    for at in [0, end_at] {
        let flags = header(&bytes[at..])?.flags & !NLM_F_ACK;
        bytes[at..][FLAGS].copy_from_slice(&flags.to_ne_bytes());
    }
    let last = header(&bytes[last_at..])?;
    let (flags, acknowledged) = (last.flags | NLM_F_ACK, last.sequence);
    bytes[last_at..][FLAGS].copy_from_slice(&flags.to_ne_bytes());
    if let Some(generation) = generation {
        let mut attribute = Writer::default();
        attribute.be32(NFNL_BATCH_GENID, generation);
        let length = u32::try_from(FRAME + attribute.len()).expect("28 bytes");
        bytes[LENGTH].copy_from_slice(&length.to_ne_bytes());
        bytes.splice(FRAME..FRAME, attribute.into_bytes());
    }
    Ok(Wire { bytes, first, acknowledged })
}

fn header(bytes: &[u8]) -> Result<Received<'_>, Malformed> {
    Messages(bytes).next().unwrap_or(Err(Malformed("a batch that ends early")))
}

/// What the kernel says of a message: an error, or, where that is zero, an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The message's sequence number.
    pub(super) sequence: u32,
    /// The error number.
    pub(super) errno: i32,
    /// The kernel's own words.
    pub(super) words: Option<String>,
    /// Where in the message the attribute is that was refused, from the start of its header.
    pub(super) offset: Option<u32>,
}

impl Reply {
    /// Reads those of a datagram.
    pub(super) fn read_all(datagram: &[u8]) -> Result<Vec<Self>, Malformed> {
        let messages =
            Messages(datagram).filter(|message| message.is_err() || message.is_ok_and(|m| m.kind == NLMSG_ERROR));
        messages.map(|message| Self::read(message?)).collect()
    }

    /// Reads a message of type `NLMSG_ERROR`.
    pub(super) fn read(message: Received<'_>) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed("an error message without an error");
        const HEADER: usize = 16;
        let (errno, rest) = message.body.split_first_chunk::<4>().ok_or(SHORT)?;
        let (header, rest) = rest.split_at_checked(HEADER).ok_or(SHORT)?;
        let sequence = header[8..12].try_into().map(u32::from_ne_bytes).map_err(|_| SHORT)?;
        let mut reply =
            Self { sequence, errno: i32::from_ne_bytes(*errno).saturating_neg(), words: None, offset: None };
        // Without NLM_F_CAPPED the refused message itself stands before the attributes.
        if message.flags & NLM_F_ACK_TLVS != 0 && message.flags & NLM_F_CAPPED != 0 {
            for attribute in Attributes(rest) {
                let attribute = attribute?;
                match attribute.kind {
                    NLMSGERR_ATTR_MSG => reply.words = Some(attribute.text().into_owned()),
                    NLMSGERR_ATTR_OFFS => reply.offset = attribute.value.try_into().ok().map(u32::from_ne_bytes),
                    _ => {}
                }
            }
        }
        Ok(reply)
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was committed.
    Committed,
    /// It was not: the first error.
    Refused(Reply),
    /// The kernel did not say.
    Unknown,
}

/// What became of the batch that these are the replies to. An error speaks louder than an acknowledgement.
pub(super) fn outcome(wire: &Wire, replies: Vec<Reply>) -> Outcome {
    let committed = replies.iter().any(|reply| reply.sequence == wire.acknowledged && reply.errno == 0);
    match replies.into_iter().find(|reply| reply.errno != 0) {
        Some(refusal) => Outcome::Refused(refusal),
        None if committed => Outcome::Committed,
        None => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
    const NFNL_MSG_BATCH_END: u16 = 0x11;

    fn messages(count: usize) -> Vec<Message> {
        let message = || {
            let mut attributes = Writer::default();
            attributes.bytes(1, &[7; 60_000]);
            Message::new(NFT_MSG_NEWSETELEM, NLM_F_CREATE, crate::TableFamily::Inet, attributes).unwrap()
        };
        (0..count).map(|_| message()).collect()
    }

    fn written(count: usize, generation: Option<u32>) -> Wire {
        wire(&messages(count).iter().collect::<Vec<_>>(), generation).unwrap()
    }

    #[test]
    fn the_acknowledgement_of_the_last_message_alone_is_asked_for() {
        for count in [1, 2, 40] {
            let wire = written(count, None);
            let read: Vec<_> = Messages(&wire.bytes).collect::<Result<_, _>>().unwrap();
            assert_eq!(read.len(), count + 2);
            assert_eq!((read[0].kind, read[count + 1].kind), (NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END));
            assert_eq!(read[1].sequence, wire.first);
            let asking: Vec<_> = read.iter().filter(|message| message.flags & NLM_F_ACK != 0).collect();
            assert_eq!(asking.len(), 1);
            assert_eq!((asking[0].sequence, asking[0].kind), (wire.acknowledged, read[count].kind));
        }
        assert!(wire(&[], None).is_err());
    }

    #[test]
    fn the_generation_is_in_begin() {
        let wire = written(2, Some(77));
        let begin = Messages(&wire.bytes).next().unwrap().unwrap();
        let (_, attributes) = begin.content().unwrap();
        assert_eq!(attributes.find(NFNL_BATCH_GENID).unwrap().unwrap().be32(), Ok(77));
        assert_eq!(Messages(&wire.bytes).count(), 4);
    }

    #[test]
    fn errors_speak_louder_than_acknowledgements() {
        let wire = written(2, None);
        let reply = |sequence, errno| Reply { sequence, errno, words: None, offset: None };
        let (acknowledged, refused) = (reply(wire.acknowledged, 0), reply(wire.first, 17));
        assert_eq!(outcome(&wire, vec![acknowledged.clone()]), Outcome::Committed);
        assert_eq!(outcome(&wire, vec![acknowledged, refused.clone()]), Outcome::Refused(refused));
        assert_eq!(outcome(&wire, vec![reply(wire.first - 1, 0)]), Outcome::Unknown);
        assert_eq!(outcome(&wire, vec![]), Outcome::Unknown);
    }
}
