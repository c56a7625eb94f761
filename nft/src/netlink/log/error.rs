use std::io;

use nix::errno::Errno as Raw;
use thiserror::Error;

use crate::netlink::attributes::Writer;
use crate::netlink::constants::{NFT_MSG_GETGEN, NLM_F_ACK};
use crate::netlink::kernel::errno;
use crate::netlink::message::Message;
use crate::netlink::socket::{Channel, Failure};
use crate::{Errno, TableFamily};

/// Why a log group cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// A group has one reader.
    #[error("log group {group} is read by another program: choose another group for one of them")]
    Taken {
        /// The group.
        group: u16,
    },
    /// The kernel has no nfnetlink_log, nor finds its module.
    #[error("this kernel has no nfnetlink_log (CONFIG_NETFILTER_NETLINK_LOG): load the module or change the kernel")]
    NoLog,
    /// No CAP_NET_ADMIN in the user namespace that owns the network namespace.
    #[error("log groups need CAP_NET_ADMIN: run as root, or give the container that capability")]
    NotPermitted,
    /// Something else.
    #[error("cannot {what}: {errno}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The error.
        errno: Errno,
    },
}

impl LogError {
    pub(super) fn of_socket(error: &io::Error) -> Self {
        const OPENING: &str = "open a netlink socket to netfilter";
        Self::System { what: OPENING, errno: Errno(error.raw_os_error().unwrap_or(libc::EIO)) }
    }

    pub(super) fn of_reading(error: Raw) -> Self {
        Self::System { what: "read what rules log", errno: Errno(error as i32) }
    }
}

/// Why group `group` was refused. Who has no rights and who comes second get the same error: only the one gets it
/// whatever is asked.
pub(super) fn of_group(channel: &mut Channel, group: u16, failure: &Failure) -> LogError {
    match errno(failure) {
        Errno(libc::EBUSY) => LogError::Taken { group },
        Errno(libc::EPERM) if may_ask(channel) => LogError::Taken { group },
        Errno(libc::EPERM) => LogError::NotPermitted,
        // Of a subsystem that is not there.
        Errno(libc::EINVAL) => LogError::NoLog,
        errno => LogError::System { what: "bind to a log group", errno },
    }
}

fn may_ask(channel: &mut Channel) -> bool {
    let question =
        Message::new(NFT_MSG_GETGEN, NLM_F_ACK, TableFamily::Inet, Writer::default()).expect("nothing is short");
    !matches!(channel.request(&question), Err(Failure::Refused(reply)) if reply.errno == libc::EPERM)
}
