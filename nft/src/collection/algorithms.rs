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

    fn len(&self) -> usize;
    fn entries(&self) -> impl Iterator<Item = (&Self::Key, &Self::Value)>;
    fn value(&self, key: &Self::Key) -> Option<&Self::Value>;
    fn put(&mut self, key: Self::Key, value: Self::Value) -> Option<Self::Value>;
    fn take(&mut self, key: &Self::Key) -> Option<Self::Value>;
    /// Takes out, and gives, what has `key` or a higher one.
    fn split_off(&mut self, key: &Self::Key) -> Self;
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

/// Makes of one change and the next one change. A key that comes back with the value that it had is in neither; those are given.
pub(super) fn compose<C: Collection>(remove: &mut C, add: &mut C, then_remove: &C, then_add: &C) -> C {
    let mut same = C::default();
    let added_alone = then_add.entries().filter(|(key, _)| then_remove.value(key).is_none());
    let keys = then_remove.entries().chain(added_alone).map(|(key, _)| key);
    for key in keys {
        let (removed, added) = (remove.take(key), add.take(key));
        let was_there = if added.is_some() { None } else { then_remove.value(key).cloned() };
        let (before, after) = (removed.or(was_there), then_add.value(key).cloned());
        if before == after {
            after.map(|value| same.put(key.clone(), value));
            continue;
        }
        if let Some(before) = before {
            remove.put(key.clone(), before);
        }
        if let Some(after) = after {
            add.put(key.clone(), after);
        }
    }
    same
}

pub(super) fn has_no_key_of<C: Collection>(elements: &C, other: &C) -> bool {
    let (fewer, more) = if elements.len() < other.len() { (elements, other) } else { (other, elements) };
    fewer.entries().all(|(key, _)| {
        more.value(key).is_none() && more.neighbours(key).into_iter().flatten().all(|next| !next.overlaps(key))
    })
}

/// One change for each key of what goes and what then comes.
pub(super) fn by_key<C: Collection>(remove: &C, add: &C) -> Vec<(C, C)> {
    let one = |of: &C, key: &C::Key| collect(of.value(key).into_iter().map(|value| (key, value)));
    let added_alone = add.entries().filter(|(key, _)| remove.value(key).is_none());
    let keys = remove.entries().chain(added_alone).map(|(key, _)| key);
    keys.map(|key| (one(remove, key), one(add, key))).collect()
}

pub(super) fn take_first<C: Collection>(elements: &mut C, count: usize) -> C {
    let next = elements.entries().nth(count).map(|(key, _)| key.clone());
    let rest = next.map(|key| elements.split_off(&key)).unwrap_or_default();
    std::mem::replace(elements, rest)
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

    fn len(&self) -> usize {
        self.len()
    }

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

    fn split_off(&mut self, key: &K) -> Self {
        self.split_off(key)
    }

    fn neighbours(&self, key: &K) -> [Option<&K>; 2] {
        [self.range(..key).next_back(), self.range(key..).next()]
    }
}

impl<K: Key> Collection for BTreeMap<K, Verdict> {
    type Key = K;
    type Value = Verdict;

    fn len(&self) -> usize {
        self.len()
    }

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

    fn split_off(&mut self, key: &K) -> Self {
        self.split_off(key)
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
