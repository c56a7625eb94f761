//! Values under small numbers that are reused once their value is gone.

use std::marker::PhantomData;
use std::ops;

/// The number of a slot.
pub(super) trait Slot: Copy {
    fn from_index(index: usize) -> Self;
    fn index(self) -> usize;
}

macro_rules! slots {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) struct $name(u32);

        impl Slot for $name {
            fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).expect("four billion objects do not fit into memory"))
            }

            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

slots! {
    /// A namespace, known or only named by its pods and policies.
    SpaceId
    /// Pods of one namespace with the same labels and ports.
    ClassId
    /// A pod.
    PodId
    /// A definition that live sets are made of.
    GroupId
    /// A set that tables look up, or would.
    SetId
    /// A namespace with tables.
    BillId
}

/// Values of type `T` under slots of type `S`.
#[derive(Debug)]
pub(super) struct Slots<S, T> {
    values: Vec<Option<T>>,
    free: Vec<S>,
    slots: PhantomData<S>,
}

impl<S: Slot, T> Slots<S, T> {
    pub(super) fn insert(&mut self, value: T) -> S {
        match self.free.pop() {
            Some(slot) => {
                self.values[slot.index()] = Some(value);
                slot
            }
            None => {
                self.values.push(Some(value));
                S::from_index(self.values.len() - 1)
            }
        }
    }

    /// Takes the value out. The slot will name another value.
    pub(super) fn remove(&mut self, slot: S) -> T {
        let value = self.values[slot.index()].take().expect("a slot is given up once, by its owner");
        self.free.push(slot);
        value
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (S, &T)> {
        self.values.iter().enumerate().filter_map(|(at, value)| Some((S::from_index(at), value.as_ref()?)))
    }

    /// All numbers in use are below it.
    pub(super) fn bound(&self) -> usize {
        self.values.len()
    }

    pub(super) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }
}

impl<S, T> Default for Slots<S, T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new(), slots: PhantomData }
    }
}

impl<S: Slot, T> ops::Index<S> for Slots<S, T> {
    type Output = T;

    fn index(&self, slot: S) -> &T {
        self.values[slot.index()].as_ref().expect("a slot is held only while its value lives")
    }
}

impl<S: Slot, T> ops::IndexMut<S> for Slots<S, T> {
    fn index_mut(&mut self, slot: S) -> &mut T {
        self.values[slot.index()].as_mut().expect("a slot is held only while its value lives")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_slot_is_used_again() {
        let mut slots = Slots::<PodId, &str>::default();
        let (a, b) = (slots.insert("a"), slots.insert("b"));
        assert_eq!(slots.remove(a), "a");
        assert_eq!(slots.len(), 1);
        let c = slots.insert("c");
        assert_eq!((c, slots[b], slots[c]), (a, "b", "c"));
        assert_eq!(slots.iter().map(|(_, value)| *value).collect::<Vec<_>>(), ["c", "b"]);
    }
}
