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

/// What is done sooner is not worth any order.
const SHORT: Duration = Duration::from_millis(3);
/// So many times as long as its changes took a namespace rests, and twice as many times as there are such namespaces: together
/// they take half of the agent's time at most.
const REST: usize = 9;
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

/// How long it is remembered that somebody's changes took long.
const MEMORY: Duration = Duration::from_secs(600);

/// Which namespaces' changes take long.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    accounts: HashMap<Arc<str>, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// What the changes have taken that are being put in force.
    spent: Duration,
    /// Since when others come first, and until when it rests.
    resting_until: Option<Instant>,
}

impl Turns {
    /// Whether it comes with the others.
    pub(crate) fn is_light(&self, namespace: &str) -> bool {
        self.resting_until(namespace).is_none()
    }

    /// Whether all do.
    pub(crate) fn are_light(&self) -> bool {
        self.accounts.values().all(|account| account.resting_until.is_none())
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

    /// Takes note of how much [processor time](processor_time) changes of these namespaces took together so far, which cost
    /// that much. Each took its part of it, but in all no more than what it costs is worth: the rest went into looking at what
    /// others have.
    pub(crate) fn took(&mut self, namespaces: &[(Arc<str>, Cost)], time: Duration, now: Instant) {
        let loads: Vec<f64> = namespaces.iter().map(|(_, cost)| load(cost)).collect();
        let sum: f64 = loads.iter().sum();
        let resting = self.accounts.values().filter(|account| account.resting_until.is_some()).count();
        let rest = u32::try_from(REST.max(2 * resting)).unwrap_or(u32::MAX);
        for ((namespace, _), load) in namespaces.iter().zip(loads) {
            let account = self.accounts.entry(namespace.clone()).or_default();
            account.spent = WORTH.mul_f64(load).min(account.spent + time.mul_f64(load / sum));
            if account.spent >= SHORT && load >= SMALL {
                account.resting_until = Some(now + LONGEST_REST.min(account.spent.saturating_mul(rest)));
            }
        }
    }

    /// The changes of these namespaces are in force: whose took little come with the others from now on.
    pub(crate) fn done<'a>(&mut self, namespaces: impl IntoIterator<Item = &'a Arc<str>>, now: Instant) {
        for namespace in namespaces {
            match self.accounts.get_mut(namespace) {
                Some(account) if account.spent >= SHORT => account.spent = Duration::ZERO,
                _ => drop(self.accounts.remove(namespace)),
            }
        }
        self.accounts.retain(|_, account| account.resting_until.is_none_or(|until| now < until + MEMORY));
    }

    fn resting_until(&self, namespace: &str) -> Option<Instant> {
        self.accounts.get(namespace)?.resting_until
    }

    fn first<'a>(&self, waiting: &'a BTreeSet<Arc<str>>) -> Option<(Instant, &'a Arc<str>)> {
        waiting.iter().filter_map(|namespace| Some((self.resting_until(namespace)?, namespace))).min()
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
        let take = |turns: &mut Turns, namespaces: &[(Arc<str>, Cost)], time| {
            turns.took(namespaces, time, now);
            turns.done(namespaces.iter().map(|(namespace, _)| namespace), now);
        };
        let milliseconds = Duration::from_millis;
        take(&mut turns, &[(big.clone(), cost(100_000)), (shop.clone(), cost(10))], milliseconds(100));
        take(&mut turns, &[(more.clone(), cost(100_000))], milliseconds(50));
        assert!(turns.is_light(&shop) && !turns.is_light(&big) && !turns.are_light());
        assert_eq!(turns.next(&waiting, now), None);
        let due = turns.due(&waiting).unwrap();
        assert_eq!(due, now + milliseconds(450));
        assert_eq!(turns.next(&waiting, due), Some(more.clone()));
        assert_eq!(turns.due(&BTreeSet::from([shop.clone()])), None);

        take(&mut turns, &[(more.clone(), cost(10_000_000))], Duration::from_secs(60));
        assert_eq!(turns.due(&BTreeSet::from([more.clone()])), Some(now + LONGEST_REST));
        take(&mut turns, &[(more, cost(1)), (big, cost(1))], milliseconds(1));
        assert!(turns.are_light());
        take(&mut turns, &[(shop, cost(10))], Duration::from_secs(1));
        assert!(turns.are_light(), "so little takes nobody that long");
    }

    #[test]
    fn what_is_done_in_pieces_takes_as_long_as_all_of_them() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let big = [(Arc::from("big"), cost(100_000))];
        turns.took(&big, Duration::from_millis(2), now);
        assert!(turns.are_light());
        turns.took(&big, Duration::from_millis(2), now);
        assert!(!turns.is_light("big"), "it is not done yet");
        turns.done([&big[0].0], now);
        assert_eq!(turns.due(&BTreeSet::from([big[0].0.clone()])), Some(now + Duration::from_millis(36)));
        turns.done([], now + MEMORY);
        assert!(!turns.is_light("big"));
        turns.done([], now + LONGEST_REST + MEMORY);
        assert!(turns.accounts.is_empty(), "it may be gone");
    }
}
