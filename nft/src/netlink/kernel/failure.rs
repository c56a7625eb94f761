//! What went wrong, in the words of the crate's errors.

use std::io;

use super::OpenError;
use crate::netlink::batch::Reply;
use crate::netlink::elements;
use crate::netlink::message::Message;
use crate::netlink::socket::Failure;
use crate::{BackendError, CommitError, Errno, Operation, Transaction};

/// How much of an operation an error cites.
const CITATION: usize = 300;

pub(super) fn detail(transaction: &Transaction, index: usize, message: &Message, reply: &Reply) -> Option<String> {
    let element = match transaction.operations.get(index) {
        Some(Operation::AddElements { elements, .. } | Operation::DeleteElements { elements, .. }) => {
            reply.offset.and_then(|offset| elements::at(message, offset, elements.kind()))
        }
        _ => None,
    };
    let element = element.map(|element| format!("element {element}"));
    let words: Vec<String> = element.into_iter().chain(reply.words.clone()).collect();
    (!words.is_empty()).then(|| words.join(": "))
}

pub(super) fn refused(transaction: &Transaction, index: usize, errno: Errno, detail: Option<String>) -> CommitError {
    let operation = transaction.operations.get(index).map(ToString::to_string).unwrap_or_default();
    let operation = match operation.char_indices().nth(CITATION) {
        Some((end, _)) => format!("{}...", &operation[..end]),
        None => operation,
    };
    CommitError::Refused { index, operation, errno, detail }
}

pub(super) fn rejected(what: &str, failure: &Failure) -> CommitError {
    CommitError::Rejected { what: what.to_owned(), errno: errno(failure) }
}

pub(in crate::netlink) fn failed(what: &str, failure: Failure) -> BackendError {
    match failure {
        Failure::Malformed(malformed) => BackendError::Malformed(malformed.to_string()),
        failure => BackendError::System { what: what.to_owned(), errno: errno(&failure) },
    }
}

pub(in crate::netlink) fn errno(failure: &Failure) -> Errno {
    Errno(match failure {
        Failure::System(error) => *error as i32,
        Failure::Refused(reply) => reply.errno,
        Failure::Interrupted => libc::EINTR,
        Failure::Malformed(_) => libc::EBADMSG,
    })
}

pub(super) fn unreachable_because(error: &io::Error) -> Option<OpenError> {
    match error.raw_os_error()? {
        libc::EPERM | libc::EACCES => Some(OpenError::NotPermitted),
        // Of the socket where there is no netfilter; of the request where there is no nf_tables.
        libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::EINVAL | libc::EOPNOTSUPP => Some(OpenError::NoNftables),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(errno: i32) -> String {
        unreachable_because(&io::Error::from_raw_os_error(errno)).map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_kernel_without_nftables_is_told_from_a_missing_right() {
        for errno in [libc::EINVAL, libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT, libc::EOPNOTSUPP] {
            assert!(said_of(errno).starts_with("this kernel has no nf_tables"), "{errno}");
        }
        for errno in [libc::EPERM, libc::EACCES] {
            assert!(said_of(errno).starts_with("nftables needs CAP_NET_ADMIN"), "{errno}");
        }
        assert_eq!(said_of(libc::ENOBUFS), "");
    }
}
