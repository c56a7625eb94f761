//! What policies cost a node, and how much of it a namespace may have.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use crate::SetKey;

mod shares;

pub use shares::{Closed, Limit, Shares};

/// What the policies of a namespace cost one node: what its tables and the sets that they look up need there.
///
/// Known from counts alone, before anything is built. A set that several namespaces look up counts for each of them in
/// full, as if it were theirs alone: what a namespace costs does not depend on what others ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// What compiling takes time for: peers times ports of every rule, in every table that the rule is part of.
    pub grants: u64,
    /// Elements of sets and port maps: an address, or one bound of a range.
    pub elements: u64,
    /// Sets and port maps. A set of pods has two in the kernel, one a family.
    pub sets: u64,
    /// Chains: one a table, and one for each distinct list of lookups of its segments.
    pub chains: u64,
    /// What the kernel goes through whenever a rule comes, of whomever, to see that chains lead in no circle: elements of
    /// port maps, and lookups, which count as four.
    pub checks: u64,
    /// Memory of the agent and of the kernel, which counts it as the agent's: an estimate from above.
    pub bytes: u64,
}

/// The kernel's element (about 100 bytes in a hash, more in a tree), and the agent's copies of it: in the ruleset, in the
/// delta and in the message.
const ELEMENT: u64 = 200;
/// Two sets in the kernel (about 1 KiB each, with a table of buckets) and in the agent, with names and comments.
const SET: u64 = 4096;
/// A chain in the kernel and in the agent, with name and comment.
const CHAIN: u64 = 2048;
/// The rules of one lookup: one a family, in the kernel (each twice, as it is listed and as it is run) and in the agent.
const LOOKUP: u64 = 1536;
/// A definition in a set: its copy in the set's key, and what finds it.
const DEFINITION: u64 = 512;
/// A class of pods that matches a definition: each is in the other's list.
const MATCH: u64 = 16;
/// What a grant takes while a table is compiled.
const GRANT: u64 = 128;

impl Cost {
    /// More than anything costs.
    pub const UNLIMITED: Self = Self {
        grants: u64::MAX,
        elements: u64::MAX,
        sets: u64::MAX,
        chains: u64::MAX,
        checks: u64::MAX,
        bytes: u64::MAX,
    };

    /// `factor` times as much of everything, rounded up; nothing for a factor below zero.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a limit")]
    pub fn scaled(self, factor: f64) -> Self {
        let scaled = |part: u64| (part as f64 * factor).ceil() as u64;
        let Self { grants, elements, sets, chains, checks, bytes } = self;
        Self {
            grants: scaled(grants),
            elements: scaled(elements),
            sets: scaled(sets),
            chains: scaled(chains),
            checks: scaled(checks),
            bytes: scaled(bytes),
        }
    }

    /// Whether it is within `limit` in every respect.
    pub fn fits(&self, limit: &Self) -> bool {
        self.parts().iter().zip(limit.parts()).all(|(part, limit)| *part <= limit)
    }

    /// Whether it is more than the part of `limit` that so many halvings leave, in any respect in which `sum` is over it.
    pub(crate) fn is_more_of(&self, limit: &Self, halvings: u32, sum: &Self) -> bool {
        let mut parts = self.parts().into_iter().zip(limit.parts()).zip(sum.parts());
        parts.any(|((part, limit), sum)| sum > limit && part > limit >> halvings)
    }

    /// What compiling `grants` costs, the result aside.
    pub(crate) fn of_grants(grants: u64) -> Self {
        Self { grants, bytes: grants.saturating_mul(GRANT), ..Self::default() }
    }

    /// A table with so many segments for each protocol that has some, so many lookups in each distinct list of them, and so
    /// many elsewhere.
    pub(crate) fn of_table(
        segments: impl ExactSizeIterator<Item = usize>,
        lists: impl ExactSizeIterator<Item = usize>,
        elsewhere: usize,
    ) -> Self {
        let (protocols, chains) = (segments.len() as u64, 1 + lists.len() as u64);
        let (segments, lookups) = (segments.sum::<usize>() as u64, (lists.sum::<usize>() + elsewhere) as u64);
        let elements = 2 * segments;
        let bytes = elements * ELEMENT + protocols * SET + chains * CHAIN + lookups * LOOKUP;
        Self { grants: 0, elements, sets: protocols, chains, checks: segments + 4 * lookups, bytes }
    }

    /// A set with that many members, whose definitions match classes that many times.
    pub(crate) fn of_set(key: &SetKey, members: u64, matches: u64) -> Self {
        let bytes = SET + key.definitions() * DEFINITION + matches * MATCH + members * ELEMENT;
        Self { grants: 0, elements: members, sets: 1, chains: 0, checks: 0, bytes }
    }

    /// How many matches of definitions with classes the bytes pay for.
    pub(crate) fn matches(&self) -> u64 {
        self.bytes / MATCH
    }

    fn parts(&self) -> [u64; 6] {
        let Self { grants, elements, sets, chains, checks, bytes } = *self;
        [grants, elements, sets, chains, checks, bytes]
    }

    fn zip(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            grants: of(self.grants, other.grants),
            elements: of(self.elements, other.elements),
            sets: of(self.sets, other.sets),
            chains: of(self.chains, other.chains),
            checks: of(self.checks, other.checks),
            bytes: of(self.bytes, other.bytes),
        }
    }

    /// What it leaves of `limit`, which may be nothing.
    pub(crate) fn rest_of(self, limit: Self) -> Self {
        limit.zip(self, u64::saturating_sub)
    }

    /// One of `shares` equal shares, rounded up.
    pub(crate) fn divided(self, shares: u64) -> Self {
        let [grants, elements, sets, chains, checks, bytes] = [shares; 6];
        self.zip(Self { grants, elements, sets, chains, checks, bytes }, u64::div_ceil)
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

/// Of what was added before.
impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Cost {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}
