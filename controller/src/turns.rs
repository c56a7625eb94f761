//! Whose changes are put in force now, and whose later: a namespace whose changes take long rests for many times as long, and
//! comes after all others.
//!
//! So one that changes all the time what takes long takes a small part of the agent's time, and others wait at most
//! until one piece of its work is done.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use palisade_model::Cost;

/// What is done sooner is not worth any order: what anybody's edit takes while all that there may be is in force, and as much
/// again.
const SHORT: Duration = Duration::from_millis(10);
/// So many times as long as its changes took a namespace rests.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(10);
/// What an element may take at most, from the index to the kernel's acknowledgement.
const WORTH: Duration = Duration::from_micros(5);
/// Whose policies are worth less never rests, however slow the machine is: ten times what is usual.
const SMALL: f64 = 10_000.0;

/// The processor time that this thread has used, the kernel's work for it included: what its work takes, however busy the
/// machine is, and without what it waits for.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Until when namespaces rest whose last changes took long.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    resting_until: HashMap<Arc<str>, Instant>,
}

impl Turns {
    /// Whether it comes with the others.
    pub(crate) fn is_light(&self, namespace: &str) -> bool {
        !self.resting_until.contains_key(namespace)
    }

    /// Whether all do.
    pub(crate) fn are_light(&self) -> bool {
        self.resting_until.is_empty()
    }

    /// The one of `waiting` that has rested longest, if any has for long enough.
    pub(crate) fn next(&self, waiting: &BTreeSet<Arc<str>>, now: Instant) -> Option<Arc<str>> {
        let (until, namespace) = self.first(waiting)?;
        (until <= now).then(|| namespace.clone())
    }

    /// When [`Turns::next`] gives one.
    pub(crate) fn due(&self, waiting: &BTreeSet<Arc<str>>) -> Option<Instant> {
        self.first(waiting).map(|(until, _)| until)
    }

    /// Takes note of how much [processor time](processor_time) changes of these namespaces took together, which cost that much.
    /// Each took its part of it, but no more than what it costs is worth: the rest went into looking at what others have.
    pub(crate) fn took(&mut self, namespaces: &[(Arc<str>, Cost)], time: Duration, now: Instant) {
        let loads: Vec<f64> = namespaces.iter().map(|(_, cost)| load(cost)).collect();
        let sum: f64 = loads.iter().sum();
        for ((namespace, _), load) in namespaces.iter().zip(loads) {
            let own = time.mul_f64(load / sum).min(WORTH.mul_f64(load));
            if own < SHORT || load < SMALL {
                self.resting_until.remove(namespace);
            } else {
                self.resting_until.insert(namespace.clone(), now + LONGEST_REST.min(own * REST));
            }
        }
    }

    fn first<'a>(&self, waiting: &'a BTreeSet<Arc<str>>) -> Option<(Instant, &'a Arc<str>)> {
        waiting.iter().filter_map(|namespace| Some((*self.resting_until.get(namespace)?, namespace))).min()
    }
}

/// What work grows with, roughly.
#[allow(clippy::cast_precision_loss, reason = "a ratio")]
fn load(cost: &Cost) -> f64 {
    (1 + cost.grants + cost.elements + 4 * cost.checks + 64 * (cost.sets + cost.chains)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(elements: u64) -> Cost {
        Cost { elements, ..Cost::default() }
    }

    #[test]
    fn who_took_long_comes_after_the_others_and_rests() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let [big, shop, more] = ["big", "shop", "more"].map(Arc::<str>::from);
        let waiting = BTreeSet::from([big.clone(), more.clone()]);
        turns.took(&[(big.clone(), cost(100_000)), (shop.clone(), cost(10))], Duration::from_millis(100), now);
        turns.took(&[(more.clone(), cost(100_000))], Duration::from_millis(50), now);
        assert!(turns.is_light(&shop) && !turns.is_light(&big) && !turns.are_light());
        assert_eq!(turns.next(&waiting, now), None);
        let due = turns.due(&waiting).unwrap();
        assert_eq!(due, now + Duration::from_millis(450));
        assert_eq!(turns.next(&waiting, due), Some(more.clone()));
        assert_eq!(turns.due(&BTreeSet::from([shop.clone()])), None);

        turns.took(&[(more.clone(), cost(10_000_000))], Duration::from_secs(60), now);
        assert_eq!(turns.due(&BTreeSet::from([more.clone()])), Some(now + LONGEST_REST));
        turns.took(&[(more, cost(1)), (big, cost(1))], Duration::from_millis(1), now);
        assert!(turns.are_light());
        turns.took(&[(shop, cost(10))], Duration::from_secs(1), now);
        assert!(turns.are_light(), "so little takes nobody that long");
    }
}
