//! Waiting for what comes when it comes.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Far longer than anything takes: only a failing test waits for it.
pub const LIMIT: Duration = Duration::from_secs(90);

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
