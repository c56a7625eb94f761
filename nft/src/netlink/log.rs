//! What rules tell of packets, over nfnetlink_log (NFLOG).
//!
//! Invariants:
//! - What the kernel told and what it could not tell, for want of room, are counted: records, [`LogReader::malformed`] and
//!   [`LogReader::lost`] together are all that rules logged.
//! - Whatever a packet holds, reading its record ends with a value or a count.

mod error;
mod losses;
mod packet;
mod record;
#[cfg(test)]
pub(in crate::netlink) mod tests;

use std::os::fd::{AsFd, BorrowedFd};

pub use self::error::LogError;
use self::losses::Losses;
pub use self::record::LogRecord;
use self::record::Told;
use super::attributes::Writer;
use super::constants::*;
use super::listener::{Ender, Heard, Listener};
use super::message::{Message, Messages, Received};
use super::socket::{Channel, Failure};

/// How much of a packet is told at most: all headers that are looked at, IPv4's with options, some extensions of IPv6's.
const RANGE: u32 = 192;
/// How many packets are told together at most, and how long (in hundredths of a second) the first of them waits.
const TOGETHER: u32 = 16;
const TIMEOUT: u32 = 1;
/// Room for some ten thousand records.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Reads what rules log to one group, of which it is the only reader in its network namespace.
///
/// Nothing is done for other programs' rules to log there: of nftables' own, each says which group it logs to.
pub struct LogReader {
    listener: Listener,
    /// What came while the group was being asked for.
    pending: Vec<LogRecord>,
    losses: Losses,
    malformed: u64,
}

impl LogReader {
    /// Reads group `group` from now on, until it is dropped.
    ///
    /// # Errors
    /// [`LogError`]: the group is another program's, there are none in this kernel, or something else.
    pub fn open(group: u16) -> Result<Self, LogError> {
        let listener = Listener::open(0, RECEIVE_BUFFER).map_err(|error| LogError::of_socket(&error))?;
        let mut reader = Self { listener, pending: Vec::new(), losses: Losses::default(), malformed: 0 };
        let told = match reader.bind(group, NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK) {
            Err(Failure::Refused(reply)) if reply.errno == libc::EOPNOTSUPP => {
                tracing::debug!(group, "this kernel does not log connections (CONFIG_NETFILTER_NETLINK_GLUE_CT)");
                reader.bind(group, NFULNL_CFG_F_SEQ)
            }
            result => result,
        };
        let told = told.map_err(|failure| error::of_group(&mut reader.listener.channel, group, &failure))?;
        reader.pending = reader.read(&told);
        Ok(reader)
    }

    /// Whether this kernel has log groups, which rules that log need. It asks, and changes nothing.
    ///
    /// # Errors
    /// [`LogError`] where the kernel cannot be asked.
    pub fn is_supported() -> Result<bool, LogError> {
        let mut channel = Channel::open(0).map_err(|error| LogError::of_socket(&error))?;
        let nothing = Message::log(NFULNL_MSG_CONFIG, NLM_F_ACK, 0, Writer::default()).expect("nothing is short");
        match channel.request(&nothing) {
            // Nobody has the group.
            Err(Failure::Refused(reply)) if reply.errno == libc::ENODEV => Ok(true),
            Err(failure) => match error::of_group(&mut channel, 0, &failure) {
                LogError::NoLog => Ok(false),
                LogError::Taken { .. } => Ok(true),
                error => Err(error),
            },
            Ok(_) => Ok(true),
        }
    }

    /// Waits for records: at least one, in the order of the packets. None: it was [ended](Ender::end).
    ///
    /// # Errors
    /// [`LogError::System`] where the socket failed.
    pub fn recv(&mut self) -> Result<Vec<LogRecord>, LogError> {
        while self.pending.is_empty() && self.listener.wait().map_err(LogError::of_reading)? {
            self.pending = self.try_recv()?;
        }
        Ok(std::mem::take(&mut self.pending))
    }

    /// Some records that are there already; none, where there are none, or only malformed ones. To be called when the
    /// descriptor is readable.
    ///
    /// # Errors
    /// [`LogError::System`] where the socket failed.
    pub fn try_recv(&mut self) -> Result<Vec<LogRecord>, LogError> {
        let mut records = std::mem::take(&mut self.pending);
        for heard in self.listener.receive().map_err(LogError::of_reading)? {
            match heard {
                Heard::Datagram(datagram) => records.extend(self.read(&datagram)),
                Heard::Overrun => self.losses.suspect(),
            }
        }
        Ok(records)
    }

    /// What ends waiting in [`LogReader::recv`].
    pub fn ender(&self) -> Ender {
        self.listener.ender()
    }

    /// How many records the kernel had no room for. The last ones are known for certain when the next record comes: until
    /// then they count as one.
    pub fn lost(&self) -> u64 {
        self.losses.count()
    }

    /// How many records could not be read, of packets that are not IP, or are cut within their first header.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The datagrams that came until the kernel consented.
    fn bind(&mut self, group: u16, flags: u16) -> Result<Vec<u8>, Failure> {
        let mut attributes = Writer::default();
        attributes.bytes(NFULA_CFG_CMD, &[NFULNL_CFG_CMD_BIND]);
        let [a, b, c, d] = RANGE.to_be_bytes();
        attributes.bytes(NFULA_CFG_MODE, &[a, b, c, d, NFULNL_COPY_PACKET, 0]);
        attributes.be32(NFULA_CFG_TIMEOUT, TIMEOUT);
        attributes.be32(NFULA_CFG_QTHRESH, TOGETHER);
        attributes.be16(NFULA_CFG_FLAGS, flags);
        let message = Message::log(NFULNL_MSG_CONFIG, NLM_F_ACK, group, attributes).expect("some numbers are short");
        self.listener.channel.request(&message)
    }

    fn read(&mut self, datagram: &[u8]) -> Vec<LogRecord> {
        Messages(datagram).filter_map(|message| self.hear(message.ok())).collect()
    }

    fn hear(&mut self, message: Option<Received<'_>>) -> Option<LogRecord> {
        let told = match message {
            Some(message) if message.log_kind() != Some(NFULNL_MSG_PACKET) => return None,
            Some(message) => message.content().and_then(|(_, attributes)| Told::read(attributes)).ok(),
            None => None,
        };
        if let Some(sequence) = told.as_ref().and_then(|told| told.sequence) {
            self.losses.hear(sequence);
        }
        let record = told.and_then(|told| told.record().ok());
        self.malformed += u64::from(record.is_none());
        record
    }
}

impl AsFd for LogReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.fd()
    }
}
