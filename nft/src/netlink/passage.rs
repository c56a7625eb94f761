//! Packets on their way through the rules.

use std::thread;
use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};

/// How long packets are given to pass where the kernel cannot say when they have: it takes them microseconds.
const PAUSE: Duration = Duration::from_millis(50);

/// Returns when all packets have passed that were on their way through the rules at the time of the call: some 10 ms.
///
/// A packet is forwarded within one RCU read-side critical section, from the interface that it came by to the last hook,
/// which is where its connection begins. A global barrier waits for those that have begun to end.
pub(super) fn wait() {
    if let Err(error) = membarrier(MembarrierCommand::Global) {
        tracing::debug!(%error, "this kernel does not tell when packets have passed");
        thread::sleep(PAUSE);
    }
}
