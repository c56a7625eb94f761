use std::fs;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What has happened since the start.
#[derive(Debug)]
pub(crate) struct Tally {
    begun: Instant,
    /// Milliseconds since 1970.
    begun_at: u128,
    /// TCP segments that this network namespace had received by then: a pod's has its addresses before its first process.
    early: u64,
    /// Connections that this end made.
    pub(crate) out: Count,
    /// Tries to make one that failed.
    pub(crate) failed: Count,
    /// Connections that were made to it.
    pub(crate) accepted: Count,
    /// Bytes that came back through the connection that is held.
    pub(crate) echoes: Count,
    /// Times that this connection ended.
    pub(crate) broken: Count,
}

/// How often something has happened, and when: milliseconds since the start.
#[derive(Debug, Default)]
pub(crate) struct Count(Mutex<Occasions>);

#[derive(Clone, Copy, Debug, Default)]
struct Occasions {
    count: u64,
    first: u128,
    last: u128,
}

impl Tally {
    pub(crate) fn begin() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            begun: Instant::now(),
            begun_at: since_1970.as_millis(),
            early: segments().unwrap_or_default(),
            out: Count::default(),
            failed: Count::default(),
            accepted: Count::default(),
            echoes: Count::default(),
            broken: Count::default(),
        }
    }

    /// Notes that it has happened now.
    pub(crate) fn note(&self, what: impl Fn(&Self) -> &Count) {
        let now = self.begun.elapsed().as_millis();
        let mut occasions = what(self).0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if occasions.count == 0 {
            occasions.first = now;
        }
        occasions.count += 1;
        occasions.last = now;
    }

    /// `start=` in milliseconds since 1970; TCP segments that this network namespace has received, `early=` before the start
    /// and `segments=` since; and for each count its number, and `first-` and `last-` in milliseconds since the start.
    pub(crate) fn line(&self) -> String {
        let Self { begun_at, early, .. } = self;
        let since = segments().unwrap_or_default().saturating_sub(*early);
        let mut line = format!("start={begun_at} early={early} segments={since}");
        let counts = [
            ("out", &self.out),
            ("failed", &self.failed),
            ("in", &self.accepted),
            ("echoes", &self.echoes),
            ("broken", &self.broken),
        ];
        for (name, count) in counts {
            let Occasions { count, first, last } = *count.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            line += &format!(" {name}={count} first-{name}={first} last-{name}={last}");
        }
        line
    }
}

/// The column `InSegs` of the second of the two lines `Tcp:`.
fn segments() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/snmp").ok()?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let column = lines.next()?.split_whitespace().position(|name| name == "InSegs")?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_from_the_start() {
        let tally = Tally::begin();
        tally.note(|tally| &tally.out);
        tally.note(|tally| &tally.out);
        let line = tally.line();
        assert!(line.starts_with("start=") && line.contains(" out=2 ") && line.contains(" in=0 "), "{line}");
    }
}
