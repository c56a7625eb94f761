//! Looking once, and hearing of every change.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{LinksError, NodeLinks};

/// Asks a [`watch`] to look again. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Nudge(Arc<UnixStream>);

impl Nudge {
    /// Makes the watch ask the far ends of all ports for their addresses, now. It tells what it finds only if that is new.
    /// Never waits.
    pub fn look_again(&self) {
        // Where the pipe is full, it has been asked already; where it is closed, there is nobody to ask.
        let _ = (&*self.0).write(&[1]);
    }
}

/// How pods hang on the node of the calling thread.
///
/// # Errors
/// [`LinksError`].
pub fn read() -> Result<NodeLinks, LinksError> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

/// Tells how pods hang on the node of the calling thread: at once, and then whenever it differs. A thread of its own
/// does so until `tell` says false.
///
/// # Errors
/// Where the kernel cannot be asked or heard, or there can be no thread.
pub fn watch(_tell: impl FnMut(NodeLinks) -> bool + Send + 'static) -> io::Result<Nudge> {
    Err(io::ErrorKind::Unsupported.into())
}
