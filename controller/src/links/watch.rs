//! Looking once, and hearing of every change.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
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
pub struct Nudge {
    names: Sender<Vec<String>>,
    wake: Arc<UnixStream>,
}

impl Nudge {
    /// Makes the watch ask the other ends of these links for their addresses, now, and of all ports that have not told of any
    /// yet; where none of these is a port, of the others as well, but not as often. It tells what it finds only if that is new.
    /// Never waits.
    pub fn look_again(&self, links: &[String]) {
        // Where there is no reader, it watches no longer; where there is no room, it is woken already.
        let _ = self.names.send(links.to_vec());
        let _ = (&*self.wake).write(&[1]);
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
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    let (names, wanted) = channel();
    let look = Look::open(Instant::now())?;
    let watch = Watch { look, woken: Some(woken), wanted, tell };
    thread::Builder::new().name("links".to_owned()).spawn(move || watch.run())?;
    Ok(Nudge { names, wake: Arc::new(wake) })
}

struct Watch<T> {
    look: Look,
    woken: Option<UnixStream>,
    /// Names of links, of which many are asked for by one who is woken once.
    wanted: Receiver<Vec<String>>,
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

    /// Hears what has come and, unless somebody waits for what is known by now, what comes hard upon it. Whether that was
    /// anything.
    fn hear(&mut self) -> io::Result<bool> {
        let begin = Instant::now();
        self.rest();
        let heard = self.look.hear(begin)?;
        // A link that was just made is known by now.
        let wanted = self.wanted.try_iter().map(|links| self.look.look_again(&links, begin)).count();
        let mut more = heard && wanted == 0;
        while more && begin.elapsed() < LONGEST {
            let mut fds = self.fds(None);
            let has_news = poll(&mut fds, PollTimeout::from(STEP))? > 0;
            more = has_news && !fds.get(1).and_then(PollFd::any).unwrap_or_default();
            self.look.hear(Instant::now())?;
        }
        Ok(heard)
    }

    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let mut fds = self.fds(self.look.hints_fd(now));
        let timeout = self.look.due(now).map_or(PollTimeout::NONE, |due| timeout(due.saturating_duration_since(now)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What to wait for: news, whoever wakes it, and `more`.
    fn fds<'a>(&'a self, more: Option<BorrowedFd<'a>>) -> Vec<PollFd<'a>> {
        let fds = std::iter::once(self.look.fd()).chain(self.woken.as_ref().map(AsFd::as_fd)).chain(more);
        fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect()
    }

    /// Is not woken again by what has woken it.
    fn rest(&mut self) {
        // Nobody wakes it any longer.
        if let Some(Ok(0)) = self.woken.as_mut().map(|woken| woken.read(&mut [0; 64])) {
            self.woken = None;
        }
    }
}

/// No shorter than that.
fn timeout(wait: Duration) -> PollTimeout {
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds).ok().and_then(|wait| PollTimeout::try_from(wait).ok()).unwrap_or(PollTimeout::MAX)
}
