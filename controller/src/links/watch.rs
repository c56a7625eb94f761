//! Looking once, and hearing of every change.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::look::{Look, once};
use super::{LinksError, NodeLinks};

/// What happens to a link comes in several steps, told one by one. After each, so long (ms) is waited for another one, but
/// no longer in all than [`LONGEST`]: a new link is told soon.
const STEP: u8 = 1;
const LONGEST: Duration = Duration::from_millis(4);
/// After an error.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks a [`watch`] to look again. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Nudge(Arc<UnixStream>);

impl Nudge {
    /// Makes the watch ask the other ends of all ports for their addresses, now. It tells what it finds only if that is
    /// new. Never waits.
    pub fn look_again(&self) {
        // Where there is no room, it has been asked already; where there is no reader, it watches no longer.
        let _ = (&*self.0).write(&[1]);
    }
}

/// How pods hang on the node of the calling thread.
///
/// # Errors
/// [`LinksError`].
pub fn read() -> Result<NodeLinks, LinksError> {
    once()
}

/// Tells how pods hang on the node of the calling thread: at once, and then whenever it differs. A thread of its own
/// does so until `tell` says false.
///
/// # Errors
/// Where the kernel cannot be heard, or there can be no thread.
pub fn watch(tell: impl FnMut(NodeLinks) -> bool + Send + 'static) -> io::Result<Nudge> {
    let (nudge, nudged) = UnixStream::pair()?;
    nudge.set_nonblocking(true)?;
    nudged.set_nonblocking(true)?;
    let look = Look::open(Instant::now())?;
    thread::Builder::new().name("links".to_owned()).spawn(move || Watch { look, nudged: Some(nudged), tell }.run())?;
    Ok(Nudge(Arc::new(nudge)))
}

struct Watch<T> {
    look: Look,
    nudged: Option<UnixStream>,
    tell: T,
}

impl<T: FnMut(NodeLinks) -> bool> Watch<T> {
    fn run(mut self) {
        let mut told = None;
        loop {
            let heard = self.hear().unwrap_or_else(|error| {
                tracing::error!(%error, "changes of links and routes cannot be heard; starting over");
                thread::sleep(PAUSE);
                self.look.start_over(Instant::now());
                false
            });
            if self.look.catch_up(Instant::now()) || heard {
                let now = self.look.snapshot();
                if self.look.is_ready() && told.as_ref() != Some(&now) {
                    told = Some(now.clone());
                    if !(self.tell)(now) {
                        return;
                    }
                }
            }
            if let Err(error) = self.wait() {
                tracing::error!(%error, "changes of links and routes cannot be waited for");
                thread::sleep(PAUSE);
            }
        }
    }

    /// Hears what has come, and what comes hard upon it. Whether that was anything.
    fn hear(&mut self) -> io::Result<bool> {
        let begin = Instant::now();
        if self.is_nudged() {
            self.look.look_again(begin);
        }
        let heard = self.look.hear(begin)?;
        let mut more = heard;
        while more && begin.elapsed() < LONGEST {
            let mut fds = [PollFd::new(self.look.fd(), PollFlags::POLLIN)];
            more = poll(&mut fds, PollTimeout::from(STEP))? > 0;
            self.look.hear(Instant::now())?;
        }
        Ok(heard)
    }

    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let hints = self.look.hints_fd(now);
        let fds = std::iter::once(self.look.fd()).chain(hints).chain(self.nudged.as_ref().map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = self.look.due(now).map_or(PollTimeout::NONE, |due| timeout(due.saturating_duration_since(now)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_nudged(&mut self) -> bool {
        let mut nudges = [0; 64];
        match self.nudged.as_mut().map(|nudged| nudged.read(&mut nudges)) {
            // Nobody can any longer.
            Some(Ok(0)) => self.nudged = None,
            Some(Ok(_)) => return true,
            Some(Err(_)) | None => {}
        }
        false
    }
}

/// No shorter than that.
fn timeout(wait: Duration) -> PollTimeout {
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|wait| PollTimeout::try_from(wait).ok()).unwrap_or(PollTimeout::MAX)
}
