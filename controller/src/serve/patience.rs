//! How long a connection may last.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A connection's: clones are of the same one.
#[derive(Clone, Debug)]
pub(super) struct Patience(Arc<Mutex<Terms>>);

#[derive(Debug)]
struct Terms {
    end: Instant,
    stays: bool,
}

impl Patience {
    /// From now on, for so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(Terms { end: Instant::now() + limit, stays: false })))
    }

    /// The connection stays: from now on it has so much more.
    pub(super) fn prolong(&self, limit: Duration) {
        *self.terms() = Terms { end: Instant::now() + limit, stays: true };
    }

    /// Whether it was prolonged.
    pub(super) fn stays(&self) -> bool {
        self.terms().stays
    }

    /// Waits for the end.
    pub(super) async fn ends(&self) {
        loop {
            let end = self.terms().end;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_prolonged_ends_later() {
        let (short, long) = (Patience::new(Duration::from_secs(10)), Patience::new(Duration::from_secs(10)));
        let start = Instant::now();
        let prolonging = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            long.prolong(Duration::from_secs(60));
        };
        let ended = async |patience: &Patience| {
            patience.ends().await;
            start.elapsed().as_secs()
        };
        let (short_end, long_end, ()) = tokio::join!(ended(&short), ended(&long), prolonging);
        assert_eq!((short_end, long_end), (10, 65));
        assert!(long.stays() && !short.stays());
    }
}
