use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Endpoint, LinkName, Pair, Range, Verdict};

/// Why elements do not fit a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// They are of another type.
    Kind,
    /// One to take out is not there.
    Missing,
    /// One to put in has a key that is there with another verdict, or overlaps one that is there.
    Conflict,
}

/// Keys in order, each with a value: `()` in a set.
pub(super) trait Collection: Default {
    type Key: Key;
    type Value: Value;

    fn entries(&self) -> impl Iterator<Item = (&Self::Key, &Self::Value)>;
    fn value(&self, key: &Self::Key) -> Option<&Self::Value>;
    fn put(&mut self, key: Self::Key, value: Self::Value) -> Option<Self::Value>;
    fn take(&mut self, key: &Self::Key) -> Option<Self::Value>;
    /// The keys next to where `key` is or would be.
    fn neighbours(&self, key: &Self::Key) -> [Option<&Self::Key>; 2];
}

pub(super) trait Key: Ord + Clone + Display {
    fn overlaps(&self, other: &Self) -> bool {
        self == other
    }
}

pub(super) trait Value: Clone + PartialEq {
    fn verdict(&self) -> Option<&Verdict>;
}

pub(super) fn difference<C: Collection>(from: &C, to: &C) -> (C, C) {
    (missing_from(to, from), missing_from(from, to))
}

/// What `wanted` holds and `there` does not.
fn missing_from<C: Collection>(there: &C, wanted: &C) -> C {
    collect(wanted.entries().filter(|(key, value)| there.value(key) != Some(value)))
}

pub(super) fn edit<C: Collection>(elements: &mut C, remove: &C, add: &C) -> (C, C) {
    let (mut removed, mut added) = (C::default(), C::default());
    for (key, _) in remove.entries().filter(|(key, _)| add.value(key).is_none()) {
        if let Some(value) = elements.take(key) {
            removed.put(key.clone(), value);
        }
    }
    for (key, value) in add.entries() {
        let before = elements.put(key.clone(), value.clone());
        if before.as_ref() == Some(value) {
            continue;
        }
        added.put(key.clone(), value.clone());
        if let Some(before) = before {
            removed.put(key.clone(), before);
        }
    }
    (removed, added)
}

pub(super) fn insert_each<C: Collection>(elements: &mut C, add: &C) -> Result<(), Misfit> {
    for (key, value) in add.entries() {
        let conflicts = match elements.value(key) {
            Some(there) => there != value,
            None => elements.neighbours(key).into_iter().flatten().any(|neighbour| neighbour.overlaps(key)),
        };
        if conflicts {
            return Err(Misfit::Conflict);
        }
        elements.put(key.clone(), value.clone());
    }
    Ok(())
}

pub(super) fn remove_each<C: Collection>(elements: &mut C, remove: &C) -> Result<(), Misfit> {
    remove.entries().try_for_each(|(key, _)| elements.take(key).map(drop).ok_or(Misfit::Missing))
}

pub(super) fn with_verdict<C: Collection>(elements: &C, wanted: impl Fn(&Verdict) -> bool) -> C {
    collect(elements.entries().filter(|(_, value)| value.verdict().is_some_and(&wanted)))
}

fn collect<'a, C: Collection + 'a>(entries: impl Iterator<Item = (&'a C::Key, &'a C::Value)>) -> C {
    let mut collected = C::default();
    for (key, value) in entries {
        collected.put(key.clone(), value.clone());
    }
    collected
}

pub(super) fn text<K: Key, V: Value>(key: &K, value: &V) -> String {
    match value.verdict() {
        Some(verdict) => format!("{key} : {verdict}"),
        None => key.to_string(),
    }
}

impl<K: Key> Collection for BTreeSet<K> {
    type Key = K;
    type Value = ();

    fn entries(&self) -> impl Iterator<Item = (&K, &())> {
        self.iter().map(|key| (key, &()))
    }

    fn value(&self, key: &K) -> Option<&()> {
        self.contains(key).then_some(&())
    }

    fn put(&mut self, key: K, (): ()) -> Option<()> {
        (!self.insert(key)).then_some(())
    }

    fn take(&mut self, key: &K) -> Option<()> {
        self.remove(key).then_some(())
    }

    fn neighbours(&self, key: &K) -> [Option<&K>; 2] {
        [self.range(..key).next_back(), self.range(key..).next()]
    }
}

impl<K: Key> Collection for BTreeMap<K, Verdict> {
    type Key = K;
    type Value = Verdict;

    fn entries(&self) -> impl Iterator<Item = (&K, &Verdict)> {
        self.iter()
    }

    fn value(&self, key: &K) -> Option<&Verdict> {
        self.get(key)
    }

    fn put(&mut self, key: K, value: Verdict) -> Option<Verdict> {
        self.insert(key, value)
    }

    fn take(&mut self, key: &K) -> Option<Verdict> {
        self.remove(key)
    }

    fn neighbours(&self, key: &K) -> [Option<&K>; 2] {
        [self.range(..key).next_back(), self.range(key..).next()].map(|entry| entry.map(|(key, _)| key))
    }
}

impl Value for () {
    fn verdict(&self) -> Option<&Verdict> {
        None
    }
}

impl Value for Verdict {
    fn verdict(&self) -> Option<&Verdict> {
        Some(self)
    }
}

impl Key for Ipv4Addr {}
impl Key for Ipv6Addr {}
impl Key for u16 {}
impl Key for LinkName {}

impl<A: Ord + Clone> Key for Endpoint<A> where Self: Display {}
impl<A: Ord + Clone> Key for Pair<A> where Self: Display {}

impl<T: Ord + Clone> Key for Range<T>
where
    Self: Display,
{
    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}
