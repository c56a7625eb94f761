//! Waiting for what comes when it comes.

use std::io;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;

/// Far longer than anything takes, also on a busy machine, after an agent that has paused between two tries or a TCP that sends
/// again ever later: only a failing test waits for it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Some 20,000 datagrams.
const RECEIVE_BUFFER: usize = 16 << 20;

/// Waits until `found` finds something, which is asked after each `pause`.
///
/// # Panics
/// With what `otherwise` says, where it finds nothing within [`LIMIT`].
#[track_caller]
pub fn eventually<T>(pause: Duration, mut found: impl FnMut() -> Option<T>, otherwise: impl FnOnce() -> String) -> T {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(found) = found() {
            return found;
        }
        sleep(pause);
    }
    panic!("{}", otherwise());
}

/// Makes a socket hold what comes while its reader has no CPU, which is more than the 200 datagrams that fit otherwise.
///
/// # Errors
/// Where the network namespace is not of the calling process' user namespace.
pub fn hold_datagrams(socket: &UdpSocket) -> io::Result<()> {
    Ok(setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_there_is_something() {
        let mut asked = 0;
        let found = eventually(
            Duration::from_millis(1),
            || {
                asked += 1;
                (asked == 3).then_some("found")
            },
            || "nothing".to_owned(),
        );
        assert_eq!((found, asked), ("found", 3));
    }
}
