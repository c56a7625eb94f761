//! Connections as they are now, with what conntrack counts of them.

use super::Tuple;
use super::events::read_counter;
use crate::CounterValue;
use crate::netlink::attributes::{Attributes, Malformed};
use crate::netlink::constants::*;
use crate::netlink::message::Received;

/// A connection that conntrack knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveConnection {
    /// Its first packet's addresses and ports, before they were translated.
    pub original: Tuple,
    /// Those of replies, before they are translated.
    pub reply: Tuple,
    /// When it began, in nanoseconds since 1970, where the kernel keeps that (`net.netfilter.nf_conntrack_timestamp`, when it
    /// began).
    pub begun: Option<u64>,
    /// What went the way of the first packet so far, where the kernel counts that (`net.netfilter.nf_conntrack_acct`, when
    /// it began).
    pub sent: Option<CounterValue>,
    /// What went the other way.
    pub received: Option<CounterValue>,
    /// Whether both ends have said that they are done, or one has broken it off: conntrack keeps it for a while, and nothing
    /// more is expected.
    pub is_over: bool,
}

impl LiveConnection {
    /// The connection that a message tells of; `None` where it tells of none.
    pub(super) fn read(message: Received<'_>) -> Result<Option<Self>, Malformed> {
        if message.conntrack_kind() != Some(IPCTNL_MSG_CT_NEW) {
            return Ok(None);
        }
        let (_, attributes) = message.content()?;
        let (mut original, mut reply, mut begun, mut is_over) = (None, None, None, false);
        let (mut sent, mut received) = (None, None);
        for attribute in attributes {
            let attribute = attribute?;
            match attribute.kind {
                CTA_TUPLE_ORIG => original = Some(Tuple::read(attribute.nested())?),
                CTA_TUPLE_REPLY => reply = Some(Tuple::read(attribute.nested())?),
                CTA_PROTOINFO => is_over = read_state(attribute.nested())?,
                CTA_COUNTERS_ORIG => sent = Some(read_counter(attribute.nested())?),
                CTA_COUNTERS_REPLY => received = Some(read_counter(attribute.nested())?),
                CTA_TIMESTAMP => begun = read_start(attribute.nested())?,
                _ => {}
            }
        }
        const NO_ADDRESSES: Malformed = Malformed("a connection without addresses");
        let (original, reply) = original.zip(reply).ok_or(NO_ADDRESSES)?;
        Ok(Some(Self { original, reply, begun, sent, received, is_over }))
    }
}

/// Whether the protocol says that it is over: TCP from the second FIN's answer on, or with a reset; SCTP at the end of its
/// shutdown. Of others nothing is known.
fn read_state(info: Attributes<'_>) -> Result<bool, Malformed> {
    let state = |protocol, kind| -> Result<Option<u8>, Malformed> {
        let Some(of_protocol) = info.find(protocol)? else { return Ok(None) };
        Ok(of_protocol.nested().find(kind)?.and_then(|state| state.value.first().copied()))
    };
    let tcp = state(CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE)?;
    let sctp = state(CTA_PROTOINFO_SCTP, CTA_PROTOINFO_SCTP_STATE)?;
    Ok(tcp.is_some_and(|state| (TCP_CONNTRACK_LAST_ACK..=TCP_CONNTRACK_CLOSE).contains(&state))
        || matches!(sctp, Some(SCTP_CONNTRACK_CLOSED | SCTP_CONNTRACK_SHUTDOWN_ACK_SENT)))
}

fn read_start(timestamp: Attributes<'_>) -> Result<Option<u64>, Malformed> {
    timestamp.find(CTA_TIMESTAMP_START)?.map(|start| start.be64()).transpose()
}
